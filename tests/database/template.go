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
	who, err := e.account()
	if err != nil {
		return "", err
	}
	hash := sha256.Sum256(fmt.Append(nil, recipe, who))
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

// makeTemplate prepares a data directory where the server's account can reach it,
// and moves it to where it is kept.
func makeTemplate(e engine, ready string) error {
	work, err := os.MkdirTemp("", "mogilefs-template-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	who, err := e.account()
	if err != nil {
		return err
	}
	data := filepath.Join(work, "data")
	if err := who.makeDir(data); err != nil {
		return err
	}
	steps, err := e.prepare(data)
	if err != nil {
		return err
	}
	for _, cmd := range steps {
		if err := who.run(cmd, data); err != nil {
			return err
		}
		if err := run(cmd); err != nil {
			return err
		}
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
