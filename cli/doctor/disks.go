package doctor

import (
	"errors"
	"io/fs"
	"slices"
	"strings"

	"github.com/mogilefs/caddy-mogilefs/cli/screen"
	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// minAvailable is what trackers want free on a device for new files, unless
// min_free_space says otherwise.
const minAvailable = 100 << 20

// aboutDisks judges the device directories of a node of this machine.
func aboutDisks(n Node) report {
	var r report
	if n.Disks == nil {
		return nil
	}
	about := "devices of storage " + n.Name
	disks, err := n.Disks()
	switch {
	case errors.Is(err, fs.ErrNotExist) && len(n.Declared) > 0:
		r.ok(about, "%s is created at the first start", n.Root)
		return r
	case err != nil:
		r.fail(about, "name the directory that holds dev<N> as root, and let the service's user read it", "%v", err)
		return r
	case len(disks) == 0 && len(n.Declared) == 0:
		r.fail(about, "make one there, such as "+n.Root+"/dev1, or name it in devices", "%s has no directory dev<N>", n.Root)
		return r
	}
	for _, d := range disks {
		r.disk(d)
	}
	r.plain(about, disks)
	for _, dev := range n.Declared {
		if !slices.ContainsFunc(disks, func(d Disk) bool { return d.Device == dev }) {
			r.ok("dev"+dev.String(), "is created below %s at the start", n.Root)
		}
	}
	return r
}

func (r *report) disk(d Disk) {
	about := d.Path
	switch {
	case d.Recorded && !d.MountPoint:
		r.fail(about, "mount its disk, or remove .dev"+d.Device.String()+".mounted beside it if it is a plain directory from now on",
			"its disk is not mounted; the node refuses to use the bare directory")
	case errors.Is(d.Trouble, fs.ErrPermission):
		r.fail(about, "give it to the user of the service (chown), and run this as that user", "this user may not write there")
	case d.ReadOnly:
		r.fail(about, "see what the kernel says of the disk (dmesg), and remount it", "its file system is read-only")
	case d.Trouble != nil:
		r.fail(about, "see what the kernel says of the disk (dmesg)", "can't be written: %v", d.Trouble)
	case d.Available < minAvailable:
		r.fail(about, "make room: rebalance, or another disk", "has %s available: it gets no new files", screen.Bytes(d.Available))
	default:
		r.ok(about, "can be written, %s available", screen.Bytes(d.Available))
	}
}

// plain judges devices that are no mount points: they share the disk of their root.
func (r *report) plain(about string, disks []Disk) {
	var names []string
	for _, d := range disks {
		if !d.MountPoint && !d.Recorded && d.Trouble == nil {
			names = append(names, name(d.Device))
		}
	}
	if len(names) > 1 {
		r.warn(about, "mount a disk on each: copies on them are lost together", "%s are directories on one file system", strings.Join(names, ", "))
	}
}

func name(dev mogile.DevID) string { return "dev" + dev.String() }
