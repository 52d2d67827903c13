package database

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// scratchPrefix begins the names of scratch directories.
const scratchPrefix = "mogilefs-databases-"

// scratch is a temporary directory that the next test process removes should this
// one be killed. It is held by a lock on it, which ends with its owner.
type scratch struct {
	dir  string
	held *os.File
}

// newScratch makes a scratch directory, and removes those whose owners are gone. The
// lock on the cache keeps others from taking the new one for such before it is held.
func newScratch() (*scratch, error) {
	cache, err := cacheDir()
	if err != nil {
		return nil, err
	}
	all, err := lock(filepath.Join(cache, "scratch.lock"), syscall.LOCK_EX)
	if err != nil {
		return nil, err
	}
	defer all.Close()
	if err := sweep(); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", scratchPrefix)
	if err != nil {
		return nil, err
	}
	held, err := lock(filepath.Join(dir, "lock"), syscall.LOCK_EX)
	return &scratch{dir: dir, held: held}, err
}

// sweep removes what processes left that were killed.
func sweep() error {
	dirs, err := filepath.Glob(filepath.Join(os.TempDir(), scratchPrefix+"*"))
	if err != nil {
		return err
	}
	for _, dir := range dirs {
		held, err := lock(filepath.Join(dir, "lock"), syscall.LOCK_EX|syscall.LOCK_NB)
		if err != nil {
			continue // in use, or another user's
		}
		err = os.RemoveAll(dir)
		if err := errors.Join(err, held.Close()); err != nil {
			return fmt.Errorf("remove what a killed test left: %w", err)
		}
	}
	return nil
}

// remove ends the use of the directory; the zero scratch has none.
func (s *scratch) remove() error {
	if s == nil {
		return nil
	}
	return errors.Join(os.RemoveAll(s.dir), s.held.Close())
}

// cacheDir is where templates are kept: with the user's caches, or where there are
// none, with temporary files.
func cacheDir() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		dir = filepath.Join(os.TempDir(), "cache-"+strconv.Itoa(os.Getuid()))
	}
	dir = filepath.Join(dir, "caddy-mogilefs", "databases")
	return dir, os.MkdirAll(dir, 0o700)
}

// lock takes a file lock that excludes other processes; closing the file releases
// it.
func lock(path string, how int) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), how); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
	}
	return f, nil
}
