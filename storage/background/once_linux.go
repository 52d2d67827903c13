package background

import (
	"io"
	"math"
	"os"

	"golang.org/x/sys/unix"
)

// dropEvery is how much of a file is in the system's memory at most, beside what is read ahead.
const dropEvery = 8 << 20

// Once reads a file from its beginning, for somebody who will not do so again. When nothing
// of it was in the system's memory, nothing is left there: what others read over and
// over would have to make room. Where the system can't tell (before Linux 6.5) it stays.
func Once(f *os.File) io.Reader {
	if cold(f) {
		return &onceReader{file: f}
	}
	return io.NewSectionReader(f, 0, math.MaxInt64)
}

func cold(f *os.File) bool {
	var all unix.CachestatRange
	var there unix.Cachestat_t
	err := unix.Cachestat(uint(f.Fd()), &all, &there, 0)
	return err == nil && there.Cache == 0
}

type onceReader struct {
	file         *os.File
	off, dropped int64
}

func (r *onceReader) Read(p []byte) (int, error) {
	n, err := r.file.ReadAt(p, r.off)
	r.off += int64(n)
	upTo := r.off
	switch {
	case err != nil:
		upTo = 0 // the end, with what was read ahead
	case r.off-r.dropped < dropEvery:
		return n, nil
	}
	// From the beginning, as the system keeps a piece of which only a part is meant. A hint, no
	// more: nothing depends on it.
	_ = unix.Fadvise(int(r.file.Fd()), 0, upTo, unix.FADV_DONTNEED)
	r.dropped = r.off
	return n, err
}
