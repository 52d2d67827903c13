package blockdev

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Place finds the file system that a directory is on. It waits for the disk when that
// hangs.
func (k Kernel) Place(dir string) (Place, error) {
	path, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return Place{}, fmt.Errorf("find source of %s: %w", dir, err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return Place{}, fmt.Errorf("find source of %s: %w", dir, err)
	}
	mounts, err := os.ReadFile(filepath.Join(k.root, "proc/self/mountinfo"))
	if err != nil {
		return Place{}, fmt.Errorf("find source of %s: %w", dir, err)
	}
	dev := uint64(info.Sys().(*syscall.Stat_t).Dev)
	return Place{
		Source: sourceOf(string(mounts), path),
		Number: Number{Major: unix.Major(dev), Minor: unix.Minor(dev)},
	}, nil
}

// sourceOf picks the longest mount point above path, and the last of several on the
// same one, since that hides the others.
//
// A line is "36 35 98:0 /inside /mount/point rw master:1 - ext4 /dev/sda1 rw"; before
// the dash any number of fields may stand.
func sourceOf(mountinfo, path string) string {
	source, longest := "", -1
	for line := range strings.Lines(mountinfo) {
		before, after, ok := strings.Cut(line, " - ")
		mount, kind := strings.Fields(before), strings.Fields(after)
		if !ok || len(mount) < 5 || len(kind) < 2 {
			continue
		}
		at := strings.TrimSuffix(unescape(mount[4]), "/")
		if (path == at || strings.HasPrefix(path, at+"/")) && len(at) >= longest {
			source, longest = unescape(kind[1]), len(at)
		}
	}
	return source
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
