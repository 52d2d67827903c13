package background_test

import (
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/mogilefs/caddy-mogilefs/storage/background"
)

func TestLowPriorityEndsWithItsWork(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	priority := func() uintptr {
		p, _, errno := unix.RawSyscall(unix.SYS_IOPRIO_GET, 1, 0, 0)
		if errno != 0 {
			t.Fatalf("ask for the priority: %v", errno)
		}
		return p
	}
	before, called := priority(), false
	background.AtLowPriority(func() {
		called = true
		if got, want := priority(), uintptr(2<<13|7); got != want {
			t.Errorf("within: got %#x; want %#x, the lowest that makes progress", got, want)
		}
	})
	if after := priority(); !called || after != before {
		t.Errorf("got %#x, called %v; want %#x again", after, called, before)
	}
}
