package openfiles

import (
	"io/fs"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mogilefs/caddy-mogilefs/storage/disk"
)

// fileState is what the system says of an open file. Anything done to its bytes, rights
// or names changes it: a removal, or another file in its place, the number of links
// and the time of the last change.
type fileState struct {
	size     int64
	modified time.Time
	mode     fs.FileMode
	changed  unix.Timespec
	links    uint64
}

func stateOf(r disk.Reader) (fileState, error) {
	f := r.Bare()
	if f == nil {
		info, err := r.Stat()
		if err != nil {
			return fileState{}, err
		}
		return fileState{size: info.Size(), modified: info.ModTime(), mode: info.Mode()}, nil
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return fileState{}, &fs.PathError{Op: "stat", Path: f.Name(), Err: err}
	}
	s := fileState{
		size: st.Size, modified: time.Unix(st.Mtim.Unix()),
		mode: fs.FileMode(st.Mode & 0o777), changed: st.Ctim, links: uint64(st.Nlink)}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
	case unix.S_IFDIR:
		s.mode |= fs.ModeDir
	default:
		s.mode |= fs.ModeIrregular
	}
	return s, nil
}

// unchangedSince reports whether nothing has happened to the file since t.
func (s fileState) unchangedSince(t time.Time) bool { return time.Unix(s.changed.Unix()).Before(t) }
