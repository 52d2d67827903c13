package store

import (
	"context"
	"errors"
)

// Observed is a [Store] that tells how it gets on with its database.
type Observed interface {
	// Observe has every access from now on told to o, instead of an earlier one.
	Observe(o Observer)
	// Pool is the connections of now.
	Pool() Pool
}

// Observer is called when an access to the database begins, with what it is: a read, a snapshot (several
// reads of one moment) or a write. What it returns is called when the access has ended, with what went
// wrong; an answer such as [ErrNotFound] is no such thing. Both must be quick.
type Observer func(ctx context.Context, kind string) (end func(trouble error))

// Pool is a database's connections at one moment: those in use, those that wait to be used, and how many
// there may be.
type Pool struct{ InUse, Idle, Limit int }

// answers is the errors that a database gives in good order.
var answers = [...]error{ErrNotFound, ErrDup, ErrNoDomain, ErrHasFiles, ErrHasClasses, ErrHasDevices, ErrLocked}

// IsAnswer reports whether err says how things are, and not that something went wrong.
func IsAnswer(err error) bool {
	for _, a := range answers {
		if errors.Is(err, a) {
			return true
		}
	}
	return false
}
