package tracker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/tracker/command"
)

const (
	// maxLine is the longest request in bytes. The longest sensible one, with two
	// keys and a URL all escaped, has a few thousand.
	maxLine = 256 << 10
	// maxConnections leaves descriptors for the nodes and the database. Clients
	// beyond it find the connection closed, and go to another tracker.
	maxConnections = 4096
	// maxCommands is how many requests are carried out at the same time; the others
	// wait their turn. Most of that time is spent waiting for a node or the
	// database, which profits from no more.
	maxCommands = 256
	// writeTimeout is when a client that does not take its answer is given up
	// (docs/spec/tracker-protocol.md §1).
	writeTimeout = 120 * time.Second
	// closeGrace is how long Close lets commands finish and clients take their
	// answers: somewhat more than two timeouts of a storage node.
	closeGrace = 5 * time.Second
	// acceptPause keeps the loop from spinning while the process has no free
	// descriptors.
	acceptPause = 100 * time.Millisecond
)

var errServerClosed = errors.New("tracker is closed")

// limits bounds what clients can take; a zero field means the constant.
type limits struct {
	line        int // maxLine
	connections int // maxConnections
	commands    int // maxCommands
}

func (l limits) withDefaults() limits {
	for _, f := range []struct {
		field *int
		value int
	}{{&l.line, maxLine}, {&l.connections, maxConnections}, {&l.commands, maxCommands}} {
		if *f.field == 0 {
			*f.field = f.value
		}
	}
	return l
}

// lineServer speaks the line protocol on any number of listeners
// (docs/spec/tracker-protocol.md §1). Every connection has a goroutine, which
// reads a line, has it carried out and writes the answer, one after the other: so
// answers come in order, and a client that does not read is not read from.
type lineServer struct {
	commands *command.Commands
	admin    adminFunc
	log      *zap.Logger
	limits   limits
	started  time.Time

	// ctx is that of every command: a client that goes away does not end its own.
	ctx    context.Context
	cancel context.CancelCauseFunc

	running                         chan struct{} // holds one for each command being carried out
	pending, queries, full, refused atomic.Int64

	closing atomic.Bool // set under mu; read by connections without
	served  sync.WaitGroup

	mu        sync.Mutex // guards the two below
	listeners map[net.Listener]struct{}
	conns     map[net.Conn]struct{}
}

func newLineServer(c *command.Commands, admin adminFunc, log *zap.Logger, l limits) *lineServer {
	l = l.withDefaults()
	ctx, cancel := context.WithCancelCause(context.Background())
	return &lineServer{
		commands: c, admin: admin, log: log, limits: l, started: time.Now(),
		ctx: ctx, cancel: cancel,
		running:   make(chan struct{}, l.commands),
		listeners: map[net.Listener]struct{}{},
		conns:     map[net.Conn]struct{}{},
	}
}

// Serve takes connections until the listener or the server is closed, which is
// not an error. Connections outlive their listener.
func (s *lineServer) Serve(ln net.Listener) error {
	if !s.enlist(ln) {
		return errors.Join(errServerClosed, ln.Close())
	}
	defer s.delist(ln)
	for {
		conn, err := ln.Accept()
		switch {
		case err == nil:
			s.accepted(conn)
		case s.closing.Load() || errors.Is(err, net.ErrClosed):
			return nil
		case isTransient(err):
			s.log.Warn("accept", zap.Error(err))
			select {
			case <-time.After(acceptPause):
			case <-s.ctx.Done():
			}
		default:
			return fmt.Errorf("accept: %w", err)
		}
	}
}

// isTransient reports whether Accept may succeed later.
func isTransient(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) || errors.Is(err, syscall.ECONNABORTED)
}

func (s *lineServer) enlist(ln net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing.Load() {
		return false
	}
	s.served.Add(1)
	s.listeners[ln] = struct{}{}
	return true
}

func (s *lineServer) delist(ln net.Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.listeners, ln)
	s.served.Done()
}

// accepted starts the conversation, unless there are too many, or the server was
// closed while Accept was returning.
func (s *lineServer) accepted(conn net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	tooMany := len(s.conns) >= s.limits.connections
	if tooMany {
		s.refused.Add(1)
	}
	if tooMany || s.closing.Load() {
		_ = conn.Close()
		return
	}
	s.conns[conn] = struct{}{}
	s.served.Go(func() {
		defer s.forget(conn)
		s.converse(conn)
	})
}

func (s *lineServer) forget(conn net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, conn)
	_ = conn.Close()
}

// Close stops accepting, lets commands in progress finish and answer, and closes
// all connections. What is not done by closeGrace is cut off. Nothing of the server
// runs when it returns; calling it twice is harmless.
func (s *lineServer) Close() {
	s.stop()
	done := make(chan struct{})
	var waiter sync.WaitGroup
	waiter.Go(func() {
		s.served.Wait()
		close(done)
	})
	select {
	case <-done:
	case <-time.After(closeGrace):
		s.cutOff()
	}
	waiter.Wait()
	s.cancel(errServerClosed)
}

// stop ends all reading. Connections that wait for a request end at once, the
// others when they come to read the next.
func (s *lineServer) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closing.Store(true)
	for ln := range s.listeners {
		_ = ln.Close()
	}
	for conn := range s.conns {
		_ = conn.SetReadDeadline(time.Unix(1, 0))
	}
}

func (s *lineServer) cutOff() {
	s.cancel(errServerClosed)
	s.mu.Lock()
	defer s.mu.Unlock()
	for conn := range s.conns {
		_ = conn.Close()
	}
}
