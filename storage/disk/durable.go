package disk

import (
	"errors"
	"io/fs"
	"path"
	"sync"
)

// dirSyncs lets all who want the same directory synced share the work. The zero
// value is ready.
type dirSyncs struct {
	mu      sync.Mutex // guards the maps
	running map[string]*syncRound
	next    map[string]*syncRound
}

// syncRound is one sync that everyone who joined waits for.
type syncRound struct {
	done chan struct{}
	err  error // set before done is closed
}

var errSyncBroken = errors.New("sync of the directory did not end")

// do runs sync for dir after all that the caller did before. One who comes while a
// sync runs can't rely on that one, since it may have begun before his change: he
// waits for the next, which the first of those waiting runs for all of them.
func (s *dirSyncs) do(dir string, sync func() error) error {
	s.mu.Lock()
	if round := s.next[dir]; round != nil {
		s.mu.Unlock()
		<-round.done
		return round.err
	}
	round, before := &syncRound{done: make(chan struct{})}, s.running[dir]
	if s.next == nil {
		s.next, s.running = make(map[string]*syncRound), make(map[string]*syncRound)
	}
	s.next[dir] = round
	s.mu.Unlock()

	if before != nil {
		<-before.done
	}
	s.begin(dir, round)
	defer s.end(dir, round)
	round.err = errSyncBroken // what the others see when sync panics
	round.err = sync()
	return round.err
}

// begin closes the round to newcomers.
func (s *dirSyncs) begin(dir string, round *syncRound) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.next, dir)
	s.running[dir] = round
}

func (s *dirSyncs) end(dir string, round *syncRound) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.running, dir)
	close(round.done)
}

// maxKnownDirs bounds the memory of knownDirs to a few MiB; beyond it all is
// forgotten, at the cost of one more sync for each directory used again.
const maxKnownDirs = 1 << 16

// knownDirs remembers directories whose own entry is known to be on disk, so that
// only the first file put into one pays for that. The zero value is ready.
type knownDirs struct {
	mu   sync.Mutex // guards dirs
	dirs map[string]struct{}
}

func (k *knownDirs) has(dir string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	_, ok := k.dirs[dir]
	return ok
}

func (k *knownDirs) add(dir string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.dirs == nil || len(k.dirs) >= maxKnownDirs {
		k.dirs = make(map[string]struct{})
	}
	k.dirs[dir] = struct{}{}
}

func (k *knownDirs) forget(dir string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.dirs, dir)
}

func (d *Device) makeParents(dir guarded, name string) error {
	for _, parent := range parents(name) {
		// Forgotten before it is made: whoever finds it from now on must sync its
		// entry himself.
		d.known.forget(dir.key(parent))
		if err := dir.Mkdir(SiteParent, parent); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return nil
}

// settleParents makes the entries of the directories above name lasting. Finding a
// directory does not mean it is on disk: another may have made it a moment ago, or
// a process that is gone.
func (d *Device) settleParents(dir guarded, name string) error {
	for _, parent := range parents(name) {
		if d.known.has(dir.key(parent)) {
			continue
		}
		if err := d.syncDir(dir, SiteParent, path.Dir(parent)); err != nil {
			return err
		}
		d.known.add(dir.key(parent))
	}
	return nil
}

func (d *Device) syncDir(dir guarded, site Site, name string) error {
	return d.dirs.do(dir.key(name), func() error { return dir.SyncDir(site, name) })
}

// parents lists the directories above name, the topmost first, without the device
// directory itself.
func parents(name string) []string {
	var dirs []string
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		dirs = append([]string{dir}, dirs...)
	}
	return dirs
}
