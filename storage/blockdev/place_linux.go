package blockdev

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Place finds the file system that a directory is on. It waits for the disk when that
// hangs, but not for another machine.
func (k Kernel) Place(dir string) (Place, error) {
	mounts, err := os.ReadFile(filepath.Join(k.root, "proc/self/mountinfo"))
	if err != nil {
		return Place{}, fmt.Errorf("find source of %s: %w", dir, err)
	}
	if m := mountOf(string(mounts), named(dir)); m.remote() {
		return m.place(), nil
	}
	path, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return Place{}, fmt.Errorf("find source of %s: %w", dir, err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return Place{}, fmt.Errorf("find source of %s: %w", dir, err)
	}
	place := mountOf(string(mounts), path).place()
	// Some file systems give a directory another number than the mount has.
	dev := uint64(info.Sys().(*syscall.Stat_t).Dev)
	place.Number = Number{Major: unix.Major(dev), Minor: unix.Minor(dev)}
	return place, nil
}

// IsRemote reports whether a directory is the mount point of a file system of the network, or
// a link to one, without touching it.
func (k Kernel) IsRemote(dir string) bool {
	mounts, err := os.ReadFile(filepath.Join(k.root, "proc/self/mountinfo"))
	if err != nil {
		return false
	}
	path := named(dir)
	m := mountOf(string(mounts), path)
	return m.at == path && m.remote()
}

// named follows the one link that a device directory may be, and the links above it. It asks
// nothing of what is mounted on the directory.
func named(dir string) string {
	if to, err := os.Readlink(dir); err == nil {
		if filepath.IsAbs(to) {
			return filepath.Clean(to)
		}
		dir = filepath.Join(filepath.Dir(dir), to)
	}
	above, err := filepath.EvalSymlinks(filepath.Dir(dir))
	if err != nil {
		return dir
	}
	return filepath.Join(above, filepath.Base(dir))
}

// mount is a line of mountinfo.
type mount struct {
	at, kind, source string
	number           Number
}

// remoteKinds are the file systems that another machine answers for. Those of FUSE, whose
// names begin so, are some process's.
var remoteKinds = []string{
	"nfs", "nfs4", "cifs", "smb3", "smbfs", "ceph", "9p", "virtiofs", "afs", "coda", "lustre", "gpfs", "beegfs", "pvfs2", "autofs",
}

func (m mount) remote() bool {
	return slices.Contains(remoteKinds, m.kind) || m.kind == "fuse" || m.kind == "fuseblk" || strings.HasPrefix(m.kind, "fuse.")
}

func (m mount) place() Place { return Place{Source: m.source, Number: m.number, Remote: m.remote()} }

// mountOf picks the longest mount point above path, and the last of several on the
// same one, since that hides the others.
//
// A line is "36 35 98:0 /inside /mount/point rw master:1 - ext4 /dev/sda1 rw"; before
// the dash any number of fields may stand.
func mountOf(mountinfo, path string) (found mount) {
	longest := -1
	for line := range strings.Lines(mountinfo) {
		before, after, ok := strings.Cut(line, " - ")
		fields, kind := strings.Fields(before), strings.Fields(after)
		if !ok || len(fields) < 5 || len(kind) < 2 {
			continue
		}
		at := strings.TrimSuffix(unescape(fields[4]), "/")
		if (path == at || strings.HasPrefix(path, at+"/")) && len(at) >= longest {
			longest = len(at)
			found = mount{at: at, kind: kind[0], source: unescape(kind[1])}
			if _, err := fmt.Sscanf(fields[2], "%d:%d", &found.number.Major, &found.number.Minor); err != nil {
				found.number = Number{} // of no device
			}
		}
	}
	return found
}

// unescape undoes the octal escapes of blanks, tabs, line feeds and backslashes.
func unescape(s string) string {
	var b strings.Builder
	for {
		at := strings.IndexByte(s, '\\')
		if at < 0 || at+4 > len(s) {
			return b.String() + s
		}
		b.WriteString(s[:at])
		n, err := strconv.ParseUint(s[at+1:at+4], 8, 8)
		if err != nil {
			b.WriteString(s[at : at+4])
		} else {
			b.WriteByte(byte(n))
		}
		s = s[at+4:]
	}
}
