package commandline

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mogilefs/caddy-mogilefs/tests/process"
)

// terminal is a command that runs in a pseudo-terminal, and all that it has written there.
type terminal struct {
	t      *testing.T
	master *os.File
	cmd    *exec.Cmd

	reading sync.WaitGroup
	mu      sync.Mutex // guards seen
	seen    bytes.Buffer
}

const columns, rows = 120, 40

// open runs mogadm with words in a terminal of its own, which is all its three streams and
// what sends it signals.
func (s *station) open(words ...string) *terminal {
	s.t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		s.t.Fatal(err)
	}
	fd := int(master.Fd())
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		err = unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: columns})
	}
	if err != nil {
		s.t.Fatalf("make a terminal: %v", err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		s.t.Fatal(err)
	}
	defer slave.Close()
	term := &terminal{t: s.t, master: master, cmd: exec.Command(filepath.Join(s.home, "mogadm"), words...)}
	term.cmd.Dir, term.cmd.Env = s.home, append(s.environment(), "TERM=xterm", "NO_COLOR="+s.noColor)
	term.cmd.Stdin, term.cmd.Stdout, term.cmd.Stderr = slave, slave, slave
	term.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 0, Pdeathsig: syscall.SIGKILL}
	if err := term.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	term.reading.Go(term.read)
	s.t.Cleanup(func() {
		_ = term.cmd.Process.Kill() // it has ended already when all went well
		term.reading.Wait()
		master.Close()
	})
	return term
}

// read ends when the last process has left the terminal.
func (term *terminal) read() {
	p := make([]byte, 4096)
	for {
		n, err := term.master.Read(p)
		term.mu.Lock()
		term.seen.Write(p[:n])
		term.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (term *terminal) text() string {
	term.mu.Lock()
	defer term.mu.Unlock()
	return term.seen.String()
}

// await waits until what was written matches.
func (term *terminal) await(pattern string) {
	term.t.Helper()
	want := regexp.MustCompile(pattern)
	defer func() {
		if term.t.Failed() {
			term.t.Logf("%v wrote\n%q", term.cmd.Args, term.text())
		}
	}()
	process.Eventually(term.t, 2*time.Minute, pattern+" in a terminal", func() bool { return want.MatchString(term.text()) })
}

// press types.
func (term *terminal) press(keys string) {
	term.t.Helper()
	if _, err := term.master.WriteString(keys); err != nil {
		term.t.Fatal(err)
	}
}

// end waits for the command and returns its exit code.
func (term *terminal) end() int {
	term.t.Helper()
	_ = term.cmd.Wait() // the exit code tells
	term.reading.Wait()
	return term.cmd.ProcessState.ExitCode()
}

const ctrlC = "\x03"

func TestATerminalShowsTablesWithColours(t *testing.T) {
	s := newStation(t)
	for _, noColor := range []string{"", "1"} {
		s.noColor = noColor
		list := s.open("device", "list")
		if code := list.end(); code != 0 {
			t.Errorf("got exit code %d; want 0:\n%s", code, list.text())
		}
		list.await(`(?m)^HOST +DEVICE +STATUS +OBSERVED +USED`)
		if coloured := strings.Contains(list.text(), "\x1b[32malive\x1b[0m"); coloured != (noColor == "") {
			t.Errorf("NO_COLOR=%q: got colours %v in\n%q", noColor, coloured, list.text())
		}
	}
	if got := s.must("mogadm device list"); strings.Contains(got, "\x1b") || !strings.Contains(got, "used(G)") {
		t.Errorf("no terminal: got %q; want what mogadm writes", got)
	}
}

func TestTopIsDrawnUntilCtrlC(t *testing.T) {
	s := newStation(t)
	top := s.open("top", "--interval=0.5")
	top.await(`\x1b\[\?1049h`)
	// The second drawing has rates.
	top.await(`(?s)REQUESTS/S.*` + regexp.QuoteMeta(s.cluster.TrackerAddr) + `.*OK.* \d+\.\d .*dev1.*dev2.*[█░]{20}`)
	top.press(ctrlC)
	if code := top.end(); code != 0 {
		t.Errorf("got exit code %d; want 0", code)
	}
	if !strings.HasSuffix(top.text(), "\x1b[?25h\x1b[?1049l") {
		t.Errorf("got %q at the end; want the screen given back", top.text()[max(0, len(top.text())-60):])
	}
	if got := s.must("mogadm top"); strings.Contains(got, "\x1b") || !strings.Contains(got, "REQUESTS/S") {
		t.Errorf("no terminal: got %q; want one look", got)
	}
}

// TestALongUploadShowsProgressAndCtrlCSaysWhatWasDone has an upload go on until it is
// interrupted: it is fed through a named pipe.
func TestALongUploadShowsProgressAndCtrlCSaysWhatWasDone(t *testing.T) {
	s := newStation(t)
	s.write("small", "hello\n")
	pipe := filepath.Join(s.home, "pipe")
	if err := syscall.Mkfifo(pipe, 0o644); err != nil {
		t.Fatal(err)
	}
	up := s.open("upload", "--parallel=1", "small", "pipe")
	feed, err := os.OpenFile(pipe, os.O_WRONLY, 0) // waits for the reader
	if err != nil {
		t.Fatal(err)
	}
	defer feed.Close()
	shown := regexp.MustCompile(`1 of 2 files, \d+\.\d [KM]iB.*, \d+\.\d [KM]iB/s`)
	process.Eventually(t, 2*time.Minute, "progress", func() bool {
		if _, err := feed.Write(bytes.Repeat([]byte("x"), 4096)); err != nil {
			t.Fatal(err)
		}
		return shown.MatchString(up.text())
	})
	up.press(ctrlC) // while nothing comes
	if code := up.end(); code != 130 || !strings.Contains(up.text(), "\x1b[Kinterrupted: uploaded 1 files (6 B); run it again to go on\r\n") {
		t.Errorf("got exit code %d and\n%q\nwant 130 and what was done", code, up.text())
	}
	if got := s.must("moglistkeys"); got != "small\n" {
		t.Errorf("got keys %q; want the one that was done", got)
	}
}

// TestARemovalByPrefixAsksAtATerminal types the answer.
func TestARemovalByPrefixAsksAtATerminal(t *testing.T) {
	s := newStation(t)
	s.must("for k in a/1 a/2 b; do mogupload --key=$k --file=mogadm; done")
	rm := s.open("rm", "--prefix=a/")
	rm.await(`Delete 2 files that begin with "a/" in the domain images\? \[y/N\] `)
	rm.press("y\n")
	if code := rm.end(); code != 0 || !strings.Contains(rm.text(), "deleted 2 files\r\n") {
		t.Errorf("got exit code %d and %q; want 0 and what was done", code, rm.text())
	}
	if got := s.must("moglistkeys"); got != "b\n" {
		t.Errorf("got keys %q; want b", got)
	}
}
