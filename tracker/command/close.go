package command

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/protocol"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
	"github.com/mogilefs/caddy-mogilefs/tracker/topology"
)

// Some clients close an upload before the node has answered their PUT
// (docs/spec/tracker-protocol.md §10.6). A file that is not there yet is looked
// for again, after pauses that double.
const (
	// firstRelook is about what a node needs to sync and name a small file.
	firstRelook = 50 * time.Millisecond
	// relooks makes 750 ms in all: clients give up after 3 s.
	relooks = 4
)

// unknownSize is a size that is compared with nothing.
const unknownSize = -1

// CloseArgs says what was uploaded, and under which key it is to be found.
type CloseArgs struct {
	// Domain is where the file goes; it need not be that of Open.
	Domain mogile.DomainName
	// Key is empty to abandon the upload; it need not be that of Open either.
	Key mogile.Key
	FID mogile.FID
	// Dev and URL are those of the destination that took the bytes. URL is not
	// looked at when Stored.
	Dev mogile.DevID
	URL string
	// Size is how many bytes there should be; -1 means unknown, which it can't be
	// when Stored.
	Size int64
	// Checksum may be zero. It is kept if the class keeps such checksums.
	Checksum mogile.Checksum
	// Verify has the checksum compared with what the node holds.
	Verify bool
	Zone   topology.Zone
	// Stored callers have stored Size bytes durably on Dev themselves, so that
	// nobody need ask the node.
	Stored bool
	// Others are more destinations that took the bytes. All are recorded, or none.
	Others []StoredCopy
}

// StoredCopy is a destination that took the bytes.
type StoredCopy struct {
	mogile.Copy
	// Stored is as in CloseArgs.
	Stored bool
}

// copies are all destinations that took the bytes.
func (a CloseArgs) copies() []StoredCopy {
	return append([]StoredCopy{{mogile.Copy{Dev: a.Dev, URL: a.URL}, a.Stored}}, a.Others...)
}

func (a CloseArgs) devices() (devs []mogile.DevID) {
	for _, at := range a.copies() {
		devs = append(devs, at.Dev)
	}
	return devs
}

// Close turns an upload into the content of a key.
//
// Order: 1 the tempfile row is read, and stays; 2 all that can be wrong is checked,
// on the node last; 3 one transaction takes the row and makes the file visible
// (CloseUpload), or takes the row and has the copy deleted (AbandonUpload). A crash
// before 3 leaves the row: the upload can be closed again, or the sweep abandons it
// after an hour. Two closes of one upload may both come to 3; whoever takes the row
// wins, the other gets no_temp_file. (The peer takes the row first, so that a crash
// leaks the upload.)
func (c *Commands) Close(ctx context.Context, a CloseArgs) error {
	snap, err := c.snapshot(ctx)
	if err != nil {
		return err
	}
	dom, err := findDomain(snap, a.Domain)
	if err != nil {
		return err
	}
	up, err := c.closing(ctx, snap, a)
	if err != nil {
		return err
	}
	for _, dev := range a.devices() {
		if !slices.Contains(up.Devices, dev) {
			return c.refuse(ctx, a, protocol.Failf(protocol.InvalidDestDev,
				"File uploaded to invalid dest %s. Valid devices were: %s", dev, joinDevs(up.Devices)))
		}
	}
	if a.Key == "" {
		return c.Abandon(ctx, a.FID, a.devices()...)
	}
	length, err := c.examine(ctx, a)
	if err != nil {
		return c.refuse(ctx, a, err)
	}
	if cls, _ := snap.ClassOf(store.File{Domain: up.Domain, Class: up.Class}); a.Checksum.Type != cls.Hash {
		a.Checksum = mogile.Checksum{}
	}
	// The class may have been deleted since Open, or be that of another domain; the store
	// then takes the default class. (The peer stores it so, and never replicates it.)
	return c.publish(ctx, a, store.Closing{
		FID: a.FID, Dev: a.Dev, Others: a.devices()[1:], Domain: dom.ID, Key: a.Key, Class: up.Class, Length: length, Checksum: a.Checksum,
	})
}

// publish makes the file visible, and tells whom it concerns.
func (c *Commands) publish(ctx context.Context, a CloseArgs, closing store.Closing) error {
	replaced, err := c.store.CloseUpload(ctx, closing)
	if err != nil {
		return onClose.fail("close upload "+a.FID.String(), err)
	}
	c.changed(a.Domain, a.Key)
	c.jobs.Wake(store.ReplicateQueue)
	if replaced != 0 {
		c.jobs.Wake(store.DeleteQueue)
	}
	return nil
}

