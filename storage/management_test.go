package storage_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/storage"
	"github.com/mogilefs/caddy-mogilefs/storage/disk"
)

// manage serves the node's side channel and connects to it.
func manage(t *testing.T, s server) (net.Conn, *bufio.Reader, net.Listener) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.ServeManagement(ln) }()
	t.Cleanup(func() {
		s.Close()
		if err := <-served; err != nil {
			t.Errorf("serve management: %v", err)
		}
	})
	conn := dialTCP(t, ln.Addr().String())
	return conn, bufio.NewReader(conn), ln
}

func TestSideChannelAnswersFromTheDisk(t *testing.T) {
	s := newServer(t)
	s.mustPut(t, fidPath, "hello")
	s.mustPut(t, "/dev1/0/000/000/0000000002.fid", "")
	if err := os.Symlink(s.root, filepath.Join(s.root, "dev1", "up")); err != nil {
		t.Fatal(err)
	}
	const missing = "/dev1/0/000/000/0000000003.fid"
	conn, in, _ := manage(t, s)
	for _, c := range []struct{ line, want string }{
		{"size " + fidPath, fidPath + " 5"},
		{"size //dev1/0/000/000/0000000001.fid", "//dev1/0/000/000/0000000001.fid 5"},
		{"size /dev1/0/000/000/0000000002.fid", "/dev1/0/000/000/0000000002.fid 0"},
		{"size " + missing, missing + " -1"},
		{"size /dev9/x", "/dev9/x -1"},
		{"size /etc/passwd", "/etc/passwd -1"},
		{"size /dev1/up/dev1/usage", "/dev1/up/dev1/usage -1"},
		{"MD5 " + fidPath, fidPath + " MD5=5d41402abc4b2a76b9719d911017c592"},
		{"MD5 " + fidPath + " fsck", fidPath + " MD5=5d41402abc4b2a76b9719d911017c592"},
		{"MD5 " + fidPath + " create_close", fidPath + " MD5=5d41402abc4b2a76b9719d911017c592"},
		{"SHA-1 " + fidPath + " replicate", fidPath + " SHA-1=aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d"},
		{"MD5 /dev1/0/000/000/0000000002.fid", "/dev1/0/000/000/0000000002.fid MD5=d41d8cd98f00b204e9800998ecf8427e"},
		{"MD5 " + missing, missing + " MD5=-1"},
		{"SHA-1 " + missing, missing + " SHA-1=-1"},
		{"MD5 /dev1/0/000", "ERR read /dev1/0/000 at 0 failed"},
		{"MD5 /dev1/../x", "ERROR: uri invalid (contains ..)"},
		{"shutdown", "ERROR: unknown command: shutdown"},
	} {
		fmt.Fprint(conn, c.line+"\r\n")
		got, err := in.ReadString('\n')
		if got != c.want+"\r\n" || err != nil {
			t.Errorf("%s: got %q, %v; want %q", c.line, got, err, c.want)
		}
	}
	fmt.Fprint(conn, "size /dev1/0/000\n")
	if got, err := in.ReadString('\n'); err != nil || strings.HasSuffix(got, " -1\r\n") {
		t.Errorf("size of a directory: got %q, %v; want that of the system", got, err)
	}
}

func TestShutdownIsLeftToWhoeverConfiguredTheNode(t *testing.T) {
	asked := make(chan struct{}, 1)
	s := serverWith(t, storage.Config{
		Root: t.TempDir(), Devices: []mogile.DevID{1}, Shutdown: func() { asked <- struct{}{} },
	}, nil)
	conn, in, _ := manage(t, s)
	fmt.Fprint(conn, "shutdown graceful\n")
	if b, err := io.ReadAll(in); len(b) > 0 || err != nil {
		t.Errorf("got %q, %v; want the end without an answer", b, err)
	}
	<-asked
}

func TestDigestsForFsckTakeTurnsOnAFileSystem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, fsck, l := pipedNode(t)
		plain := dialPipe(t, l)
		release := n.HoldFsck(1)
		answers := make(chan string, 2)
		ask := func(c net.Conn, line string) {
			fmt.Fprint(c, line)
			got, err := bufio.NewReader(c).ReadString('\n')
			answers <- fmt.Sprint(got, err)
		}
		go ask(fsck, "MD5 /dev2/usage fsck\n")
		synctest.Wait()
		if len(answers) != 0 {
			t.Errorf("while another runs: got %q; want to wait", <-answers)
		}
		go ask(plain, "MD5 /dev1/usage\n")
		if got := <-answers; !strings.Contains(got, " MD5=") {
			t.Errorf("digest for another reason: got %q; want it at once", got)
		}
		synctest.Wait()
		if len(answers) != 0 {
			t.Errorf("while another runs: got %q; want to wait", <-answers)
		}
		release()
		if got := <-answers; !strings.Contains(got, " MD5=") {
			t.Errorf("in its turn: got %q; want a digest", got)
		}
	})
}

