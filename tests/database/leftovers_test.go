package database

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// victimVariable makes the test binary run victim instead of tests.
const victimVariable = "MOGILEFS_TEST_VICTIM"

func TestMain(m *testing.M) {
	if os.Getenv(victimVariable) != "" {
		victim()
		return
	}
	Main(m)
}

// victim starts servers, freezes one of each kind, says which processes there are
// and where their data is, and waits to be killed.
func victim() {
	s, err := newScratch()
	if err != nil {
		panic(err)
	}
	pids := []int{}
	for _, e := range []engine{mariaDB{}, postgres{}} {
		for _, frozen := range []bool{true, false} {
			dir, err := os.MkdirTemp(s.dir, "")
			if err != nil {
				panic(err)
			}
			server, err := start(e, dir, nil)
			if err != nil {
				panic(err)
			}
			if frozen {
				if err := server.Freeze(); err != nil {
					panic(err)
				}
			}
			pid := server.process.cmd.Process.Pid
			pids = append(append(pids, pid), descendants(pid)...)
		}
	}
	fmt.Println(s.dir, strings.Trim(fmt.Sprint(pids), "[]"))
	select {}
}

func TestAKilledTestLeavesNothing(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), victimVariable+"=1")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	killed := cmd.Process.Kill()
	_ = cmd.Wait() // it was killed
	if err != nil || killed != nil {
		t.Fatalf("read from the victim: %v; kill it: %v", err, killed)
	}
	words := strings.Fields(line)
	var pids []int
	for _, word := range words[1:] {
		pid, err := strconv.Atoi(word)
		if err != nil {
			t.Fatal(err)
		}
		pids = append(pids, pid)
	}
	if len(pids) <= 4 { // PostgreSQL has children
		t.Fatalf("got processes %v; want more than four", pids)
	}
	if err := awaitAll(pids, dead); err != nil {
		t.Errorf("after the kill: %v", err)
	}
	if err := sweep(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(words[0]); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("stat %s: got %v; want %v", words[0], err, fs.ErrNotExist)
	}
}

func TestASweepSparesWhatIsInUse(t *testing.T) {
	s, err := newScratch()
	if err != nil {
		t.Fatal(err)
	}
	if err := sweep(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(s.dir); err != nil {
		t.Errorf("a directory in use is gone: %v", err)
	}
	if err := s.remove(); err != nil {
		t.Fatal(err)
	}
}

func TestATakenPortIsRecognized(t *testing.T) {
	for _, e := range []engine{mariaDB{}, postgres{}} {
		t.Run(e.name(), func(t *testing.T) {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer ln.Close()
			s := &Server{engine: e, dir: t.TempDir(), port: ln.Addr().(*net.TCPAddr).Port}
			if err := populate(e, s.data()); err != nil {
				give(t, err)
			}
			if err := s.launch(); err == nil || !s.portTaken() {
				t.Errorf("start on a taken port: got %v; want that it is taken", err)
			}
		})
	}
}

// outcome is a test that notes how it ended.
type outcome struct {
	testing.TB
	skipped, failed bool
}

func (o *outcome) Helper()      {}
func (o *outcome) Skip(...any)  { o.skipped = true; panic(o) }
func (o *outcome) Fatal(...any) { o.failed = true; panic(o) }

func TestOnlyDevelopersGoWithoutAServer(t *testing.T) {
	absent := missing("mariadbd", "mariadb-server")
	for _, c := range []struct {
		ci   string
		err  error
		want outcome
	}{
		{"true", absent, outcome{failed: true}},
		{"", absent, outcome{skipped: true}},
		{"", errors.New("it broke"), outcome{failed: true}},
	} {
		t.Run(fmt.Sprintf("CI=%s %v", c.ci, c.err), func(t *testing.T) {
			t.Setenv("CI", c.ci)
			var got outcome
			func() {
				defer func() { _ = recover() }() // what a real test ends with is no panic
				give(&got, c.err)
			}()
			if got != c.want {
				t.Errorf("got %+v; want %+v", got, c.want)
			}
		})
	}
	if !strings.Contains(absent.Error(), "install mariadb-server") {
		t.Errorf("got %v; want what to install", absent)
	}
}
