package storage_test

import (
	"errors"
	"syscall"

	"github.com/mogilefs/caddy-mogilefs/storage/disk"
)

// full is a disk on which nothing can be written, though there is room.
func full(path string) (disk.FS, error) {
	dir, err := disk.OpenFS(path)
	return broken{FS: dir, write: syscall.ENOSPC}, err
}

// readOnly is a disk that went read-only.
func readOnly(path string) (disk.FS, error) {
	dir, err := disk.OpenFS(path)
	return broken{FS: dir, write: syscall.EROFS}, err
}

// unsyncable is a disk that takes bytes and then fails.
func unsyncable(path string) (disk.FS, error) {
	dir, err := disk.OpenFS(path)
	return broken{FS: dir, sync: syscall.EIO}, err
}

// crowded is a disk with 100 bytes left.
func crowded(path string) (disk.FS, error) {
	dir, err := disk.OpenFS(path)
	return broken{FS: dir, write: errors.New("must not be written to"), space: &disk.Space{Used: 1 << 20, Available: 100}}, err
}

type broken struct {
	disk.FS
	write, sync error
	space       *disk.Space
}

func (b broken) Create(site disk.Site, name string) (disk.File, error) {
	f, err := b.FS.Create(site, name)
	return brokenFile{f, b}, err
}

func (b broken) Space(site disk.Site) (disk.Space, error) {
	if b.space != nil {
		return *b.space, nil
	}
	return b.FS.Space(site)
}

type brokenFile struct {
	disk.File
	b broken
}

func (f brokenFile) Write(p []byte) (int, error) {
	if f.b.write != nil {
		return 0, f.b.write
	}
	return f.File.Write(p)
}

func (f brokenFile) Sync() error {
	if f.b.sync != nil {
		return f.b.sync
	}
	return f.File.Sync()
}
