package caddymodule

import (
	"context"
	"io"
	"net"
	"net/http"
	"syscall"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

const (
	// minHeld is the first part of a body from which on it does not fit into 4 KiB with the
	// shortest of headers, and so would be sent in two.
	minHeld = 4<<10 - 256
	// minPassed is the first part of a body from which on it is not flushed: net/http keeps up to
	// 4 KiB back until the handler has returned, so that of two such blocks nothing is left to it.
	minPassed = 8 << 10
)

// wholeWriter has the system send the header and the first part of the body together. net/http hands
// it 4 KiB of both, and then the rest, and it would send each at once. The writer between may be any.
type wholeWriter struct {
	http.ResponseWriter
	socket *socket
	begun  bool
}

// newWholeWriter returns w with to around it, or w itself where that can't be: the connection is
// not a plain one of HTTP/1.
func newWholeWriter(to *wholeWriter, w http.ResponseWriter, r *http.Request) http.ResponseWriter {
	if r.ProtoMajor != 1 {
		return w
	}
	s, ok := r.Context().Value(socketKey{}).(*socket)
	if !ok {
		return w
	}
	*to = wholeWriter{ResponseWriter: w, socket: s}
	return to
}

func (w *wholeWriter) Write(p []byte) (int, error) {
	first := !w.begun
	w.begun = true
	// What lies between might make something else of it when it is flushed.
	idle, direct := w.ResponseWriter.(*caddyhttp.IdleTimeoutWriter)
	if !first || len(p) < minHeld || len(p) < minPassed && !direct {
		return w.ResponseWriter.Write(p)
	}
	w.socket.hold()
	defer w.socket.release()
	n, err := w.ResponseWriter.Write(p)
	if err == nil && len(p) < minPassed {
		err = idle.FlushError()
	}
	return n, err
}

// ReadFrom hands files on as they are, for the system to send them.
func (w *wholeWriter) ReadFrom(r io.Reader) (int64, error) {
	if to, ok := w.ResponseWriter.(io.ReaderFrom); ok {
		return to.ReadFrom(r)
	}
	return io.Copy(w.ResponseWriter, r)
}

// Unwrap is for [http.ResponseController].
func (w *wholeWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// socket is a connection of which the system can be told to wait for more. What can't be told is
// sent as always, so that errors don't matter.
type socket struct{ raw syscall.RawConn }

func (s *socket) hold()    { _ = s.raw.Control(holdBack) }
func (s *socket) release() { _ = s.raw.Control(sendAll) }

type socketKey struct{}

// keepSockets has the contexts of the server's plain connections know their socket.
func keepSockets(ctx caddy.Context) {
	if srv, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server); ok && canHoldBack {
		srv.RegisterConnContext(withSocket)
	}
}

// withSocket is called for each of a server's handlers that asked for it.
func withSocket(ctx context.Context, c net.Conn) context.Context {
	plain, ok := c.(*net.TCPConn)
	if !ok || ctx.Value(socketKey{}) != nil {
		return ctx
	}
	raw, err := plain.SyscallConn()
	if err != nil {
		return ctx
	}
	return context.WithValue(ctx, socketKey{}, &socket{raw})
}
