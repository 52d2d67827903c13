package disk

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Source is what the device's file system is mounted from, such as /dev/vda.
func (d *Device) Source() (string, error) {
	path, err := filepath.EvalSymlinks(d.path)
	if err != nil {
		return "", fmt.Errorf("find source of %s: %w", d.path, err)
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return "", fmt.Errorf("find source of %s: %w", d.path, err)
	}
	return sourceOf(string(mounts), path), nil
}

// sourceOf picks the longest mount point above path, and the last of several on the
// same one, since that hides the others.
func sourceOf(mounts, path string) string {
	source, longest := "", -1
	for line := range strings.Lines(mounts) {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		at := strings.TrimSuffix(unescape(fields[1]), "/")
		if (path == at || strings.HasPrefix(path, at+"/")) && len(at) >= longest {
			source, longest = unescape(fields[0]), len(at)
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

// Number is the number of the block device that the directory is on, as in
// [Activity]. File systems without a block device of their own have numbers that
// Activity does not know.
func (d *Device) Number() (Number, error) {
	n, err := deviceNumber(d.path)
	if err != nil {
		return Number{}, fmt.Errorf("number of %s: %w", d.path, err)
	}
	return Number{Major: unix.Major(n), Minor: unix.Minor(n)}, nil
}

// Activity is how long each block device was busy since the system started.
func Activity() (map[Number]time.Duration, error) {
	text, err := os.ReadFile("/proc/diskstats")
	if err != nil {
		return nil, fmt.Errorf("read activity: %w", err)
	}
	stats := parseDiskstats(text)
	if len(stats) == 0 {
		return nil, errors.New("read activity: /proc/diskstats has no lines")
	}
	return stats, nil
}

// busyField is the column of /proc/diskstats with the milliseconds during which
// requests were in flight, counted from 0.
const busyField = 12

func parseDiskstats(text []byte) map[Number]time.Duration {
	stats := make(map[Number]time.Duration)
	for line := range bytes.Lines(text) {
		fields := strings.Fields(string(line))
		if len(fields) <= busyField {
			continue
		}
		major, merr := strconv.ParseUint(fields[0], 10, 32)
		minor, nerr := strconv.ParseUint(fields[1], 10, 32)
		busy, berr := strconv.ParseUint(fields[busyField], 10, 62)
		if errors.Join(merr, nerr, berr) == nil {
			stats[Number{uint32(major), uint32(minor)}] = time.Duration(busy) * time.Millisecond
		}
	}
	return stats
}
