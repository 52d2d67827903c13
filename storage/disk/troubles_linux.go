package disk

import "syscall"

// troubles say that the disk, or the file system on it, is no good: it fails, went
// read-only, was pulled out, is found damaged, or was cut off.
var troubles = []syscall.Errno{
	syscall.EIO, syscall.EROFS, syscall.ENXIO, syscall.ENODEV, syscall.EUCLEAN, syscall.ESTALE, syscall.ENOTCONN, syscall.ESHUTDOWN,
}
