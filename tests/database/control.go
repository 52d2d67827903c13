package database

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Kill ends the server as a power cut would, with all its children, at once and
// without their knowledge, and waits until they are gone. What the kernel holds of
// its files survives.
func (s *Server) Kill() error {
	if s.process == nil {
		return nil
	}
	// The parent is stopped first, so that it starts no child that is missed.
	family, err := s.process.freeze()
	if err != nil {
		return fmt.Errorf("kill %s: %w", s.engine.name(), err)
	}
	if err := signal(family, syscall.SIGKILL); err != nil {
		return fmt.Errorf("kill %s: %w", s.engine.name(), err)
	}
	return s.ended(family)
}

// Stop ends the server cleanly and waits. After Kill it does nothing, after Freeze
// it thaws; twice is harmless.
func (s *Server) Stop() error {
	if s.process == nil {
		return nil
	}
	if err := s.Thaw(); err != nil {
		return err
	}
	family := s.process.family()
	if err := signal(family[:1], s.engine.quit()); err != nil {
		return fmt.Errorf("stop %s: %w", s.engine.name(), err)
	}
	timeout := time.NewTimer(stopWithin)
	defer timeout.Stop()
	select {
	case <-s.process.exited:
	case <-timeout.C:
		err := fmt.Errorf("stop %s: it still runs after %v; its log ends with:\n%s", s.engine.name(), stopWithin, s.logTail())
		return errors.Join(err, s.Kill())
	}
	code := s.process.cmd.ProcessState.ExitCode()
	if err := s.ended(family); err != nil {
		return err
	}
	if code != 0 {
		return fmt.Errorf("stop %s: got exit code %d; want 0; its log ends with:\n%s", s.engine.name(), code, s.logTail())
	}
	return nil
}

// ended waits for the end of a family that is about to die, and closes what was
// open to it.
func (s *Server) ended(family []int) error {
	<-s.process.exited
	s.process = nil
	ctx, cancel := context.WithTimeout(context.Background(), stopWithin)
	defer cancel()
	err := poll(ctx, func() bool { return !slices.ContainsFunc(family, alive) })
	if err != nil {
		err = fmt.Errorf("await the end of the children of %s: %w", s.engine.name(), err)
	}
	return errors.Join(err, s.db.Close())
}

// Restart starts the server again, on the same data and the same port, and waits
// until it answers. One that runs is stopped before.
func (s *Server) Restart() error {
	if err := s.Stop(); err != nil {
		return err
	}
	return s.launch()
}

// Freeze halts the server and all its children, with their connections open, and
// returns when they do nothing any more.
func (s *Server) Freeze() error {
	if s.process == nil {
		return fmt.Errorf("freeze %s: it does not run", s.engine.name())
	}
	if _, err := s.process.freeze(); err != nil {
		return fmt.Errorf("freeze %s: %w", s.engine.name(), err)
	}
	return nil
}

// Thaw lets a frozen server go on; for another it does nothing.
func (s *Server) Thaw() error {
	if s.process == nil {
		return fmt.Errorf("thaw %s: it does not run", s.engine.name())
	}
	if err := signal(s.process.family(), syscall.SIGCONT); err != nil {
		return fmt.Errorf("thaw %s: %w", s.engine.name(), err)
	}
	return nil
}

// freeze stops the process and then its children, and returns them all.
func (p *process) freeze() ([]int, error) {
	if err := halt([]int{p.pid()}); err != nil {
		return nil, err
	}
	family := p.family()
	return family, halt(family)
}

// halt stops processes, and waits until they are: the signal alone only asks.
func halt(pids []int) error {
	if err := signal(pids, syscall.SIGSTOP); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), stopWithin)
	defer cancel()
	return poll(ctx, func() bool {
		return !slices.ContainsFunc(pids, func(pid int) bool { return alive(pid) && state(pid) != "T" })
	})
}

// family is the process and its children. None of our servers has grandchildren.
func (p *process) family() []int {
	family := []int{p.pid()}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return family // no children without a /proc
	}
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err == nil && parent(pid) == p.pid() {
			family = append(family, pid)
		}
	}
	return family
}

// signal sends a signal to those that are still there.
func signal(pids []int, what syscall.Signal) error {
	for _, pid := range pids {
		if err := syscall.Kill(pid, what); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("send %v: %w", what, err)
		}
	}
	return nil
}

// alive reports whether a process runs or is stopped. One that has ended and was
// not waited for by its parent is dead.
func alive(pid int) bool {
	s := state(pid)
	return s != "" && s != "Z" && s != "X"
}

// state is the letter for what a process does; empty when it does not exist.
func state(pid int) string { return stat(pid, 0) }

func parent(pid int) int {
	n, err := strconv.Atoi(stat(pid, 1))
	if err != nil {
		return 0
	}
	return n
}

// stat is a field of /proc/pid/stat, counted after the name, which may have spaces.
func stat(pid, field int) string {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return ""
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(fields) <= field {
		return ""
	}
	return fields[field]
}

// poll waits until cond holds.
func poll(ctx context.Context, cond func() bool) error {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
