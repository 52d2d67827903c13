package command

import (
	"errors"
	"fmt"
	"strings"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/protocol"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
	"github.com/mogilefs/caddy-mogilefs/tracker/topology"
)

// subject is what a command was about when the store failed it: the same sentinel
// is another code for a host than for a key.
type subject int

const (
	onAnything subject = iota
	onFile
	onReclass // a file whose class is changed
	onOpen
	onClose
	onDomain
	onClass
	onHost
	onDevice
)

// codes is what the store's errors are on the wire. The row of onAnything has
// every sentinel and counts where a subject's own row has none.
var codes = map[subject]map[error]protocol.Code{
	onAnything: {
		store.ErrNotFound:   protocol.Failure,
		store.ErrDup:        protocol.Dup,
		store.ErrNoDomain:   protocol.Failure,
		store.ErrHasFiles:   protocol.Failure,
		store.ErrHasClasses: protocol.Failure,
		store.ErrHasDevices: protocol.Failure,
		store.ErrLocked:     protocol.Failure,
		store.ErrSchema:     protocol.Failure,
	},
	onFile: {
		store.ErrNotFound: protocol.UnknownKey,
		store.ErrDup:      protocol.KeyExists,
	},
	onReclass: {
		store.ErrNotFound: protocol.InvalidKey,
	},
	onOpen: {
		store.ErrDup: protocol.FIDInUse,
	},
	onClose: {
		store.ErrNotFound: protocol.NoTempFile,
		store.ErrDup:      protocol.FIDExists,
		store.ErrNoDomain: protocol.UnregDomain,
	},
	onDomain: {
		store.ErrNotFound:   protocol.DomainNotFound,
		store.ErrDup:        protocol.DomainExists,
		store.ErrHasFiles:   protocol.DomainHasFiles,
		store.ErrHasClasses: protocol.DomainHasClasses,
	},
	onClass: {
		store.ErrNotFound: protocol.ClassNotFound,
		store.ErrDup:      protocol.ClassExists,
		store.ErrNoDomain: protocol.DomainNotFound,
		store.ErrHasFiles: protocol.ClassHasFiles,
	},
	onHost: {
		// A taken name was noticed before: what is taken is an address.
		store.ErrNotFound:   protocol.HostNotFound,
		store.ErrHasDevices: protocol.HostNotEmpty,
	},
	onDevice: {
		store.ErrNotFound: protocol.NoDevice,
		store.ErrDup:      protocol.ExistingDevID,
	},
}

// fail says what an error of the store means for this subject. An error that is
// no answer is returned with its verb.
func (s subject) fail(verb string, err error) error {
	for _, row := range []subject{s, onAnything} {
		for sentinel, code := range codes[row] {
			if errors.Is(err, sentinel) && code != protocol.Failure {
				return protocol.Fail(code)
			}
		}
	}
	return fmt.Errorf("%s: %w", verb, err)
}

// isAnswer reports whether the protocol has a code for err.
func isAnswer(err error) bool {
	var answer *protocol.Error
	return errors.As(err, &answer)
}

// findDomain is the first check of all file commands. It asks the snapshot: a
// domain's name is case-sensitive there, whatever the database thinks.
func findDomain(snap *topology.Snapshot, name mogile.DomainName) (topology.Domain, error) {
	if name == "" {
		return topology.Domain{}, protocol.Fail(protocol.NoDomain)
	}
	dom, ok := snap.Domain(name)
	if !ok {
		return topology.Domain{}, protocol.Fail(protocol.UnregDomain)
	}
	return dom, nil
}

// isKey is the second check: a key is there, and databases can be asked for it.
// One that is too long can be asked for, and is not found.
func isKey(key mogile.Key) error {
	if key == "" || hasNUL(string(key)) {
		return protocol.Fail(protocol.NoKey)
	}
	return nil
}

// hasNUL: no database keeps a NUL byte alike, and some refuse to be asked for one.
func hasNUL(s string) bool { return strings.IndexByte(s, 0) >= 0 }

// isNewKey is the check of a key that is to be stored.
func isNewKey(key mogile.Key) error {
	if err := isKey(key); err != nil {
		return err
	}
	if key.Validate() != nil {
		// What a strict database says of a value that its column can't hold.
		return protocol.Fail(protocol.DB)
	}
	return nil
}
