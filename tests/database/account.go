package database

import (
	"fmt"
	"os"
	"os/exec"
	osuser "os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// account is the user of the system that a server runs as. PostgreSQL refuses to be
// root, and so does rsync, with which MariaDB's nodes copy each other.
type account struct{ uid, gid int }

// accountOf is the user of this process, or when that is root, the first of the
// names that exists, or nobody.
func accountOf(names ...string) (account, error) {
	if os.Geteuid() != 0 {
		return account{os.Geteuid(), os.Getegid()}, nil
	}
	for _, name := range append(names, "nobody") {
		u, err := osuser.Lookup(name)
		if err != nil {
			continue // the next one
		}
		uid, err := strconv.Atoi(u.Uid)
		if err != nil {
			return account{}, err
		}
		gid, err := strconv.Atoi(u.Gid)
		return account{uid, gid}, err
	}
	return account{}, fmt.Errorf("no user %q, as which servers run when their tests are root's", append(names, "nobody"))
}

// run makes a command on a data directory run as the account, which can then reach
// the directory.
func (a account) run(cmd *exec.Cmd, data string) error {
	cmd.Dir = filepath.Dir(data)
	if a.uid == os.Geteuid() {
		return nil
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Credential: &syscall.Credential{Uid: uint32(a.uid), Gid: uint32(a.gid)},
	}
	return open(cmd.Dir)
}

// makeDir makes a directory for the account alone.
func (a account) makeDir(dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	return os.Chown(dir, a.uid, a.gid)
}

// open lets other users pass through the directories above a data directory, which
// the testing package makes for their owner only. It touches temporary ones; others
// are for whoever chose them.
func open(dir string) error {
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil {
			return err
		}
		mode := info.Mode().Perm()
		if mode&0o001 != 0 {
			continue
		}
		if !strings.HasPrefix(dir, filepath.Clean(os.TempDir())+"/") {
			return fmt.Errorf("database servers don't run as root, and no other user may pass through %s: "+
				"choose another directory, or run chmod o+x %s", dir, dir)
		}
		if err := os.Chmod(dir, mode|0o011); err != nil {
			return err
		}
	}
	return nil
}
