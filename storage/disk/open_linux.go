package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// openBeneath opens a file below dir for reading. It is the hot path: three calls
// of the system, where os.Root needs two for each directory on the way.
func openBeneath(dir, name string) (*os.File, error) {
	base, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: dir, Err: err}
	}
	defer unix.Close(base)
	how := unix.OpenHow{
		Flags:   unix.O_RDONLY | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_MAGICLINKS,
	}
	fd, err := unix.Openat2(base, name, &how)
	switch {
	case err == nil:
		return os.NewFile(uintptr(fd), filepath.Join(dir, name)), nil
	case errors.Is(err, unix.EXDEV), errors.Is(err, unix.ELOOP):
		return nil, fmt.Errorf("%w: %s leads out of %s", fs.ErrPermission, name, dir)
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENOTDIR), errors.Is(err, unix.EACCES):
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	// An old kernel or a sandbox without the call, a rename at the wrong moment
	// (EAGAIN), an interruption: the portable way answers all of them.
	return openInRoot(dir, name)
}