func TestWatchNamesEveryDevice(t *testing.T) {
	s := newServer(t)
	conn, in, _ := manage(t, s)
	fmt.Fprint(conn, "watch\n")
	for block := range 3 {
		for _, dev := range []string{"1", "2"} {
			line, err := in.ReadString('\n')
			if err != nil || !strings.HasPrefix(line, dev+"\t") || strings.Contains(line, "\r") {
				t.Fatalf("block %d: got %q, %v; want device %s", block, line, err, dev)
			}
		}
		if line, err := in.ReadString('\n'); line != ".\n" {
			t.Fatalf("block %d: got %q, %v; want a dot", block, line, err)
		}
	}
}

func TestAWatcherWhoNeverReadsLosesBlocksAlone(t *testing.T) {
	n, slow, l := pipedNode(t)
	quick := dialPipe(t, l)
	for _, c := range []net.Conn{slow, quick} {
		fmt.Fprint(c, "watch\n")
	}
	// A pipe has no buffer: the slow one's first block is not taken ever.
	in := bufio.NewReader(quick)
	for range 100 {
		if _, err := in.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	if err := n.Close(); err != nil {
		t.Error(err)
	}
}

func TestListenerClosedByItsOwnerLeavesConnections(t *testing.T) {
	s := newServer(t)
	conn, in, ln := manage(t, s)
	fmt.Fprint(conn, "\n")
	if _, err := in.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	ln.Close()
	fmt.Fprint(conn, "size /dev9/x\n")
	if got, err := in.ReadString('\n'); got != "/dev9/x -1\r\n" {
		t.Errorf("after the listener closed: got %q, %v; want an answer", got, err)
	}
}

// pipeListener hands out connections when the test wants, also after Close.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   *sync.Once
}

func newPipeListener() pipeListener {
	return pipeListener{make(chan net.Conn), make(chan struct{}), new(sync.Once)}
}

func (l pipeListener) Accept() (net.Conn, error) {
	c, ok := <-l.conns
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}

func (l pipeListener) Close() error   { l.once.Do(func() { close(l.closed) }); return nil }
func (l pipeListener) Addr() net.Addr { return &net.TCPAddr{} }

// pipedNode serves a node with dev1 and dev2, on one file system, on pipes, and connects to it.
func pipedNode(t *testing.T) (*storage.Node, net.Conn, pipeListener) {
	t.Helper()
	n, err := storage.OpenWith(storage.Config{Root: t.TempDir(), Devices: []mogile.DevID{1, 2}}, disk.OpenFS, time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	l := newPipeListener()
	served := make(chan error, 1)
	go func() { served <- n.ServeManagement(l) }()
	conn := dialPipe(t, l)
	go func() {
		<-l.closed
		close(l.conns)
	}()
	t.Cleanup(func() {
		n.Close()
		if err := <-served; err != nil {
			t.Errorf("serve management: %v", err)
		}
	})
	return n, conn, l
}

func dialPipe(t *testing.T, l pipeListener) net.Conn {
	t.Helper()
	ours, theirs := net.Pipe()
	t.Cleanup(func() { ours.Close() })
	l.conns <- theirs
	return ours
}

func TestConnectionAcceptedWhileClosingIsClosed(t *testing.T) {
	n, err := storage.Open(storage.Config{Root: t.TempDir(), Devices: []mogile.DevID{1}})
	if err != nil {
		t.Fatal(err)
	}
	l := newPipeListener()
	served := make(chan error, 1)
	go func() { served <- n.ServeManagement(l) }()
	fmt.Fprint(dialPipe(t, l), "\n")
	closed := make(chan error, 1)
	go func() { closed <- n.Close() }()
	<-l.closed
	late, lateTheirs := net.Pipe()
	defer late.Close()
	l.conns <- lateTheirs
	if err := <-served; err != nil {
		t.Errorf("serve: %v", err)
	}
	if err := <-closed; err != nil {
		t.Errorf("close: %v", err)
	}
	late.SetDeadline(time.Now().Add(wireTimeout))
	if _, err := late.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("late connection: got %v; want it closed", err)
	}
	if err := n.ServeManagement(newPipeListener()); err != nil {
		t.Errorf("serve after close: got %v; want nil", err)
	}
}

// tiredListener fails once for want of descriptors, then for good.
type tiredListener struct {
	pipeListener
	errs chan error
}

func (l tiredListener) Accept() (net.Conn, error) { return nil, <-l.errs }

type tooMany struct{}

func (tooMany) Error() string   { return "too many open files" }
func (tooMany) Timeout() bool   { return false }
func (tooMany) Temporary() bool { return true }

func TestAcceptGoesOnAfterTemporaryErrors(t *testing.T) {
	s := newServer(t)
	broken := errors.New("broken")
	l := tiredListener{newPipeListener(), make(chan error, 2)}
	l.errs <- tooMany{}
	l.errs <- broken
	if err := s.ServeManagement(l); !errors.Is(err, broken) {
		t.Errorf("serve: got %v; want the second error", err)
	}
}
