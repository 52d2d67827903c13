//go:build darwin || freebsd

package disk

import (
	"os"

	"golang.org/x/sys/unix"
)

func spaceOf(dir *os.File) (Space, error) {
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(dir.Fd()), &st); err != nil {
		return Space{}, os.NewSyscallError("fstatfs", err)
	}
	unit := int64(st.Bsize)
	// Available is below zero while root eats from its reserve.
	free := max(int64(st.Bavail), 0)
	return Space{
		Used:      int64(st.Blocks-st.Bfree) * unit,
		Available: free * unit,
		ReadOnly:  st.Flags&unix.MNT_RDONLY != 0,
	}, nil
}
