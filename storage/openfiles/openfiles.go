package openfiles

import (
	"fmt"
	"hash/maphash"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mogilefs/caddy-mogilefs/storage/disk"
)

const (
	// MaxShared is the size of the largest files that many read at once: those that one
	// read takes. A larger one is sent from where it stands, so that each reader has it for
	// himself, and it is kept open for the next one.
	MaxShared = 64 << 10
	// openFor is how long a file is kept open. What happens to the file itself is seen
	// at once; only what happens to a directory above it, or to the mount, is not.
	openFor = time.Second
	// settledFor is how long nothing must have happened to a file for it to be kept.
	// Otherwise it might have been opened just before something did, and looked at just
	// after: then that would never be seen.
	settledFor = time.Second
	// openSlots bounds the files that are kept open.
	openSlots = 1024
)

// Set opens files for reading, and keeps those open that are read over and over.
// T is what the caller says about a file whenever it is read, and is made once.
//
// A file that is kept is looked at again (fstat) before each use: whatever was done to
// it or to its name, by us or by others, has changed its number of links or its times,
// and then it is opened anew. Its methods may be called by many goroutines.
type Set[T any] struct {
	describe func(name string, size int64, modified time.Time) T
	seed     maphash.Seed
	settled  time.Duration
	slots    [openSlots]slot[T]
}

// slot has room for one file.
type slot[T any] struct {
	mu     sync.Mutex // guards all below
	file   *File[T]
	closed bool
	// missed is the hash of the file that was asked for last and was not there. Only
	// one that is asked for twice in a row is kept: most are read once.
	missed uint64
}

// File is a file open for reading. Whoever got it must call Release.
type File[T any] struct {
	// About is what describe said; only for regular files.
	About T

	device *disk.Device
	name   string
	file   disk.Reader
	state  fileState
	opened time.Time
	users  atomic.Int32 // the slot is one
	home   *slot[T]     // where a large file goes when its reader is done; nil: nowhere
}

// New returns an empty set. CloseIdle must be called from time to time and
// Close in the end.
func New[T any](describe func(name string, size int64, modified time.Time) T) *Set[T] {
	return &Set[T]{describe: describe, seed: maphash.MakeSeed(), settled: settledFor}
}

// Open opens a file of a device; errors are those of [disk.Device.Open]. None is kept of a
// device that is remote: what others did to it there can't be seen, and one that is removed
// while it is open stays there under another name.
func (s *Set[T]) Open(d *disk.Device, name string) (*File[T], error) {
	if d.Remote() {
		return s.OpenAlone(d, name)
	}
	hash := maphash.String(s.seed, name)
	slot := &s.slots[hash%openSlots]
	f, keep := slot.get(d, name, hash)
	if f != nil {
		return f, nil
	}
	began := time.Now()
	f, err := s.OpenAlone(d, name)
	if err == nil && keep && f.state.mode.IsRegular() && f.state.unchangedSince(began.Add(-s.settled)) {
		f.opened = began
		if f.state.size <= MaxShared {
			slot.put(f)
		} else {
			f.home = slot
		}
	}
	return f, err
}

// OpenAlone opens a file for one reader.
func (s *Set[T]) OpenAlone(d *disk.Device, name string) (*File[T], error) {
	file, err := d.Open(name)
	if err != nil {
		return nil, err
	}
	f := &File[T]{device: d, name: name, file: file}
	f.users.Store(1)
	if f.state, err = stateOf(file); err != nil {
		f.Release()
		return nil, fmt.Errorf("look at %s: %w", name, err)
	}
	if f.state.mode.IsRegular() {
		f.About = s.describe(name, f.state.size, f.state.modified)
	}
	return f, nil
}

// get returns the file when it is there and as it was. keep says whether it should be
// put there.
func (s *slot[T]) get(d *disk.Device, name string, hash uint64) (f *File[T], keep bool) {
	s.mu.Lock()
	f = s.file
	if f == nil || f.device != d || f.name != name {
		keep = s.missed == hash && !s.closed
		s.missed = hash
		s.mu.Unlock()
		return nil, keep
	}
	alone := f.home != nil
	if alone {
		s.file = nil
	} else {
		f.users.Add(1)
	}
	s.mu.Unlock()
	// Outside the lock, as it may have to wait for a disk.
	if time.Since(f.opened) < openFor && f.unchanged() {
		return f, false
	}
	if alone {
		f.home = nil
	} else {
		s.drop(f)
	}
	f.Release()
	return nil, true
}

func (s *slot[T]) put(f *File[T]) {
	s.mu.Lock()
	old := s.file
	if s.closed {
		old = nil
	} else {
		f.users.Add(1)
		s.file = f
	}
	s.mu.Unlock()
	if old != nil {
		old.Release()
	}
}

// drop empties the slot if f is still there.
func (s *slot[T]) drop(f *File[T]) {
	s.mu.Lock()
	there := s.file == f
	if there {
		s.file = nil
	}
	s.mu.Unlock()
	if there {
		f.Release()
	}
}

// CloseIdle closes what has been open for long and is not read right now. A disk can be
// unmounted a moment after nobody reads from it any more.
func (s *Set[T]) CloseIdle() {
	for i := range s.slots {
		s.slots[i].closeIf(func(f *File[T]) bool { return time.Since(f.opened) >= openFor }, false)
	}
}

// Close closes all files that nobody reads; the others are by their readers. No file is
// kept open from then on.
func (s *Set[T]) Close() {
	for i := range s.slots {
		s.slots[i].closeIf(func(*File[T]) bool { return true }, true)
	}
}

func (s *slot[T]) closeIf(cond func(*File[T]) bool, forGood bool) {
	s.mu.Lock()
	f := s.file
	s.closed = s.closed || forGood
	if f != nil && cond(f) {
		s.file = nil
	} else {
		f = nil
	}
	s.mu.Unlock()
	if f != nil {
		f.Release()
	}
}

// Release ends the use of the file.
func (f *File[T]) Release() {
	if f.users.Add(-1) == 0 && !f.goHome() {
		f.file.Close()
	}
}

// goHome leaves a large file to the next reader, if nothing else is there in the meantime.
func (f *File[T]) goHome() bool {
	s := f.home
	if s == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.file != nil || time.Since(f.opened) >= openFor {
		return false
	}
	f.users.Store(1)
	s.file = f
	return true
}

func (f *File[T]) unchanged() bool {
	now, err := stateOf(f.file)
	return err == nil && now == f.state
}

// Size is the file's length when it was looked at.
func (f *File[T]) Size() int64 { return f.state.size }

// Mode is the file's type and rights.
func (f *File[T]) Mode() fs.FileMode { return f.state.mode }

// ReadAt reads without a position, so that others may read at the same time.
func (f *File[T]) ReadAt(p []byte, off int64) (int, error) { return f.file.ReadAt(p, off) }

// Alone returns the file itself, which may stand anywhere, and whose position is then the caller's
// until Release. Only one from OpenAlone, or of more than [MaxShared] bytes, may be asked for it: others may
// have another reader. It is nil on a device that is remote, see [disk.Reader.Bare].
func (f *File[T]) Alone() *os.File { return f.file.Bare() }
