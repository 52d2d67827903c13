package disk

import (
	"os"

	"golang.org/x/sys/unix"
)

// preallocate keeps the length, so that the bytes written stay the ones counted.
func preallocate(f *os.File, size int64) error {
	return unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_KEEP_SIZE, 0, size)
}