// closing finds the upload. What is wrong up to here leaves it open.
func (c *Commands) closing(ctx context.Context, snap *topology.Snapshot, a CloseArgs) (store.Upload, error) {
	for i, at := range a.copies() {
		d, known := snap.Device(at.Dev)
		ok := known && d.WriteURL(a.FID, a.Zone) == at.URL
		if at.Stored {
			ok = known && a.Size >= 0
		}
		if !ok || slices.Contains(a.devices()[:i], at.Dev) {
			return store.Upload{}, protocol.Fail(protocol.BogusArgs)
		}
	}
	up, err := c.store.Upload(ctx, a.FID)
	if err != nil {
		return store.Upload{}, onClose.fail("look up upload "+a.FID.String(), err)
	}
	return up, nil
}

// refuse abandons the upload and returns why. One that can't be abandoned now is
// left to the sweep, one that somebody else took is none.
func (c *Commands) refuse(ctx context.Context, a CloseArgs, why error) error {
	err := c.Abandon(ctx, a.FID, a.devices()...)
	switch {
	case err == nil:
		return why
	case isAnswer(err):
		return err
	}
	return fmt.Errorf("%w: %w", why, err)
}

// Abandon gives an upload up and has the copies on devs deleted, as far as there are any.
func (c *Commands) Abandon(ctx context.Context, fid mogile.FID, devs ...mogile.DevID) error {
	if err := c.store.AbandonUpload(ctx, fid, devs...); err != nil {
		return onClose.fail("abandon upload "+fid.String(), err)
	}
	c.jobs.Wake(store.DeleteQueue)
	return nil
}

// examine checks what is to become a file and returns its length.
func (c *Commands) examine(ctx context.Context, a CloseArgs) (int64, error) {
	if err := isNewKey(a.Key); err != nil {
		return 0, err
	}
	for _, at := range a.copies() {
		a.Dev, a.URL = at.Dev, at.URL
		if !at.Stored {
			n, err := c.measure(ctx, a)
			if err != nil {
				return 0, err
			}
			a.Size = n // of the first; the others must have as many
		}
		if a.Verify && !a.Checksum.IsZero() {
			if err := c.compare(ctx, a); err != nil {
				return 0, err
			}
		}
	}
	return a.Size, nil
}

// measure asks the node how many bytes it has got.
func (c *Commands) measure(ctx context.Context, a CloseArgs) (int64, error) {
	n, found, err := c.look(ctx, a.URL)
	switch {
	case err != nil:
		return 0, protocol.Failf(protocol.SizeVerifyError,
			"Expected: %d; actual: 0 (cantreach); path: %s; error: %v", a.Size, a.URL, err)
	case !found:
		return 0, protocol.Failf(protocol.SizeVerifyError,
			"Expected: %d; actual: 0 (missing); path: %s; error: not there", a.Size, a.URL)
	case a.Size >= 0 && n != a.Size:
		return 0, protocol.Failf(protocol.SizeMismatch, "Expected: %d; actual: %d; path: %s", a.Size, n, a.URL)
	}
	return n, nil
}

// look looks for the file, and again when it is not there yet.
func (c *Commands) look(ctx context.Context, url string) (n int64, found bool, err error) {
	n, found, err = c.nodes.Size(ctx, url)
	for i := 0; i < relooks && !found && err == nil; i++ {
		select {
		case <-time.After(firstRelook << i):
			n, found, err = c.nodes.Size(ctx, url)
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
	}
	return n, found, err
}

// compare has the bytes hashed.
func (c *Commands) compare(ctx context.Context, a CloseArgs) error {
	sum, err := c.nodes.Digest(ctx, a.URL, a.Checksum.Type)
	if err != nil {
		return fmt.Errorf("%w: %w", mismatch(a, "unknown"), err)
	}
	if !sum.Equal(a.Checksum) {
		return mismatch(a, sum.String())
	}
	return nil
}

func mismatch(a CloseArgs, actual string) *protocol.Error {
	return protocol.Failf(protocol.ChecksumMismatch, "Expected: Checksum[f=%s;%s=%s]; actual: %s; path: %s",
		a.FID, a.Checksum.Type, a.Checksum.Hex(), actual, a.URL)
}
