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
	return spaceIn(&st), nil
}

func spaceIn(st *unix.Statfs_t) Space {
	// Blocks are counted in fragments; network file systems have both sizes.
	unit := int64(st.Frsize)
	if unit == 0 {
		unit = int64(st.Bsize)
	}
	return Space{
		Used:      int64(st.Blocks-st.Bfree) * unit,
		Available: int64(st.Bavail) * unit,
		ReadOnly:  st.Flags&unix.ST_RDONLY != 0,
	}
}
