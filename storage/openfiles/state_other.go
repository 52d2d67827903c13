//go:build !linux

package openfiles

import (
	"io/fs"
	"time"

	"github.com/mogilefs/caddy-mogilefs/storage/disk"
)

// fileState is what the system says of an open file.
type fileState struct {
	size     int64
	modified time.Time
	mode     fs.FileMode
}

func stateOf(f disk.Reader) (fileState, error) {
	info, err := f.Stat()
	if err != nil {
		return fileState{}, err
	}
	return fileState{size: info.Size(), modified: info.ModTime(), mode: info.Mode()}, nil
}

// unchangedSince is not known here.
func (fileState) unchangedSince(time.Time) bool { return false }
