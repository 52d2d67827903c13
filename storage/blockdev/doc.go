// Package blockdev tells on which block devices a directory lies, and how busy the
// kernel says they are.
//
// [Kernel.Place] finds what a directory is mounted from. [Kernel.Disks] goes from there
// down to the disks: from a partition to its disk, through LVM, encryption and md to the
// members. [Kernel.Counters] is what the kernel has counted for each of them. A file
// system that is on no block device, such as tmpfs or one of the network, has no disks.
//
// Only Place touches the directory, and not when it is on the network; the others read /proc
// and /sys, and so never wait for a disk that hangs.
package blockdev
