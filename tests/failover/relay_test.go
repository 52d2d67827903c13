package failover

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"
)

// relay forwards connections to a node, as long as it is open.
type relay struct {
	t    *testing.T
	addr string
	ln   *net.TCPListener
	to   string

	running sync.WaitGroup
	stop    context.CancelFunc

	mu      sync.Mutex // guards the rest
	conns   map[*net.TCPConn]bool
	open    chan struct{} // closed while bytes may pass
	fillers []net.Conn
}

// backlog is that of a listener that keeps up; see [relay.silence].
const backlog = 1024

func newRelay(t *testing.T, addr, to string) *relay {
	t.Helper()
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	r := &relay{t: t, addr: addr, ln: ln.(*net.TCPListener), to: to, stop: stop, conns: map[*net.TCPConn]bool{}, open: make(chan struct{})}
	close(r.open)
	r.running.Go(func() { r.accept(ctx) })
	t.Cleanup(r.close)
	return r
}

func (r *relay) close() {
	r.stop()
	r.ln.Close()
	r.cut()
	r.speak()
	r.running.Wait()
}

// wait returns when bytes may pass, or false at the end.
func (r *relay) wait(ctx context.Context) bool {
	r.mu.Lock()
	open := r.open
	r.mu.Unlock()
	select {
	case <-open:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

func (r *relay) accept(ctx context.Context) {
	for r.wait(ctx) {
		conn, err := r.ln.AcceptTCP()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			continue
		}
		r.running.Go(func() { r.serve(ctx, conn) })
	}
}

func (r *relay) serve(ctx context.Context, conn *net.TCPConn) {
	defer conn.Close()
	if !r.wait(ctx) {
		return
	}
	dialed, err := net.Dial("tcp", r.to)
	if err != nil {
		_ = conn.SetLinger(0) // as if nobody listened
		return
	}
	node := dialed.(*net.TCPConn)
	defer node.Close()
	r.mu.Lock()
	r.conns[conn], r.conns[node] = true, true
	r.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { r.forward(ctx, conn, node) })
	both.Go(func() { r.forward(ctx, node, conn) })
	both.Wait()
	r.mu.Lock()
	delete(r.conns, conn)
	delete(r.conns, node)
	r.mu.Unlock()
}

// forward ends both connections when one of them ends: neither side ends one of them
// half.
func (r *relay) forward(ctx context.Context, from, to *net.TCPConn) {
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if !r.wait(ctx) {
			break
		}
		if n > 0 {
			if _, err := to.Write(buf[:n]); err != nil {
				break
			}
		}
		if err == io.EOF {
			break
		}
		if err != nil { // it was reset, and so is the other
			_ = to.SetLinger(0)
			break
		}
	}
	from.Close()
	to.Close()
}

// cut resets all connections, wherever they are.
func (r *relay) cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for conn := range r.conns {
		_ = conn.SetLinger(0)
		conn.Close()
	}
}

// silence lets nothing through any more, neither bytes nor new connections, and tells
// nobody: the queue of the listener is full, so that the kernel drops what asks for a
// connection.
func (r *relay) silence() {
	r.mu.Lock()
	r.open = make(chan struct{})
	r.mu.Unlock()
	r.listen(0)
	for {
		conn, err := net.DialTimeout("tcp", r.addr, 200*time.Millisecond)
		if err != nil {
			return
		}
		r.mu.Lock()
		r.fillers = append(r.fillers, conn)
		r.mu.Unlock()
	}
}

// speak ends the silence.
func (r *relay) speak() {
	r.mu.Lock()
	select {
	case <-r.open:
	default:
		close(r.open)
	}
	fillers := r.fillers
	r.fillers = nil
	r.mu.Unlock()
	for _, conn := range fillers {
		conn.Close()
	}
	r.listen(backlog)
}

// listen changes how many connections may wait to be accepted.
func (r *relay) listen(n int) {
	raw, err := r.ln.SyscallConn()
	if err == nil {
		err = errors.Join(raw.Control(func(fd uintptr) { err = syscall.Listen(int(fd), n) }), err)
	}
	if err != nil && !errors.Is(err, net.ErrClosed) {
		r.t.Errorf("change the backlog of %s: %v", r.addr, err)
	}
}
