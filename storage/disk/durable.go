package disk

import (
	"errors"
	"io/fs"
	"path"
	"sync"
)

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
	return d.dirs.Do(dir.key(name), func() error { return dir.SyncDir(site, name) })
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
