package disktest

import (
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/mogilefs/caddy-mogilefs/storage/disk"
)

// Crash follows everything done below a directory and knows what a power failure would
// leave at any moment: file contents as of their last sync, directories as of theirs.
type Crash struct {
	// After, when not nil, is called after each operation, while no other is done. It
	// is set before the first.
	After func(Left)

	base string

	mu   sync.Mutex // guards root
	root *inode
}

// Left is what a power failure would leave.
type Left struct {
	// Files are contents by path, below the directory.
	Files map[string]string
	// Unsettled lists files that have their final name before their content is on
	// disk: a system may write the name out at any moment.
	Unsettled []string
}

// NewCrash follows what is done below base, which is empty.
func NewCrash(base string) *Crash { return &Crash{base: base, root: newDir()} }

// Left is what a power failure would leave now.
func (c *Crash) Left() (left Left) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.leftLocked()
}

func (c *Crash) leftLocked() Left {
	files := make(map[string]string)
	c.root.left("", files)
	return Left{files, c.root.unsettled("")}
}

// Clear forgets all that is below a directory, as an operator does who empties it and
// syncs that.
func (c *Crash) Clear(dir string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.at(dir)
	n.live, n.durable = map[string]*inode{}, map[string]*inode{}
}

// Meanwhile calls f while no operation is done.
func (c *Crash) Meanwhile(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
}

type inode struct {
	live    map[string]*inode // nil for a file
	durable map[string]*inode
	data    []byte
	synced  []byte
	settled bool // synced holds all of data
	// began is how many syncs of the directory there were, ended the latest of those that ended.
	began, ended int
}

func newDir() *inode { return &inode{live: map[string]*inode{}, durable: map[string]*inode{}} }

// Open is a [disk.Opener].
func (c *Crash) Open(path string) (disk.FS, error) {
	dir, err := disk.OpenFS(path)
	if err != nil {
		return nil, err
	}
	rel, err := filepath.Rel(c.base, path)
	return crashFS{dir, c, filepath.ToSlash(rel)}, err
}

// at finds a live directory.
func (c *Crash) at(dir string) *inode {
	n := c.root
	for part := range strings.SplitSeq(path.Clean(dir), "/") {
		if part != "." {
			n = n.live[part]
		}
	}
	return n
}

// do changes the system and its picture in one step, so that both agree on the order.
func (c *Crash) do(change func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change()
	if c.After != nil {
		c.After(c.leftLocked())
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

// unsettled is [Left.Unsettled].
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
	c      *Crash
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

func (s crashFS) OpenAt(site disk.Site, name string, offset int64) (f disk.File, err error) {
	s.c.do(func() {
		if f, err = s.FS.OpenAt(site, name, offset); err != nil {
			return
		}
		dir, base := s.entry(name)
		n := dir.live[base]
		if n == nil {
			n = new(inode)
			dir.live[base] = n
		}
		f = &crashPart{crashFile{f, s.c, n}, offset}
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
	var turn int
	s.c.do(func() {
		dir = s.c.at(path.Join(s.prefix, name))
		entries = maps.Clone(dir.live)
		dir.began++
		turn = dir.began
	})
	if err := s.FS.SyncDir(site, name); err != nil {
		return err
	}
	s.c.do(func() {
		if turn > dir.ended { // or one that began later has put more on disk
			dir.durable, dir.ended = entries, turn
		}
	})
	return nil
}

type crashFile struct {
	disk.File
	c *Crash
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

// crashPart is a file that is written in place. What a sync does not cover is taken for
// lost with the whole file.
type crashPart struct {
	crashFile
	offset int64
}

func (f *crashPart) Write(p []byte) (int, error) {
	n, err := f.File.Write(p)
	f.c.do(func() {
		data := slices.Clone(f.n.data)
		if missing := int(f.offset) + n - len(data); missing > 0 {
			data = append(data, make([]byte, missing)...)
		}
		copy(data[f.offset:], p[:n])
		f.n.data, f.n.settled = data, false
	})
	f.offset += int64(n)
	return n, err
}
