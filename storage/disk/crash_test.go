package disk_test

import (
	"fmt"
	"maps"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/mogilefs/caddy-mogilefs/storage/disk"
)

// crash follows everything done below a root and knows what a power failure would
// leave at any moment: file contents as of their last sync, directories as of theirs.
type crash struct {
	mu    sync.Mutex // guards all below
	base  string
	root  *inode
	after func(*crash) // called after each operation, with the lock held
}

type inode struct {
	live    map[string]*inode // nil for a file
	durable map[string]*inode
	data    []byte
	synced  []byte
	settled bool // synced holds all of data
}

func newDir() *inode { return &inode{live: map[string]*inode{}, durable: map[string]*inode{}} }

func (c *crash) open(path string) (disk.FS, error) {
	dir, err := disk.OpenFS(path)
	if err != nil {
		return nil, err
	}
	rel, err := filepath.Rel(c.base, path)
	return crashFS{dir, c, filepath.ToSlash(rel)}, err
}

// at finds a live directory.
func (c *crash) at(dir string) *inode {
	n := c.root
	for part := range strings.SplitSeq(path.Clean(dir), "/") {
		if part != "." {
			n = n.live[part]
		}
	}
	return n
}

// do changes the system and its picture in one step, so that both agree on the order.
func (c *crash) do(change func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change()
	if c.after != nil {
		c.after(c)
	}
}

// left is the files that a power failure now would leave.
func (n *inode) left(at string, into map[string]string) {
	for name, child := range n.durable {
		if child.live == nil {
			into[path.Join(at, name)] = string(child.synced)
		} else {
			child.left(path.Join(at, name), into)
		}
	}
}

// unsettled lists files that have their final name before their content is on disk:
// a system may write the name out at any moment.
func (n *inode) unsettled(at string) []string {
	var list []string
	for name, child := range n.live {
		switch {
		case child.live != nil:
			list = append(list, child.unsettled(path.Join(at, name))...)
		case !disk.IsTemp(name) && !child.settled:
			list = append(list, path.Join(at, name))
		}
	}
	return list
}

type crashFS struct {
	disk.FS
	c      *crash
	prefix string
}

func (s crashFS) entry(name string) (dir *inode, base string) {
	full := path.Join(s.prefix, name)
	return s.c.at(path.Dir(full)), path.Base(full)
}

func (s crashFS) Create(site disk.Site, name string) (f disk.File, err error) {
	s.c.do(func() {
		if f, err = s.FS.Create(site, name); err == nil {
			n := &inode{settled: true}
			dir, base := s.entry(name)
			dir.live[base] = n
			f = crashFile{f, s.c, n}
		}
	})
	return f, err
}

func (s crashFS) Mkdir(site disk.Site, name string) (err error) {
	s.c.do(func() {
		if err = s.FS.Mkdir(site, name); err == nil {
			dir, base := s.entry(name)
			dir.live[base] = newDir()
		}
	})
	return err
}

func (s crashFS) Rename(site disk.Site, from, to string) (err error) {
	s.c.do(func() {
		if err = s.FS.Rename(site, from, to); err == nil {
			dir, base := s.entry(from)
			n := dir.live[base]
			delete(dir.live, base)
			dir, base = s.entry(to)
			dir.live[base] = n
		}
	})
	return err
}

func (s crashFS) Remove(site disk.Site, name string) (err error) {
	s.c.do(func() {
		if err = s.FS.Remove(site, name); err == nil {
			dir, base := s.entry(name)
			delete(dir.live, base)
		}
	})
	return err
}

func (s crashFS) SyncDir(site disk.Site, name string) error {
	// What is there when the sync begins is on disk when it ends.
	var dir *inode
	var entries map[string]*inode
	s.c.do(func() {
		dir = s.c.at(path.Join(s.prefix, name))
		entries = maps.Clone(dir.live)
	})
	if err := s.FS.SyncDir(site, name); err != nil {
		return err
	}
	s.c.do(func() { dir.durable = entries })
	return nil
}

type crashFile struct {
	disk.File
	c *crash
	n *inode
}

func (f crashFile) Write(p []byte) (int, error) {
	n, err := f.File.Write(p)
	f.c.do(func() {
		f.n.data = append(f.n.data, p[:n]...)
		f.n.settled = false
	})
	return n, err
}

func (f crashFile) Sync() error {
	if err := f.File.Sync(); err != nil {
		return err
	}
	f.c.do(func() { f.n.synced, f.n.settled = f.n.data, true })
	return nil
}

// crashDevice is a device in a root that is followed from its creation.
func crashDevice(t *testing.T) (*disk.Device, *crash) {
	t.Helper()
	c := &crash{base: t.TempDir(), root: newDir()}
	root := newRoot(t, c.base, c.open)
	if err := root.Declare(1); err != nil {
		t.Fatal(err)
	}
	d, err := root.Device(1)
	if err != nil {
		t.Fatal(err)
	}
	return d, c
}

func TestWhatWasCommittedSurvivesACrashAtAnyMoment(t *testing.T) {
	const writers, rounds = 8, 12
	d, c := crashDevice(t)
	acknowledged := make(map[string]string)
	c.after = func(c *crash) {
		left := make(map[string]string)
		c.root.left("", left)
		for name, want := range acknowledged {
			if got, ok := left[name]; !ok || got != want {
				t.Errorf("%s after a crash: got %q, there %v; want %q", name, got, ok, want)
			}
		}
		if list := c.root.unsettled(""); len(list) != 0 {
			t.Errorf("published before their content is on disk: %v", list)
		}
	}
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			for j := range rounds {
				// All meet in the same new directories.
				name := fmt.Sprintf("%d/%03d/x%d", j%3, j/2, i)
				body := fmt.Sprintf("%d-%d", i, j)
				c.do(func() { delete(acknowledged, "dev1/"+name) })
				if err := put(d, name, body); err != nil {
					t.Errorf("put %s: %v", name, err)
				}
				c.do(func() { acknowledged["dev1/"+name] = body })
			}
		})
	}
	wg.Wait()
	if len(acknowledged) == 0 {
		t.Error("nothing was acknowledged")
	}
}

func TestWhatWasRemovedStaysRemovedAfterACrash(t *testing.T) {
	d, c := crashDevice(t)
	if err := put(d, name, "x"); err != nil {
		t.Fatal(err)
	}
	if err := d.Remove(name); err != nil {
		t.Fatal(err)
	}
	left := make(map[string]string)
	c.root.left("", left)
	if len(left) != 0 {
		t.Errorf("after a crash: got %v; want nothing", left)
	}
}

func TestDirectoryMadeAgainIsSyncedAgain(t *testing.T) {
	d, c := crashDevice(t)
	if err := put(d, "a/b/x", "x"); err != nil {
		t.Fatal(err)
	}
	// An operator clears the device while the node runs.
	c.do(func() { c.at("dev1").live = map[string]*inode{} })
	dir, err := disk.OpenFS(d.Path())
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	for _, name := range []string{"a/b/x", "a/b", "a"} {
		if err := dir.Remove("", name); err != nil {
			t.Fatal(err)
		}
	}
	if err := dir.SyncDir("", "."); err != nil {
		t.Fatal(err)
	}
	c.do(func() { c.at("dev1").durable = map[string]*inode{} })

	if err := put(d, "a/b/y", "y"); err != nil {
		t.Fatal(err)
	}
	left := make(map[string]string)
	c.root.left("", left)
	if left["dev1/a/b/y"] != "y" {
		t.Errorf("after a crash: got %v; want dev1/a/b/y", left)
	}
}
