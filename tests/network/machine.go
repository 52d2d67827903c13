package network

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

// switches is how many there were, maxSwitches how many addresses are left for.
var switches atomic.Int32

const maxSwitches = 250

// Switch connects machines and the tests. It is gone when the test ends.
type Switch struct {
	// Range is the addresses of its machines, in CIDR notation.
	Range string

	t        testing.TB
	n        int32
	name     string
	machines int
}

// NewSwitch makes a switch. It returns nil where that is not permitted, and the caller has
// nothing to test.
func NewSwitch(t testing.TB) *Switch {
	t.Helper()
	if errNone != nil {
		if os.Getenv("CI") == "true" || os.Getuid() == 0 {
			t.Fatal(errNone)
		}
		t.Logf("%v; there are no machines here", errNone)
		return nil
	}
	n := switches.Add(1)
	if n > maxSwitches {
		t.Fatalf("got switch %d; want at most %d", n, maxSwitches)
	}
	s := &Switch{t: t, n: n, name: fmt.Sprint("switch", n), Range: fmt.Sprintf("10.77.%d.0/24", n)}
	s.must("link", "add", "name", s.name, "type", "bridge")
	t.Cleanup(func() { s.must("link", "del", s.name) })
	s.must("addr", "add", fmt.Sprintf("10.77.%d.254/24", n), "dev", s.name)
	s.must("link", "set", s.name, "up")
	return s
}

func (s *Switch) must(args ...string) {
	s.t.Helper()
	if err := ip(args...); err != nil {
		s.t.Fatal(err)
	}
}

// Machine has an address, and a cable to the switch.
type Machine struct {
	// Name and Address are its own.
	Name, Address string

	s           *Switch
	cable, room string
}

// Connect makes a machine. What runs on it when the test ends must be gone by then.
func (s *Switch) Connect(name string) *Machine {
	s.t.Helper()
	s.machines++
	m := &Machine{
		Name: name, Address: fmt.Sprintf("10.77.%d.%d", s.n, s.machines), s: s,
		cable: fmt.Sprintf("cable%d-%d", s.n, s.machines), room: fmt.Sprintf("room%d-%d", s.n, s.machines),
	}
	s.must("netns", "add", m.room)
	s.t.Cleanup(func() { s.must("netns", "del", m.room) })
	s.must("link", "add", "name", m.cable, "type", "veth", "peer", "name", "eth0", "netns", m.room)
	s.must("link", "set", m.cable, "master", s.name, "up")
	s.must("-n", m.room, "addr", "add", m.Address+"/24", "dev", "eth0")
	s.must("-n", m.room, "link", "set", "lo", "up")
	s.must("-n", m.room, "link", "set", "eth0", "up")
	return m
}

// Pull pulls the cable: what is sent to the machine, or by it, is lost and nobody is told.
func (m *Machine) Pull() { m.s.must("link", "set", m.cable, "down") }

// Plug puts the cable back.
func (m *Machine) Plug() { m.s.must("link", "set", m.cable, "up") }

// Start starts a command on the machine.
func (m *Machine) Start(cmd *exec.Cmd) error {
	there, err := os.Open(filepath.Join(names, m.room))
	if err != nil {
		return err
	}
	defer there.Close()
	runtime.LockOSThread() // a child is in the network of the thread that starts it
	here, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		runtime.UnlockOSThread()
		return err
	}
	defer here.Close()
	if err := unix.Setns(int(there.Fd()), unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("go to machine %s: %w", m.Name, err)
	}
	err = cmd.Start()
	if back := unix.Setns(int(here.Fd()), unix.CLONE_NEWNET); back != nil {
		return errors.Join(err, back) // the thread is never used for anything else
	}
	runtime.UnlockOSThread()
	return err
}

// Run runs a command on the machine and returns what it printed.
func (m *Machine) Run(cmd *exec.Cmd) (string, error) {
	out, err := os.CreateTemp(m.s.t.TempDir(), "output")
	if err != nil {
		return "", err
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	if err := m.Start(cmd); err != nil {
		return "", err
	}
	err = cmd.Wait()
	text, readErr := os.ReadFile(out.Name())
	return string(text), errors.Join(err, readErr)
}
