//go:build unix && !solaris && !aix

package disk

import (
	"io"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// hold locks a file that was just created, until what it returns is closed: the
// file's own descriptor may be closed before. The system gives the lock back by
// itself when the process dies. there is false when the file was removed before it
// was locked.
func hold(f *os.File) (held io.Closer, there bool, err error) {
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, false, os.NewSyscallError("dup", err)
	}
	dup := os.NewFile(uintptr(fd), f.Name())
	if unix.Flock(fd, unix.LOCK_EX) != nil {
		// A network file system without locks. No sweep gets one there either,
		// and so removes nothing.
		return dup, true, nil
	}
	info, err := dup.Stat()
	if err != nil {
		dup.Close()
		return nil, false, err
	}
	return dup, info.Sys().(*syscall.Stat_t).Nlink > 0, nil
}

// abandoned takes the lock of a file until f is closed, unless a process holds it. One that
// another sweep has removed meanwhile is not: a new file may have its name.
func abandoned(f *os.File) bool {
	if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Sys().(*syscall.Stat_t).Nlink > 0
}
