package sqlstore

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

func TestTheLockNumberIsThePeers(t *testing.T) {
	// printf 'mgfs:reaper' | md5sum, first 4 bytes, without the sign
	for name, want := range map[string]uint32{"mgfs:reaper": 2048622148, "mgfs:fid:1:replicate": 637316723} {
		if got := lockID(name); got != want {
			t.Errorf("lock id of %s: got %d; want %d", name, got, want)
		}
	}
}

// deadPid is the number of a process that has ended and was waited for.
func deadPid(t *testing.T) int {
	t.Helper()
	child := exec.Command(os.Args[0], "-test.run=^$")
	if err := child.Run(); err != nil {
		t.Fatal(err)
	}
	return child.Process.Pid
}

func TestALockIsTakenOverOnlyFromTheDead(t *testing.T) {
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().Unix()
	for what, c := range map[string]struct {
		host     string
		pid      int
		acquired int64
		free     bool
	}{
		"another host":               {"elsewhere", 1, now, false},
		"another host, for long":     {"elsewhere", 1, now - staleLock - 10, true},
		"another process":            {host, os.Getppid(), now, false},
		"another process, for long":  {host, os.Getppid(), now - staleLock - 10, true},
		"a process that is gone":     {host, deadPid(t), now, true},
		"another store of ours":      {host, os.Getpid(), now + 1, false},
		"a predecessor with our pid": {host, os.Getpid(), born - 1, true},
	} {
		s := mustOpen(t, memory)
		raw(t, s, fmt.Sprintf("INSERT INTO lock (lockid, hostname, pid, acquiredat) VALUES (%d, '%s', %d, %d)",
			lockID("name"), c.host, c.pid, c.acquired))
		release, err := s.Lock(t.Context(), "name", 0)
		if (err == nil) != c.free || (err != nil && !errors.Is(err, store.ErrLocked)) {
			t.Errorf("lock held by %s: got error %v; want it free: %v", what, err, c.free)
		}
		want := int64(1)
		if err == nil {
			release()
			want = 0
		}
		if got := number(t, s, "SELECT COUNT(*) FROM lock"); got != want {
			t.Errorf("locks after %s: got %d; want %d", what, got, want)
		}
	}
}

func TestAReleaseLeavesTheLockOfASuccessor(t *testing.T) {
	s := mustOpen(t, memory)
	release, err := s.Lock(t.Context(), "name", 0)
	if err != nil {
		t.Fatal(err)
	}
	raw(t, s, "UPDATE lock SET hostname = 'elsewhere'")
	release()
	if got := number(t, s, "SELECT COUNT(*) FROM lock"); got != 1 {
		t.Errorf("locks after the release: got %d; want the successor's", got)
	}
}

func TestGatesAreForgotten(t *testing.T) {
	s := mustOpen(t, memory)
	release, err := s.Lock(t.Context(), "name", 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Lock(t.Context(), "name", 0); !errors.Is(err, store.ErrLocked) {
		t.Errorf("lock what is held: got %v; want %v", err, store.ErrLocked)
	}
	release()
	release() // harmless
	if got := s.gates.Used(); got != 0 {
		t.Errorf("gates when nobody locks: got %d; want 0", got)
	}
}
