package blockdev

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// maxLayers bounds how deep devices may be stacked: encryption on LVM on md on
// partitions are four.
const maxLayers = 16

// Disks are those that hold a place's bytes, each once, in order. Where a device is made
// of others, those are taken: its own figures say nothing of a member that is busy for
// another. None means that no block device is known.
func (k Kernel) Disks(p Place) []Number {
	dir, ok := k.device(p)
	if !ok {
		return nil
	}
	disks := k.below(dir, maxLayers)
	slices.SortFunc(disks, func(a, b Number) int {
		return cmp.Or(cmp.Compare(a.Major, b.Major), cmp.Compare(a.Minor, b.Minor))
	})
	return slices.Compact(disks)
}

// device finds the kernel's directory of a block device: by the number of the file
// system, or, where that has one of its own, as btrfs does, by the name it is mounted
// from.
func (k Kernel) device(p Place) (string, bool) {
	number := fmt.Sprintf("%d:%d", p.Number.Major, p.Number.Minor)
	if dir, err := filepath.EvalSymlinks(filepath.Join(k.root, "sys/dev/block", number)); err == nil {
		return dir, true
	}
	if !strings.HasPrefix(p.Source, "/dev/") {
		return "", false
	}
	// /dev/mapper/group-volume is a link to /dev/dm-0.
	name := filepath.Join(k.root, p.Source)
	if file, err := filepath.EvalSymlinks(name); err == nil {
		name = file
	}
	dir, err := filepath.EvalSymlinks(filepath.Join(k.root, "sys/class/block", filepath.Base(name)))
	return dir, err == nil
}

// below goes down from a device, whose directory is in the form that the kernel has it.
func (k Kernel) below(dir string, layers int) []Number {
	if _, err := os.Stat(filepath.Join(dir, "partition")); err == nil {
		dir = filepath.Dir(dir)
	}
	var disks []Number
	members, err := os.ReadDir(filepath.Join(dir, "slaves"))
	if err == nil && layers > 0 {
		for _, m := range members {
			if member, err := filepath.EvalSymlinks(filepath.Join(dir, "slaves", m.Name())); err == nil {
				disks = append(disks, k.below(member, layers-1)...)
			}
		}
	}
	if len(disks) > 0 {
		return disks
	}
	if n, ok := numberOf(dir); ok {
		return []Number{n}
	}
	return nil
}

func numberOf(dir string) (n Number, ok bool) {
	text, err := os.ReadFile(filepath.Join(dir, "dev"))
	if err != nil {
		return n, false
	}
	_, err = fmt.Sscanf(string(text), "%d:%d", &n.Major, &n.Minor)
	return n, err == nil
}
