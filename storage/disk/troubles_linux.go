package disk

import "syscall"

// troubles say that the disk, or the file system on it, is no good: it fails, went
// read-only, was pulled out, is found damaged, or was cut off.
var troubles = append([]syscall.Errno{syscall.EIO, syscall.EROFS, syscall.ENXIO, syscall.ENODEV, syscall.EUCLEAN}, cutOff...)

// cutOff is what file systems of the network say when their server is gone, each in its own
// words: FUSE when its process is (ENOTCONN, ECONNABORTED), NFS when the server knows the
// directory no more (ESTALE) or does not answer and need not be waited for (ETIMEDOUT), SMB
// (EHOSTDOWN), Ceph (ESHUTDOWN).
var cutOff = []syscall.Errno{
	syscall.ENOTCONN, syscall.ECONNABORTED, syscall.ESTALE, syscall.ETIMEDOUT, syscall.EHOSTDOWN, syscall.ESHUTDOWN,
}
