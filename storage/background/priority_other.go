//go:build !linux

package background

// AtLowPriority calls f so that what it reads from disks comes after what others read; not
// possible here.
func AtLowPriority(f func()) { f() }
