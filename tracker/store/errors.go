package store

import "errors"

// What was asked for is not there, or there already.
var (
	// ErrNotFound: no such row.
	ErrNotFound = errors.New("not found")
	// ErrDup: the name or number is taken.
	ErrDup = errors.New("already exists")
	// ErrNoDomain: what is to belong to a domain has none, since that is gone.
	ErrNoDomain = errors.New("domain is gone")
)

// What stands in the way of a removal.
var (
	// ErrHasFiles: files still belong to it.
	ErrHasFiles = errors.New("still has files")
	// ErrHasClasses: classes still belong to it.
	ErrHasClasses = errors.New("still has classes")
	// ErrHasDevices: devices still belong to it.
	ErrHasDevices = errors.New("still has devices")
)

// ErrLocked: somebody else holds the lock, and held it for the whole wait.
var ErrLocked = errors.New("lock is held by another")

// ErrSchema: the database has a schema this program does not know. The text that
// wraps it says what was found and what to do.
var ErrSchema = errors.New("unusable schema")
