package edge_test

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// watchedConn notes what its ReadFrom is handed: net sends a file by the system only
// when it finds it bare or under one io.LimitedReader.
type watchedConn struct {
	*net.TCPConn
	l *watchedListener
}

func (c watchedConn) ReadFrom(r io.Reader) (int64, error) {
	inner := r
	if lr, ok := r.(*io.LimitedReader); ok {
		inner = lr.R
	}
	n, err := c.TCPConn.ReadFrom(r)
	if _, ok := inner.(syscall.Conn); ok {
		c.l.bySystem.Add(n)
	}
	return n, err
}

type watchedListener struct {
	net.Listener
	bySystem atomic.Int64
}

func (l *watchedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return watchedConn{c.(*net.TCPConn), l}, nil
}

// idleWriter wraps the source in a LimitedReader of its own, as servers with idle
// timeouts do.
type idleWriter struct{ http.ResponseWriter }

func (w idleWriter) ReadFrom(r io.Reader) (total int64, err error) {
	const chunk = 64 << 10
	for n := int64(chunk); n == chunk && err == nil; total += n {
		n, err = w.ResponseWriter.(io.ReaderFrom).ReadFrom(io.LimitReader(r, chunk))
	}
	return total, err
}

func TestLocalFileIsSentByTheSystem(t *testing.T) {
	h := build(t)
	const length = 300_000
	content := noise(length)
	h.disks.put(t, 1, content)
	h.tracker.set("a", mogile.Location{FID: 1, Length: length, Copies: []mogile.Copy{h.disks.copyOf(1)}})

	idle := func(w http.ResponseWriter, r *http.Request) { h.serve(idleWriter{w}, r) }
	for _, c := range []struct {
		name     string
		serve    http.HandlerFunc
		part     string
		status   int
		from, to int
	}{
		{"whole", h.serve, "", http.StatusOK, 0, length},
		{"to the end", h.serve, "bytes=1000-", http.StatusPartialContent, 1000, length},
		{"inside", h.serve, "bytes=1000-200999", http.StatusPartialContent, 1000, 201_000},
		{"whole, idle timeouts", idle, "", http.StatusOK, 0, length},
		{"to the end, idle timeouts", idle, "bytes=1000-", http.StatusPartialContent, 1000, length},
	} {
		t.Run(c.name, func(t *testing.T) {
			srv := httptest.NewUnstartedServer(c.serve)
			l := &watchedListener{Listener: srv.Listener}
			srv.Listener = l
			srv.Start()
			h.srv.URL = srv.URL
			h.get("a", "Range", c.part).wantBody(t, c.status, content[c.from:c.to])
			srv.Close() // waits for the handler, whose count is wanted
			// net/http itself copies the first bytes, to see that there are some.
			if got, want := l.bySystem.Load(), int64(c.to-c.from-1024); got < want {
				t.Errorf("got %d bytes sent by the system; want at least %d", got, want)
			}
		})
	}
}

func TestErrorOfTheDiskIsToldFromTheClients(t *testing.T) {
	for _, c := range []struct {
		name string
		err  error
		gets int
	}{
		{"client gone", &net.OpError{Op: "readfrom", Err: os.NewSyscallError("sendfile", syscall.EPIPE)}, 0},
		{"disk error while the system sends", &net.OpError{Op: "readfrom", Err: os.NewSyscallError("sendfile", syscall.EIO)}, 1},
		{"disk error while net reads", &os.PathError{Op: "read", Err: syscall.EIO}, 1},
		{"file ended early", nil, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := build(t)
			n := newNode(t, 2)
			fid := h.tracker.add("a", noise(1000), n)
			h.disks.put(t, fid, noise(1000))
			h.tracker.set("a", mogile.Location{FID: fid, Length: 1000, Copies: []mogile.Copy{h.disks.copyOf(fid), n.copyOf(fid)}})
			w := &brokenWriter{ResponseRecorder: httptest.NewRecorder(), err: c.err}
			aborted := h.serveAborts(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/a", nil))
			if want := c.gets == 0; aborted != want {
				t.Errorf("got aborted=%t; want %t", aborted, want)
			}
			if got := len(n.requests("GET")); got != c.gets || w.Body.Len() != 1000*c.gets {
				t.Errorf("got %d requests for the other copy, %d bytes; want %d and %d", got, w.Body.Len(), c.gets, 1000*c.gets)
			}
		})
	}
}

// serveAborts reports whether serving ended in http.ErrAbortHandler.
func (h *house) serveAborts(w http.ResponseWriter, r *http.Request) (aborted bool) {
	defer func() {
		if p := recover(); p == http.ErrAbortHandler {
			aborted = true
		} else if p != nil {
			panic(p)
		}
	}()
	h.serve(w, r)
	return false
}

// brokenWriter's ReadFrom fails without sending anything.
type brokenWriter struct {
	*httptest.ResponseRecorder
	err error
}

func (w *brokenWriter) ReadFrom(io.Reader) (int64, error) { return 0, w.err }
