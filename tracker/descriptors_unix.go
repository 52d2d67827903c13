//go:build unix

package tracker

import "syscall"

// descriptors is how many files and sockets the process may have open.
func descriptors() uint64 {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return unbounded
	}
	return uint64(limit.Cur)
}
