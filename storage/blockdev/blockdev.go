package blockdev

import "time"

// Number tells block devices apart.
type Number struct{ Major, Minor uint32 }

// Place is where a directory's file system is.
type Place struct {
	// Source is what it is mounted from, such as /dev/vda or tmpfs; empty when the
	// system does not say.
	Source string
	// Remote says that another machine, or another process, answers for it, and may not.
	Remote bool
	// Number is that of the file system. Some file systems have one that no block
	// device has.
	Number Number
}

// Counter is what the kernel counts of one block device since the system started.
type Counter struct {
	// Busy is how long requests were in flight.
	Busy time.Duration
	// Running is how many are now, Done how many have ended.
	Running, Done uint64
}

// Kernel reads what the system says of itself.
type Kernel struct{ root string }

// System is the kernel that runs this process.
func System() Kernel { return Kernel{root: "/"} }

// At is a kernel whose /proc and /sys are found below a directory.
func At(root string) Kernel { return Kernel{root: root} }
