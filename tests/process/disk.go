package process

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// CopiedWithin bounds how long replication may take. It is generous, as test
// packages run side by side.
const CopiedWithin = 30 * time.Second

// Copies lists the files on disk that hold a fid, at most one for each device.
func (c *Cluster) Copies(fid mogile.FID) []string {
	var found []string
	for _, dev := range devices {
		name := filepath.Join(c.Root, fid.Path(dev))
		if _, err := os.Stat(name); err == nil {
			found = append(found, name)
		}
	}
	return found
}

// Files lists all files of fids that lie on the devices, whatever the tracker knows
// of them, half-written ones too.
func (c *Cluster) Files() []string {
	c.t.Helper()
	var found []string
	for _, dev := range devices {
		// Fids lie below directories of one digit; the node's and the tracker's
		// own files don't.
		tops, err := filepath.Glob(filepath.Join(c.Root, "dev"+dev.String(), "[0-9]"))
		if err != nil {
			c.t.Fatalf("list device %d: %v", dev, err)
		}
		for _, top := range tops {
			found = append(found, c.filesBelow(top)...)
		}
	}
	return found
}

func (c *Cluster) filesBelow(dir string) []string {
	c.t.Helper()
	var found []string
	err := filepath.WalkDir(dir, func(name string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) { // removed while we looked
			return nil
		}
		if err == nil && !entry.IsDir() {
			found = append(found, name)
		}
		return err
	})
	if err != nil {
		c.t.Fatalf("list %s: %v", dir, err)
	}
	return found
}

// AwaitSettled waits until the devices hold two copies of every visible key and
// nothing else: replications and deletions have caught up.
func (c *Cluster) AwaitSettled(within time.Duration) {
	c.t.Helper()
	var missing, extra []string
	if !poll(c.t.Context(), within, func() bool {
		missing, extra = c.unsettled()
		return len(missing)+len(extra) == 0
	}) {
		c.t.Fatalf("within %v: got no %q and superfluous %q; want two copies of each key and nothing else", within, missing, extra)
	}
}

// AwaitReplicated waits until both devices hold every visible key. What uploads
// that were cut off by a crash left on the disks is not looked at: the tracker
// removes it an hour later.
func (c *Cluster) AwaitReplicated(within time.Duration) {
	c.t.Helper()
	var missing []string
	if !poll(c.t.Context(), within, func() bool {
		missing, _ = c.unsettled()
		return len(missing) == 0
	}) {
		c.t.Fatalf("within %v: got no %q; want two copies of each key", within, missing)
	}
}

// unsettled compares what should lie on the devices with what does.
func (c *Cluster) unsettled() (missing, extra []string) {
	tracker := c.Dial()
	defer tracker.Close()
	want := map[string]bool{}
	for _, key := range c.Keys() {
		fid := tracker.FID(key)
		for _, dev := range devices {
			want[filepath.Join(c.Root, fid.Path(dev))] = true
		}
	}
	for _, name := range c.Files() {
		if !want[name] {
			extra = append(extra, name)
		}
		delete(want, name)
	}
	return slices.Collect(maps.Keys(want)), extra
}

// AwaitCopies waits until n devices hold the fid, and returns the files.
func (c *Cluster) AwaitCopies(fid mogile.FID, n int) []string {
	c.t.Helper()
	var found []string
	if !poll(c.t.Context(), CopiedWithin, func() bool {
		found = c.Copies(fid)
		return len(found) == n
	}) {
		c.t.Fatalf("fid %d: got copies %q; want %d within %v", fid, found, n, CopiedWithin)
	}
	return found
}
