package edge

import (
	"context"
	"errors"

	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// Tracker is what the edge asks of one. Errors wrap [ErrUnknownKey],
// [ErrUnknownDomain], [ErrBadRequest] or [ErrNoDevices]; any other error means that
// no tracker could answer.
type Tracker interface {
	// Locate finds the copies of a key, best first. A key without a readable copy
	// is no error: the location then has no copies.
	Locate(ctx context.Context, domain mogile.DomainName, key mogile.Key) (mogile.Location, error)
	// LocateFID is Locate of whatever key of the domain has the fid.
	LocateFID(ctx context.Context, domain mogile.DomainName, fid mogile.FID) (mogile.Location, error)
	// Open begins an upload. Nothing is visible until Close.
	Open(ctx context.Context, up Upload) (Opened, error)
	// Close makes the upload the content of its key. When it returns nil that is
	// durable. After an error the edge does not know whether it happened, unless it is
	// [ErrOneCopy].
	Close(ctx context.Context, c Closing) error
	// Abandon gives an upload up that was not closed, so that what may lie on the
	// devices is removed; tried are the destinations where that may be, as Open named them.
	// It comes after every failure, a Close that failed among them: a fid that was closed is
	// left alone.
	Abandon(ctx context.Context, domain mogile.DomainName, fid mogile.FID, tried ...mogile.Copy) error
	// Delete removes a key.
	Delete(ctx context.Context, domain mogile.DomainName, key mogile.Key) error
	// Repair has the file's copies looked at soon, because one of them is missing or
	// wrong. Saying it again is harmless; a tracker that can't do it returns nil.
	Repair(ctx context.Context, fid mogile.FID) error
}

// Upload is what a tracker must know to choose devices.
type Upload struct {
	Domain mogile.DomainName
	Key    mogile.Key
	// Class may be empty: the domain's default.
	Class mogile.ClassName
	// Size is -1 when it is not known yet.
	Size int64
	// Copies is how many copies there are to be before Close.
	Copies int
}

// Opened is an upload that was begun.
type Opened struct {
	FID mogile.FID
	// Hash is what the class keeps checksums with.
	Hash mogile.HashType
	// Destinations are where the bytes may go, best first, with the URLs to write to.
	Destinations []mogile.Copy
	// Copies is how many of them Close can record; 0 means 1, as with trackers of
	// MogileFS.
	Copies int
}

// Closing is an upload whose bytes are at their devices.
type Closing struct {
	Domain mogile.DomainName
	Key    mogile.Key
	FID    mogile.FID
	// Copies are the destinations that took the bytes, as Open named them: at least one.
	Copies []StoredCopy
	Size   int64
	// Checksum is of the bytes as they passed; zero when none was computed.
	Checksum mogile.Checksum
}

// StoredCopy is a destination that took the bytes.
type StoredCopy struct {
	mogile.Copy
	// Stored says that this very process wrote them durably, so that nobody need
	// look.
	Stored bool
}

// What a tracker refuses.
var (
	ErrUnknownKey    = errors.New("unknown key")
	ErrUnknownDomain = errors.New("unknown domain")
	// ErrBadRequest: the key or class can't be.
	ErrBadRequest = errors.New("bad request")
	// ErrOneCopy: the tracker would record only one of several copies, and so has closed
	// nothing.
	ErrOneCopy = errors.New("tracker records one copy of an upload")
	// ErrNoDevices: no device takes new files now, or not as many as there are to be copies.
	ErrNoDevices = errors.New("no device takes new files")
)
