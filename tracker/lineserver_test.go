package tracker

import (
	"errors"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/mogilefs/caddy-mogilefs/tracker/command"
)

func TestLinesEndInLFWithOrWithoutCR(t *testing.T) {
	c := newCluster(t, limits{}).dial(t)
	c.send("noop\nnoop\r\n\n\r\n\nnoop\r\n")
	for range 3 {
		if got := c.line(); got != "OK \r" {
			t.Errorf("got %q; want %q", got, "OK \r")
		}
	}
	c.send("\r\r\n")
	if got, want := c.line(), "ERR unknown_command Unknown+server+command\r"; got != want {
		t.Errorf("a CR that is data: got %q; want %q", got, want)
	}
}

func TestPipelinedRequestsAreAnsweredInOrder(t *testing.T) {
	c := newCluster(t, limits{}).dial(t)
	c.send("noop callid=1\n!version\nnosuch callid=2\nget_hosts hostid=77\n!jobs\nnoop callid=3\n")
	want := []string{
		"OK callid=1\r", "2.73\r", ".\r", "ERR unknown_command Unknown+server+command 2\r", "OK hosts=0\r",
	}
	for _, w := range want {
		if got := c.line(); got != w {
			t.Errorf("got %q; want %q", got, w)
		}
	}
	for c.line() != ".\r" {
	}
	if got := c.line(); got != "OK callid=3\r" {
		t.Errorf("got %q; want %q", got, "OK callid=3\r")
	}
}

func TestHalfClosedClientsGetTheirAnswer(t *testing.T) {
	c := newCluster(t, limits{}).dial(t)
	c.send("noop callid=1\nnoop callid=2") // the second is no line
	if err := c.Conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got := c.line(); got != "OK callid=1\r" {
		t.Errorf("got %q; want %q", got, "OK callid=1\r")
	}
	c.end()
}

func TestLongLinesAreTakenUpToTheLimit(t *testing.T) {
	cl := newCluster(t, limits{})
	pad := func(n int) string { return "noop " + strings.Repeat("x", n-len("noop ")) }
	for _, n := range []int{smallBuffer - 2, smallBuffer - 1, smallBuffer, smallBuffer + 1, 100_000, maxLine - 1, maxLine} {
		cl.dial(t).want(pad(n), "OK ")
		cl.dial(t).want(pad(n)+"\r", "OK ")
	}
	for _, n := range []int{maxLine + 1, 2 << 20} {
		c := cl.dial(t)
		// The server may hang up before it has read all of it.
		go func() { _, _ = io.WriteString(c, pad(n)+"\nnoop\n") }()
		if got, want := c.line(), "ERR bad_params Invalid+parameters+to+command%3B+please+see+documentation\r"; got != want {
			t.Errorf("a line of %d: got %q; want %q", n, got, want)
		}
		_ = c.SetReadDeadline(time.Now().Add(answerWait))
		if rest, _ := io.ReadAll(c.in); len(rest) > 0 {
			t.Errorf("a line of %d: got %q behind the error; want nothing", n, rest)
		}
	}
}

// bubble is a line server without store or nodes on a listener of pipes, so that
// it can run under a fake clock.
type bubble struct {
	t      *testing.T
	server *lineServer
	ln     *pipeListener
	jobs   *fakeJobs
	logs   *observer.ObservedLogs
	log    *zap.Logger
	access *liveAccess
	served chan error
}

func inBubble(t *testing.T, l limits, test func(*testing.T, *bubble)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zapcore.DebugLevel)
		b := &bubble{
			t: t, ln: newPipeListener(), logs: logs,
			jobs: &fakeJobs{ready: make(chan struct{})}, access: newAccess(Access{}), served: make(chan error, 1),
		}
		watchers := newWatchers()
		b.log = watchers.tap(zap.New(core))
		b.server = newLineServer(lineConfig{
			commands: command.New(command.Config{Jobs: b.jobs, Logger: b.log}), staff: b.jobs, watchers: watchers,
			access: b.access.Load, log: b.log, limits: l,
		})
		go func() { b.served <- b.server.Serve(b.ln) }()
		synctest.Wait()
		test(t, b)
		b.server.Close()
		if err := <-b.served; err != nil {
			t.Error(err)
		}
	})
}

func (b *bubble) dial() *client {
	mine, theirs := localPipe()
	b.ln.conns <- accepted{conn: theirs}
	return newClient(b.t, mine)
}

// localPipe is a connection to a client on this machine.
func localPipe() (mine, theirs net.Conn) { return pipeFrom(&net.UnixAddr{Net: "unix"}) }

// pipeFrom is a connection whose client has the given address.
func pipeFrom(addr net.Addr) (mine, theirs net.Conn) {
	mine, theirs = net.Pipe()
	return mine, addressed{theirs, addr}
}

