//go:build unix

package disk

import (
	"fmt"
	"syscall"
)

// FileSystemOf tells the file systems of open files apart.
func FileSystemOf(f Reader) (uint64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, fmt.Errorf("find file system: %w", err)
	}
	return uint64(info.Sys().(*syscall.Stat_t).Dev), nil
}
