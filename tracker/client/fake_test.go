package client_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mogilefs/caddy-mogilefs/tracker/client"
)

// soon bounds what should take no time; a test that needs it has failed.
const soon = 20 * time.Second

// move is what a fake tracker does with a line: it writes what it likes, and reports
// whether the connection goes on.
type move func(conn net.Conn, line string) bool

// fake is a tracker that speaks the protocol on a loopback socket, badly where it is
// told to. It remembers what it heard.
type fake struct {
	t    testing.TB
	ln   net.Listener
	addr string
	tls  *tls.Config // nil: plain
	end  chan struct{}

	served sync.WaitGroup

	mu       sync.Mutex // guards the rest
	heard    []string
	moves    map[string][]move // by command, the next at the front
	greet    func(conn net.Conn) bool
	conns    map[net.Conn]struct{}
	accepted int
}

// newFake starts a fake that answers every command with "OK ".
func newFake(t testing.TB) *fake {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return serveFake(t, ln)
}

func serveFake(t testing.TB, ln net.Listener) *fake {
	f := &fake{
		t: t, ln: ln, addr: ln.Addr().String(), end: make(chan struct{}),
		moves: map[string][]move{}, conns: map[net.Conn]struct{}{},
	}
	f.served.Go(func() { f.accept(ln) })
	t.Cleanup(func() {
		close(f.end)
		f.stop()
		f.served.Wait()
	})
	return f
}

// stop stops listening and drops all connections.
func (f *fake) stop() {
	f.ln.Close()
	f.dropAll()
}

func (f *fake) dropAll() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for conn := range f.conns {
		conn.Close()
	}
}

// restart listens again where it did.
func (f *fake) restart() {
	f.t.Helper()
	ln, err := net.Listen("tcp", f.addr)
	if err != nil {
		f.t.Fatal(err)
	}
	f.ln = ln
	f.served.Go(func() { f.accept(ln) })
}

func (f *fake) accept(ln net.Listener) {
	for {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		f.mu.Lock()
		f.conns[conn] = struct{}{}
		f.accepted++
		greet := f.greet
		f.mu.Unlock()
		f.served.Go(func() {
			if greet == nil || greet(conn) {
				f.converse(conn)
			}
			f.mu.Lock()
			delete(f.conns, conn)
			f.mu.Unlock()
			conn.Close()
		})
	}
}

func (f *fake) converse(raw net.Conn) {
	conn := raw
	if f.tls != nil {
		conn = tls.Server(raw, f.tls)
	}
	in := bufio.NewReader(conn)
	for {
		line, err := in.ReadString('\n')
		if err != nil || !f.next(line)(conn, line) {
			return
		}
	}
}

func (f *fake) next(line string) move {
	line = strings.TrimRight(line, "\r\n")
	command, _, _ := strings.Cut(line, " ")
	f.mu.Lock()
	defer f.mu.Unlock()
	f.heard = append(f.heard, line)
	queue := f.moves[command]
	if len(queue) == 0 {
		return say("OK ")
	}
	if len(queue) > 1 {
		f.moves[command] = queue[1:]
	}
	return queue[0]
}

// on has the fake make these moves when it hears a command, one each time; the last
// one for ever.
func (f *fake) on(command string, moves ...move) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.moves[command] = moves
}

// welcome has the fake do something with each connection before it reads.
func (f *fake) welcome(greet func(net.Conn) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.greet = greet
}

// lines is what was heard of a command; of all, when it is empty.
func (f *fake) lines(command string) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var lines []string
	for _, line := range f.heard {
		if word, _, _ := strings.Cut(line, " "); command == "" || word == command {
			lines = append(lines, line)
		}
	}
	return lines
}

// open is how many connections there are, connected how many there ever were.
func (f *fake) open() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.conns)
}

func (f *fake) connected() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.accepted
}

func say(lines ...string) move {
	return func(conn net.Conn, _ string) bool {
		_, err := conn.Write([]byte(strings.Join(lines, "\r\n") + "\r\n"))
		return err == nil
	}
}

// sayRaw writes bytes and hangs up.
func sayRaw(text string) move {
	return func(conn net.Conn, _ string) bool {
		_, _ = conn.Write([]byte(text))
		return false
	}
}

var hangUp = sayRaw("")

// silence never answers.
func (f *fake) silence(net.Conn, string) bool {
	<-f.end
	return false
}

// deadAddress is one where nobody listens.
func deadAddress(t testing.TB) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// impatient is for tests with trackers that do not answer. A busy machine is no reason
// for those that do to be late.
func impatient(c *client.Config) {
	c.Timeout, c.NodeTimeout = 500*time.Millisecond, 500*time.Millisecond
}

// newClient makes a client of trackers, which must leave nothing behind: no goroutine,
// no connection.
func newClient(t testing.TB, addrs []string, more ...func(*client.Config)) *client.Client {
	t.Helper()
	config := client.Config{Addresses: addrs, Timeout: soon, NodeTimeout: soon, ConnectTimeout: soon}
	for _, change := range more {
		change(&config)
	}
	before := ours()
	c, err := client.New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		eventually(t, "end of the client's goroutines", func() bool { return ours() <= before })
	})
	return c
}

// ours counts the goroutines that run code of the client.
func ours() int {
	buf := make([]byte, 1<<20)
	n := 0
	for g := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		if strings.Contains(g, "tracker/client.(") {
			n++
		}
	}
	return n
}

func addrs(fakes ...*fake) []string {
	var all []string
	for _, f := range fakes {
		all = append(all, f.addr)
	}
	return all
}

// eventually polls for what happens in other goroutines.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), soon)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("got no %s within %v", what, soon)
		}
	}
}
