package edge

import (
	"os"

	"github.com/mogilefs/caddy-mogilefs/edge/upload"
	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// Disks are the devices of this process, whose copies are reached without HTTP.
type Disks interface {
	// Local reports whether the copy is on one of them: the device is ours and so
	// is the address in the URL. It is asked for every copy of every read.
	Local(c mogile.Copy) bool
	// Open opens a local copy for reading. That it is missing is an error. The
	// caller closes the file.
	Open(c mogile.Copy, fid mogile.FID) (*os.File, error)
	// Create begins a local copy; size is -1 when it is not known. Its errors, and
	// those of the copy, wrap [ErrNoSpace] when the disk is full. The caller calls
	// either Commit or Abort, once.
	Create(c mogile.Copy, fid mogile.FID, size int64) (NewCopy, error)
}

// NewCopy is a copy that is being written.
type NewCopy = upload.Copy

// ErrNoSpace is what errors of destinations wrap when the device is full.
var ErrNoSpace = upload.ErrNoSpace
