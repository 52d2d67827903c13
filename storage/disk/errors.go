package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"syscall"

	"github.com/mogilefs/caddy-mogilefs/storage/guard"
)

// What a caller has to tell apart; all else is trouble of the disk. Opening or
// removing a file that is not there gives fs.ErrNotExist, one behind a link that
// leaves the device fs.ErrPermission.
var (
	// ErrNoSpace is a full disk, a quota or a limit of the file size.
	ErrNoSpace = errors.New("no space on device")
	// ErrNoDevice is a dev<N> directory that does not exist.
	ErrNoDevice = errors.New("device directory does not exist")
	// ErrNotMounted is a dev<N> that was a mount point once and is none now.
	ErrNotMounted = errors.New("device directory is not mounted")
	// ErrReplaced is a dev<N> that is another directory than when a file was begun.
	ErrReplaced = errors.New("device directory was replaced meanwhile")
	// ErrLength is a file that got more or fewer bytes than were announced.
	ErrLength = errors.New("length differs from what was announced")
	// ErrIsDir is a directory where a file was meant.
	ErrIsDir = errors.New("is a directory")
	// ErrStalled is a device on which an operation has not ended for long.
	ErrStalled = guard.ErrStalled
	// ErrBusy is a device for which too many wait.
	ErrBusy = guard.ErrBusy
	// ErrCutOff is a device that nothing can be had from: the machine it is on, or the way
	// there, is gone.
	ErrCutOff = errors.New("device is cut off")
)

// classed adds the sentinel an error of the system stands for.
func classed(err error) error {
	switch {
	case err == nil || errors.Is(err, ErrNoSpace) || errors.Is(err, ErrIsDir):
		return err
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT), errors.Is(err, syscall.EFBIG):
		return fmt.Errorf("%w: %w", ErrNoSpace, err)
	case errors.Is(err, syscall.EISDIR):
		return fmt.Errorf("%w: %w", ErrIsDir, err)
	case isCutOff(err) && !errors.Is(err, ErrCutOff):
		return fmt.Errorf("%w: %w", ErrCutOff, err)
	}
	return err
}

// isCutOff tells a device of which nothing is left from one that has a bad spot.
func isCutOff(err error) bool {
	return slices.ContainsFunc(cutOff, func(e syscall.Errno) bool { return errors.Is(err, e) })
}

// escaped recognises the refusal of os.Root, whose error value is not exported: it
// is the one path error that carries no number of the system.
func escaped(err error) error {
	var path *fs.PathError
	var errno syscall.Errno
	if errors.As(err, &path) && !errors.As(err, &errno) && !errors.Is(err, fs.ErrClosed) {
		return fmt.Errorf("%w: %w", fs.ErrPermission, err)
	}
	return err
}
