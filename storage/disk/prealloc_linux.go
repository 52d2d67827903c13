package disk

import (
	"golang.org/x/sys/unix"
)

// preallocate keeps the length, so that the bytes written stay the ones counted.
func preallocate(fd int, size int64) error {
	return unix.Fallocate(fd, unix.FALLOC_FL_KEEP_SIZE, 0, size)
}
