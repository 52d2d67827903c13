package database

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is a running server with its children.
type process struct {
	cmd   *exec.Cmd
	life  context.Context // done when the process is gone
	guard *guard          // while the process is frozen
}

// startProcess starts a command that dies with this process. The kernel sends the
// signal for that when the thread ends that has started the command, so a goroutine
// keeps its thread until the command has ended. start is the command's own when it is nil.
func startProcess(cmd *exec.Cmd, start func(*exec.Cmd) error) (*process, error) {
	if start == nil {
		start = (*exec.Cmd).Start
	}
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	cmd.SysProcAttr.Setpgid = true // an interrupt at the terminal is for the tests
	life, end := context.WithCancel(context.Background())
	p := &process{cmd: cmd, life: life}
	started := make(chan error, 1)
	go func() { // whoever ends the server waits for it
		defer end()
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := start(cmd)
		started <- err
		if err == nil {
			_ = cmd.Wait() // the exit code is in ProcessState
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

// freeze halts the process and then its children, so that it starts none that is
// missed, and returns the children.
func (p *process) freeze() ([]int, error) {
	if err := p.signal(syscall.SIGSTOP); err != nil {
		return nil, err
	}
	if err := awaitAll([]int{p.cmd.Process.Pid}, halted); err != nil {
		return nil, err
	}
	children := descendants(p.cmd.Process.Pid)
	if p.guard == nil && len(children) > 0 {
		var err error
		if p.guard, err = startGuard(children); err != nil {
			return nil, err
		}
	}
	if err := signal(children, syscall.SIGSTOP); err != nil {
		return nil, err
	}
	return children, awaitAll(children, halted)
}

// thaw lets all go on that freeze halted.
func (p *process) thaw() error {
	if err := signal(descendants(p.cmd.Process.Pid), syscall.SIGCONT); err != nil {
		return err
	}
	p.guard.dismiss()
	p.guard = nil
	return p.signal(syscall.SIGCONT)
}

// kill ends the process and its children, and waits until they are gone.
func (p *process) kill() error {
	children, err := p.freeze()
	if err != nil {
		return err
	}
	if err := p.signal(syscall.SIGKILL); err != nil {
		return err
	}
	if err := signal(children, syscall.SIGKILL); err != nil {
		return err
	}
	<-p.life.Done()
	p.guard.dismiss()
	return awaitAll(children, dead)
}

// signal sends a signal to the process alone, if it is there.
func (p *process) signal(what os.Signal) error {
	if err := p.cmd.Process.Signal(what); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("send %v: %w", what, err)
	}
	return nil
}

// guard kills halted processes when this one dies. PostgreSQL's children notice
// the end of their parent by themselves, but not while they are halted.
type guard struct {
	cmd  *exec.Cmd
	hold *os.File // its other end is closed when this process dies
}

func startGuard(pids []int) (*guard, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	cmd := exec.Command("sh", "-c", `read -r _; kill -KILL "$@"`, "sh")
	for _, pid := range pids {
		cmd.Args = append(cmd.Args, strconv.Itoa(pid))
	}
	cmd.Stdin = r
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		w.Close()
		return nil, fmt.Errorf("guard the halted processes: %w", err)
	}
	return &guard{cmd: cmd, hold: w}, nil
}

// dismiss ends the guard without harm; nil has nothing to end.
func (g *guard) dismiss() {
	if g == nil {
		return
	}
	// Order: with the pipe closed first it would kill.
	_ = g.cmd.Process.Kill()
	_ = g.cmd.Wait()
	_ = g.hold.Close()
}

// signal sends a signal to those that are there.
func signal(pids []int, what syscall.Signal) error {
	for _, pid := range pids {
		if err := syscall.Kill(pid, what); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("send %v: %w", what, err)
		}
	}
	return nil
}

// awaitAll waits until a condition holds for all processes. Signals only ask.
func awaitAll(pids []int, cond func(pid int) bool) error {
	ctx, cancel := context.WithTimeout(context.Background(), stopWithin)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		left := slices.DeleteFunc(slices.Clone(pids), cond)
		if len(left) == 0 {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("processes %v ignore a signal", left)
		}
	}
}

// dead reports whether a process has ended, even if its parent has not noticed.
func dead(pid int) bool {
	s := stat(pid, 0)
	return s == "" || s == "Z" || s == "X"
}

func halted(pid int) bool { return stat(pid, 0) == "T" || dead(pid) }

// descendants is the children of a process, and theirs.
func descendants(pid int) []int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	children := map[int][]int{}
	for _, entry := range entries {
		child, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue // no process
		}
		if parent, err := strconv.Atoi(stat(child, 1)); err == nil {
			children[parent] = append(children[parent], child)
		}
	}
	found := children[pid]
	for i := 0; i < len(found); i++ {
		found = append(found, children[found[i]]...)
	}
	return found
}

// stat is a field of /proc/<pid>/stat, counted after the name, which may have
// spaces: 0 is the state, 1 the parent. It is empty when there is no such process.
func stat(pid, field int) string {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return ""
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) <= field {
		return ""
	}
	return fields[field]
}
