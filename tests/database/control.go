package database

import (
	"errors"
	"fmt"
	"time"
)

// Kill ends the server as a power cut would, with all its children, at once and
// without their knowledge, and waits until they are gone. What the kernel holds of
// its files survives.
func (s *Server) Kill() error {
	if s.process == nil {
		return nil
	}
	err := s.process.kill()
	if err != nil {
		err = fmt.Errorf("kill %s: %w", s.engine.name(), err)
	}
	return errors.Join(err, s.ended())
}

// Stop ends the server cleanly and waits; one that is frozen is thawed. After Kill
// it does nothing, and twice is harmless.
func (s *Server) Stop() error {
	if s.process == nil {
		return nil
	}
	if err := s.stop(); err != nil {
		err = fmt.Errorf("stop %s: %w; its log ends with:\n%s", s.engine.name(), err, s.logTail())
		return errors.Join(err, s.Kill())
	}
	return s.ended()
}

func (s *Server) stop() error {
	if err := s.process.thaw(); err != nil {
		return err
	}
	children := descendants(s.process.cmd.Process.Pid)
	if err := s.process.signal(s.engine.quit()); err != nil {
		return err
	}
	timeout := time.NewTimer(stopWithin)
	defer timeout.Stop()
	select {
	case <-s.process.life.Done():
	case <-timeout.C:
		return fmt.Errorf("it still runs after %v", stopWithin)
	}
	if code := s.process.cmd.ProcessState.ExitCode(); code != 0 {
		return fmt.Errorf("got exit code %d; want 0", code)
	}
	return awaitAll(children, dead)
}

// ended forgets a process that is gone, and the connections to it.
func (s *Server) ended() error {
	s.process = nil
	return s.db.Close()
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
	if err := s.process.thaw(); err != nil {
		return fmt.Errorf("thaw %s: %w", s.engine.name(), err)
	}
	return nil
}
