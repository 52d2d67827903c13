package background

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// The numbers of ioprio_set(2), which x/sys does not name. Lowest is the last level of the
// class that everybody is in: in the idle class a reader on a busy disk would never end.
const (
	ioprioThread     = 1 // IOPRIO_WHO_PROCESS: a thread, in spite of its name; 0 is the caller's
	ioprioClassShift = 13
	ioprioLowest     = 2<<ioprioClassShift | 7 // IOPRIO_CLASS_BE
)

// AtLowPriority calls f so that what it reads from disks comes after what others read, if
// the kernel's scheduler for the disk knows priorities. f must stay in its goroutine.
func AtLowPriority(f func()) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before, _, errno := unix.RawSyscall(unix.SYS_IOPRIO_GET, ioprioThread, 0, 0)
	if errno == 0 && setIOPriority(ioprioLowest) == nil {
		if before>>ioprioClassShift == 0 {
			before = 0 // none, whose level older kernels tell but do not take
		}
		defer setIOPriority(before)
	}
	f()
}

func setIOPriority(priority uintptr) error {
	if _, _, errno := unix.RawSyscall(unix.SYS_IOPRIO_SET, ioprioThread, 0, priority); errno != 0 {
		return errno
	}
	return nil
}