type addressed struct {
	net.Conn
	addr net.Addr
}

func (a addressed) RemoteAddr() net.Addr { return a.addr }

// stat is one line of !stats, empty when it is not there.
func (b *bubble) stat(name string) string {
	b.t.Helper()
	stats, _ := b.server.conversation().answer(nil, []byte("!stats"))
	for line := range strings.Lines(string(stats)) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return strings.TrimSuffix(value, "\r\n")
		}
	}
	return ""
}

type accepted struct {
	conn net.Conn
	err  error
}

type pipeListener struct {
	conns  chan accepted
	closed chan struct{}
}

func newPipeListener() *pipeListener {
	return &pipeListener{conns: make(chan accepted), closed: make(chan struct{})}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case a := <-l.conns:
		return a.conn, a.err
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error   { close(l.closed); return nil }
func (l *pipeListener) Addr() net.Addr { return nil }

func TestClientsThatDoNotReadAreNotReadFrom(t *testing.T) {
	inBubble(t, limits{}, func(t *testing.T, b *bubble) {
		close(b.jobs.ready)
		c := b.dial()
		c.send("noop callid=1\n")
		var sent atomic.Bool
		go func() {
			c.send("noop callid=2\n")
			sent.Store(true)
		}()
		synctest.Wait()
		if sent.Load() {
			t.Error("the second request was read while the first answer was not")
		}
		for _, want := range []string{"OK callid=1\r", "OK callid=2\r"} {
			if got := c.line(); got != want {
				t.Errorf("got %q; want %q", got, want)
			}
		}
	})
}

func TestClientsThatNeverReadAreGivenUp(t *testing.T) {
	inBubble(t, limits{}, func(t *testing.T, b *bubble) {
		close(b.jobs.ready)
		start := time.Now()
		c := b.dial()
		c.send("noop\n")
		<-time.After(writeTimeout - time.Nanosecond) // of the bubble's clock
		synctest.Wait()
		if n := b.server.connections(); n != 1 {
			t.Errorf("before the timeout: got %d connections; want 1", n)
		}
		<-time.After(deadlineSlack + time.Nanosecond)
		synctest.Wait()
		c.end()
		if got := time.Since(start); got < writeTimeout || got > writeTimeout+deadlineSlack+time.Nanosecond {
			t.Errorf("closed after %v; want %v to %v", got, writeTimeout, writeTimeout+deadlineSlack)
		}
	})
}

func TestConnectionsBeyondTheLimitAreClosed(t *testing.T) {
	inBubble(t, limits{}, func(t *testing.T, b *bubble) {
		close(b.jobs.ready)
		b.access.Store(&Access{MaxConnections: 1})
		first := b.dial()
		first.want("noop", "OK ")
		b.dial().end()
		if got := b.stat("connections_refused"); got != "1" {
			t.Errorf("connections_refused: got %q; want 1", got)
		}
		_ = first.Close()
		synctest.Wait()
		b.dial().want("noop", "OK ")
	})
}

func TestRequestsBeyondTheLimitWaitTheirTurn(t *testing.T) {
	inBubble(t, limits{commands: 1}, func(t *testing.T, b *bubble) {
		one, two := b.dial(), b.dial()
		one.send("noop callid=1\n")
		synctest.Wait()
		two.send("noop callid=2\n")
		synctest.Wait()
		for name, want := range map[string]string{
			"pending_queries": "1", "processing_queries": "1", "bored_queryworkers": "0", "times_out_of_qworkers": "1", "queries": "2",
		} {
			if got := b.stat(name); got != want {
				t.Errorf("%s: got %q; want %q", name, got, want)
			}
		}
		close(b.jobs.ready)
		if got := one.line() + two.line(); got != "OK callid=1\rOK callid=2\r" {
			t.Errorf("got %q; want both answers", got)
		}
	})
}

func TestCloseLetsCommandsFinishAndIdleClientsGo(t *testing.T) {
	inBubble(t, limits{}, func(t *testing.T, b *bubble) {
		idle, busy := b.dial(), b.dial()
		busy.send("noop\nnoop\n")
		synctest.Wait()
		closed := make(chan struct{})
		go func() {
			b.server.Close()
			close(closed)
		}()
		idle.end()
		synctest.Wait()
		select {
		case <-closed:
			t.Error("Close returned while a command was in progress")
		default:
		}
		close(b.jobs.ready)
		if got := busy.line(); got != "OK \r" {
			t.Errorf("got %q; want the answer of the command in progress", got)
		}
		busy.end() // what was not begun is not carried out
		<-closed
	})
}

func TestCloseCutsOffWhatDoesNotFinish(t *testing.T) {
	inBubble(t, limits{commands: 1}, func(t *testing.T, b *bubble) {
		stuck, waiting := b.dial(), b.dial()
		stuck.send("noop\n")
		synctest.Wait()
		waiting.send("noop\n")
		synctest.Wait()
		start := time.Now()
		b.server.Close()
		if got := time.Since(start); got != closeGrace {
			t.Errorf("Close took %v; want %v", got, closeGrace)
		}
		stuck.end()
		waiting.end()
	})
}

func TestServeAfterCloseClosesTheListener(t *testing.T) {
	inBubble(t, limits{}, func(t *testing.T, b *bubble) {
		b.server.Close()
		ln := newPipeListener()
		if err := b.server.Serve(ln); !errors.Is(err, errServerClosed) {
			t.Errorf("Serve: got %v; want %v", err, errServerClosed)
		}
		<-ln.closed
	})
}

// lateListener accepts one more connection after it was closed.
type lateListener struct{ *pipeListener }

func (l lateListener) Accept() (net.Conn, error) {
	<-l.closed
	select {
	case a := <-l.conns:
		return a.conn, a.err
	default:
		return nil, net.ErrClosed
	}
}

func TestConnectionsAcceptedAfterCloseAreClosed(t *testing.T) {
	inBubble(t, limits{}, func(t *testing.T, b *bubble) {
		ln := lateListener{newPipeListener()}
		ln.conns = make(chan accepted, 1)
		mine, theirs := localPipe()
		ln.conns <- accepted{conn: theirs}
		served := make(chan error, 1)
		go func() { served <- b.server.Serve(ln) }()
		synctest.Wait()
		b.server.Close()
		if err := <-served; err != nil {
			t.Errorf("Serve: got %v; want nil", err)
		}
		newClient(t, mine).end()
	})
}

func TestServeOutlivesALackOfDescriptors(t *testing.T) {
	inBubble(t, limits{}, func(t *testing.T, b *bubble) {
		close(b.jobs.ready)
		b.ln.conns <- accepted{err: &net.OpError{Op: "accept", Err: syscall.EMFILE}}
		b.dial().want("noop", "OK ")
	})
}

func TestServeReturnsWhatEndsIt(t *testing.T) {
	inBubble(t, limits{}, func(t *testing.T, b *bubble) {
		broken := errors.New("broken")
		ln := newPipeListener()
		served := make(chan error, 1)
		go func() { served <- b.server.Serve(ln) }()
		ln.conns <- accepted{err: broken}
		if err := <-served; !errors.Is(err, broken) {
			t.Errorf("Serve: got %v; want %v", err, broken)
		}
	})
}

func TestConnectionsOutliveTheirListener(t *testing.T) {
	inBubble(t, limits{}, func(t *testing.T, b *bubble) {
		close(b.jobs.ready)
		ln := newPipeListener()
		served := make(chan error, 1)
		go func() { served <- b.server.Serve(ln) }()
		mine, theirs := localPipe()
		ln.conns <- accepted{conn: theirs}
		c := newClient(t, mine)
		_ = ln.Close()
		if err := <-served; err != nil {
			t.Errorf("Serve: got %v; want nil", err)
		}
		c.want("noop", "OK ")
	})
}

func TestAPanicTakesOnlyItsCommandDown(t *testing.T) {
	inBubble(t, limits{commands: 1}, func(t *testing.T, b *bubble) {
		close(b.jobs.ready)
		c := b.dial()
		c.want("server_setting key=x", "ERR failure Operation+failed") // there is no store
		c.want("noop", "OK ")
		if n := b.logs.FilterMessage("command panicked").Len(); n != 1 {
			t.Errorf("got %d log entries of the panic; want 1", n)
		}
	})
}

// writeCounter counts the writes of all connections.
type writeCounter struct {
	net.Listener
	writes *atomic.Int64
}

type countedConn struct {
	net.Conn
	writes *atomic.Int64
}

func (l writeCounter) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	return countedConn{conn, l.writes}, err
}

func (c countedConn) Write(b []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(b)
}

func TestEveryAnswerIsOneWrite(t *testing.T) {
	inBubble(t, limits{}, func(t *testing.T, b *bubble) {
		close(b.jobs.ready)
		ln := newPipeListener()
		var writes atomic.Int64
		served := make(chan error, 1)
		go func() { served <- b.server.Serve(writeCounter{ln, &writes}) }()
		mine, theirs := localPipe()
		ln.conns <- accepted{conn: theirs}
		c := newClient(t, mine)
		c.want("noop", "OK ")
		c.want("nosuch callid=7", "ERR unknown_command Unknown+server+command 7")
		c.send("!stats\n")
		for c.line() != ".\r" {
		}
		if got := writes.Load(); got != 3 {
			t.Errorf("got %d writes for 3 answers; want 3", got)
		}
		_ = ln.Close()
		<-served
	})
}
