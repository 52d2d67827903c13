package database

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// populate gives a server its data directory, a copy of the template, unless it is
// there.
func populate(e engine, data string) error {
	if _, err := os.Stat(data); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	template, err := template(e)
	if err != nil {
		return fmt.Errorf("prepare a data directory of %s: %w", e.name(), err)
	}
	return copyTree(template, data)
}

// template is the prepared data directory for a kind of server, made when it is
// not there. Test packages run side by side, so one makes it and the others wait.
func template(e engine) (string, error) {
	recipe, err := e.recipe()
	if err != nil {
		return "", err
	}
	hash := sha256.Sum256([]byte(recipe))
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	ready := filepath.Join(cache, e.name()+"-"+hex.EncodeToString(hash[:8]))
	held, err := lock(ready+".lock", syscall.LOCK_EX)
	if err != nil {
		return "", err
	}
	defer held.Close()
	if _, err := os.Stat(ready); !errors.Is(err, fs.ErrNotExist) {
		return ready, err
	}
	return ready, makeTemplate(e, ready)
}

// makeTemplate prepares a data directory where the server's user can reach it, and
// moves it to where it is kept.
func makeTemplate(e engine, ready string) error {
	work, err := os.MkdirTemp("", "mogilefs-template-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	data := filepath.Join(work, "data")
	if err := e.prepare(data); err != nil {
		return err
	}
	return copyTree(data, ready)
}

// copyTree copies a directory with owners and holes, sharing the blocks where the
// file system can.
//
// Order: 1. the copy, under another name; 2. the rename. A crash after 1 leaves a
// half copy that the next one removes.
func copyTree(from, to string) error {
	half := to + ".half"
	if err := os.RemoveAll(half); err != nil {
		return err
	}
	if err := run(exec.Command("cp", "-a", "--reflink=auto", "--sparse=always", from, half)); err != nil {
		return err
	}
	return os.Rename(half, to)
}

// open lets other users pass through the directories above a data directory, which
// the testing package makes for their owner only. It touches temporary ones; others
// are for whoever chose them.
func open(dir string) error {
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil {
			return err
		}
		mode := info.Mode().Perm()
		if mode&0o001 != 0 {
			continue
		}
		if !strings.HasPrefix(dir, filepath.Clean(os.TempDir())+"/") {
			return fmt.Errorf("PostgreSQL refuses to run as root, and no other user may pass through %s: "+
				"choose another directory, or run chmod o+x %s", dir, dir)
		}
		if err := os.Chmod(dir, mode|0o011); err != nil {
			return err
		}
	}
	return nil
}
