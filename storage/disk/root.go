package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/storage/guard"
	"github.com/mogilefs/caddy-mogilefs/tally"
)

// Root is the directory that holds the device directories.
type Root struct {
	path  string
	open  Opener
	rules Rules
	log   *zap.Logger
}

// Rules hold for all devices of a root.
type Rules struct {
	// Fast leaves out all syncs.
	Fast bool
	// MinFree is how many bytes a new file must leave available on its device.
	MinFree int64
	// Log is told of devices that fail and recover; nil logs nothing.
	Log *zap.Logger
	// Remote tells whether a path is the mount point of a file system that another machine,
	// or process, answers for, without touching it; nil knows none.
	Remote func(path string) bool
	// Tally is where is counted what becomes of files; nil means that nobody wants to know.
	Tally *tally.Storage
}

// NewRoot returns the root at a path. The path is made absolute; nothing is touched.
// A nil open is [OpenFS].
func NewRoot(path string, rules Rules, open Opener) (*Root, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("root %s: %w", path, err)
	}
	if open == nil {
		open = OpenFS
	}
	if rules.Remote == nil {
		rules.Remote = func(string) bool { return false }
	}
	if rules.Log == nil {
		rules.Log = zap.NewNop()
	}
	if rules.Tally == nil {
		rules.Tally = new(tally.Storage)
	}
	return &Root{path: abs, open: open, rules: rules, log: rules.Log}, nil
}

// List names the device directories that are there now, in no order.
func (r *Root) List() ([]mogile.DevID, error) {
	dir, err := r.open(r.path)
	if err != nil {
		return nil, fmt.Errorf("list devices: %w", err)
	}
	defer dir.Close()
	entries, err := dir.ReadDir(SiteDeclare, ".")
	if err != nil {
		return nil, fmt.Errorf("list devices: %w", err)
	}
	var devs []mogile.DevID
	for _, e := range entries {
		// A device may be a link to a directory elsewhere.
		dev, ok := ParseDir(e.Name())
		if ok && (e.IsDir() || e.Type()&fs.ModeSymlink != 0) {
			devs = append(devs, dev)
		}
	}
	return devs, nil
}

// ParseDir reads dev<N>. A number written with leading zeros is another directory
// and no device.
func ParseDir(name string) (mogile.DevID, bool) {
	digits, ok := strings.CutPrefix(name, "dev")
	dev, err := mogile.ParseDevID(digits)
	return dev, ok && err == nil && digits[0] != '0'
}

// Device returns a device whose directory is there; ErrNoDevice when it is not.
func (r *Root) Device(dev mogile.DevID) (*Device, error) {
	base := "dev" + dev.String()
	d := &Device{
		root:    r,
		path:    filepath.Join(r.path, base),
		base:    base,
		reading: guard.New(),
		writing: guard.New(),
	}
	recorded, err := r.mountRecorded(base)
	if err != nil {
		return nil, fmt.Errorf("device %d: %w", dev, err)
	}
	d.mounted.Store(recorded)
	d.recorded.Store(recorded)
	if r.rules.Remote(d.path) {
		// It is there, and to find out more may take for ever.
		d.remote.Store(true)
	} else if err := d.ready(isMountPoint(d.path)); err != nil && !errors.Is(err, ErrNotMounted) {
		return nil, fmt.Errorf("device %d: %w", dev, classed(err))
	}
	d.counts = r.rules.Tally.Devices.At(dev) // not of one that is not there: anybody can ask for any
	return d, nil
}

// recordName is the empty file in the root that says a device was a mount point.
func recordName(base string) string { return "." + base + ".mounted" }

func (r *Root) mountRecorded(base string) (bool, error) {
	dir, err := r.open(r.path)
	if err != nil {
		return false, err
	}
	defer dir.Close()
	_, err = dir.Lstat(SiteMount, recordName(base))
	return err == nil, nil
}

// RecordMount remembers on disk that the device is a mount point, when it is, for
// the day when it is found unmounted. Without write access to the root this fails,
// and the memory lasts as long as the process.
func (d *Device) RecordMount() error {
	if !d.mounted.Load() || d.recorded.Load() {
		return nil
	}
	if err := d.root.recordMount(d.base); err != nil {
		return fmt.Errorf("record mount of %s: %w", d.path, err)
	}
	d.recorded.Store(true)
	return nil
}

func (r *Root) recordMount(base string) error {
	dir, err := r.open(r.path)
	if err != nil {
		return err
	}
	defer dir.Close()
	f, err := dir.Create(SiteMount, recordName(base))
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return dir.SyncDir(SiteMount, ".")
}

// Declare creates a device directory, and the root, when absent. A device that was a
// mount point is not created: its disk is missing.
func (r *Root) Declare(dev mogile.DevID) error {
	base := "dev" + dev.String()
	if err := r.mkdir(r.path); err != nil {
		return fmt.Errorf("create device %d: %w", dev, err)
	}
	dir, err := r.open(r.path)
	if err != nil {
		return fmt.Errorf("create device %d: %w", dev, err)
	}
	defer dir.Close()
	if recorded, err := r.mountRecorded(base); recorded || err != nil {
		return err
	}
	if err := dir.Mkdir(SiteDeclare, base); errors.Is(err, fs.ErrExist) {
		return nil
	} else if err != nil {
		return fmt.Errorf("create device %d: %w", dev, err)
	}
	return dir.SyncDir(SiteDeclare, ".")
}

// mkdir makes a directory and those above it, and syncs each new entry.
func (r *Root) mkdir(path string) error {
	if dir, err := r.open(path); err == nil {
		return dir.Close()
	} else if !errors.Is(err, fs.ErrNotExist) || filepath.Dir(path) == path {
		return err
	}
	if err := r.mkdir(filepath.Dir(path)); err != nil {
		return err
	}
	dir, err := r.open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := dir.Mkdir(SiteDeclare, filepath.Base(path)); err != nil {
		return err
	}
	return dir.SyncDir(SiteDeclare, ".")
}
