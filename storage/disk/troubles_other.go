//go:build !linux

package disk

import "syscall"

// troubles say that the disk, or the file system on it, is no good.
var troubles = []syscall.Errno{syscall.EIO, syscall.EROFS, syscall.ENXIO, syscall.ENODEV}

// cutOff is not known here.
var cutOff = []syscall.Errno{}
