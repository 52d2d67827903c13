package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// A file system without a journal is no place to measure uploads on: ext4 without one
// does not give an inode out again for minutes after its file was deleted, and each new
// file steps over all those that are waiting: what was measured would be who deleted what
// before. Nor does anybody keep files on one who wants them back after a power loss.

// workplace makes the directory for everything that is measured. Where the disk has no
// journal it is in an image with one, if that can be mounted. The caller calls remove at
// the end.
func workplace(ctx context.Context, under string) (dir string, remove func() error, err error) {
	dir, err = os.MkdirTemp(under, "mogilefs-bench-")
	if err != nil {
		return "", nil, err
	}
	remove = func() error { return os.RemoveAll(dir) }
	err = errors.Join(onDisk(dir), os.Chmod(dir, 0o755)) // servers run as other users
	if err == nil && !journaled(dir) {
		dir, remove, err = inImage(ctx, dir)
	}
	if err != nil {
		return "", nil, errors.Join(err, remove())
	}
	return dir, remove, nil
}

// onDisk refuses a file system in memory, where a sync costs nothing.
func onDisk(dir string) error {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return fmt.Errorf("look at the file system of %s: %w", dir, err)
	}
	if fs.Type == unix.TMPFS_MAGIC {
		return fmt.Errorf("%s is in memory: name a directory on a disk with -dir", dir)
	}
	return nil
}

// journaled reports whether a file system has a journal, as all but ext4 do, or something
// better.
func journaled(dir string) bool {
	var fs unix.Statfs_t
	var st unix.Stat_t
	if unix.Statfs(dir, &fs) != nil || fs.Type != unix.EXT4_SUPER_MAGIC || unix.Stat(dir, &st) != nil {
		return true
	}
	device, err := os.Readlink(fmt.Sprintf("/sys/dev/block/%d:%d", unix.Major(st.Dev), unix.Minor(st.Dev)))
	if err != nil {
		return true
	}
	journals, err := filepath.Glob("/proc/fs/jbd2/" + filepath.Base(device) + "-*")
	return err != nil || len(journals) > 0
}

// inImage mounts an ext4 as mkfs makes it in a file in dir.
func inImage(ctx context.Context, dir string) (inside string, remove func() error, err error) {
	image, inside := filepath.Join(dir, "image"), filepath.Join(dir, "disk")
	remove = func() error { return os.RemoveAll(dir) }
	if os.Geteuid() != 0 {
		fmt.Fprintf(os.Stderr, "%s is on a file system without a journal, where a new file costs more the more were deleted lately: name another directory with -dir, or run as root\n", dir)
		return dir, remove, nil
	}
	size, err := roomFor(dir)
	if err == nil {
		err = errors.Join(os.Mkdir(inside, 0o755), os.WriteFile(image, nil, 0o600), os.Truncate(image, size))
	}
	for _, command := range [][]string{{"mkfs.ext4", "-q", image}, {"mount", "-o", "loop", image, inside}} {
		if err != nil {
			return dir, remove, err
		}
		var out []byte
		if out, err = exec.CommandContext(ctx, command[0], command[1:]...).CombinedOutput(); err != nil {
			err = fmt.Errorf("%s: %w: %s", command[0], err, out)
		}
	}
	if err != nil {
		return dir, remove, err
	}
	return inside, func() error {
		if err := unix.Unmount(inside, 0); err != nil {
			return fmt.Errorf("unmount %s: %w", inside, err) // and keep the image under it
		}
		return os.RemoveAll(dir)
	}, nil
}

// roomFor is half of what is free. The image takes what is written to it and no more.
func roomFor(dir string) (int64, error) {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return 0, err
	}
	return int64(fs.Bavail) / 2 * fs.Bsize, nil
}
