//go:build unix

package disk

import (
	"os"
	"syscall"
)

// isMountPoint reports whether the directory, or the one a link names, is on
// another file system than its parent. The path is not cleaned on purpose: the
// system must follow the link before it goes up.
func isMountPoint(path string) (bool, error) {
	own, err := deviceNumber(path)
	if err != nil {
		return false, err
	}
	parent, err := deviceNumber(path + "/..")
	return own != parent, err
}

// deviceNumber is st_dev.
func deviceNumber(path string) (uint64, error) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, err
	}
	return uint64(info.Sys().(*syscall.Stat_t).Dev), nil
}
