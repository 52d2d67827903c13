package disk

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// Found is what somebody finds of a device directory who only looks, whether or not a node
// serves it.
type Found struct {
	Device mogile.DevID
	Path   string
	// MountPoint says that it is one now, Recorded that it was one when a node last
	// served it.
	MountPoint, Recorded bool
	Space                Space
	// Trouble is why this process can't write there; nil when it can.
	Trouble error
}

// Look looks at the device directories below a root. It writes an empty file into each that
// is not missing its disk, and removes it; nothing else is changed.
func Look(root string) ([]Found, error) {
	r, err := NewRoot(root, Rules{}, nil)
	if err != nil {
		return nil, err
	}
	devs, err := r.List()
	if err != nil {
		return nil, err
	}
	slices.Sort(devs)
	var all []Found
	for _, dev := range devs {
		f := Found{Device: dev, Path: filepath.Join(r.path, "dev"+dev.String())}
		f.Trouble = r.look(&f)
		all = append(all, f)
	}
	return all, nil
}

func (r *Root) look(f *Found) (err error) {
	if f.MountPoint, err = isMountPoint(f.Path); err != nil {
		return err
	}
	if f.Recorded, err = r.mountRecorded(filepath.Base(f.Path)); err != nil {
		return err
	}
	if f.Recorded && !f.MountPoint {
		return ErrNotMounted
	}
	dir, err := os.Open(f.Path)
	if err != nil {
		return err
	}
	defer dir.Close()
	if f.Space, err = spaceOf(dir); err != nil {
		return err
	}
	return tryToWrite(f.Path)
}

func tryToWrite(path string) error {
	f, err := os.CreateTemp(path, ".look-*")
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("close %s: %w", f.Name(), err)
	}
	return os.Remove(f.Name())
}
