package tracker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/complaint"
	"github.com/mogilefs/caddy-mogilefs/tally"
	"github.com/mogilefs/caddy-mogilefs/tracker/command"
)

const (
	// maxCommands is how many requests are carried out at the same time; the others
	// wait their turn. Most of that time is spent waiting for a node or the
	// database, which profits from no more. Operators change it as the number of
	// workers of the job queryworker.
	maxCommands = 256
	// writeTimeout is when a client that does not take its answer is given up
	// (docs/spec/tracker-protocol.md §1).
	writeTimeout = 120 * time.Second
	// handshakeTime bounds what comes before the first line of an encrypted
	// connection: a few packets each way, on the worst of networks.
	handshakeTime = 10 * time.Second
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
	line     int // maxLine
	commands int // maxCommands
}

func (l limits) withDefaults() limits {
	if l.line == 0 {
		l.line = maxLine
	}
	if l.commands == 0 {
		l.commands = maxCommands
	}
	return l
}

// lineConfig is what a line server works with.
type lineConfig struct {
	commands *command.Commands
	staff    staff
	watchers *watchers
	// access is asked for each connection and each request, as it may change. What
	// it points to never does.
	access func() *Access
	log    *zap.Logger
	tally  *tally.Tracker
	limits limits
}

// lineServer speaks the line protocol on any number of listeners
// (docs/spec/tracker-protocol.md §1). Every connection has a goroutine, which
// reads a line, has it carried out and writes the answer, one after the other: so
// answers come in order, and a client that does not read is not read from.
type lineServer struct {
	lineConfig
	started time.Time
	gate    *gate
	long    *longLines
	fit     int       // connections that the process has descriptors for
	answers sync.Pool // of *[]byte: an idle connection has none

	// ctx is that of every command: a client that goes away does not end its own.
	ctx    context.Context
	cancel context.CancelCauseFunc

	refused counters

	stopping chan struct{} // closed when reading ends
	closing  atomic.Bool   // set under mu; read by connections without
	served   sync.WaitGroup

	mu        sync.Mutex // guards what follows
	listeners map[net.Listener]struct{}
	conns     map[net.Conn]netip.Addr
	clients   map[netip.Addr]int // how many connections an address has
}

// Why connections are refused, as they are counted.
const (
	refusedStranger   = "stranger"
	refusedCrowd      = "too_many"
	refusedCrowdOfOne = "too_many_of_one"
)

// counters is what clients were refused, and the log's patience with each.
type counters struct {
	strangers, crowd, crowdOfOne, commands atomic.Int64

	ofStranger, ofCrowd, ofCrowdOfOne, ofCommand complaint.Complaint
}

func newLineServer(config lineConfig) *lineServer {
	config.limits = config.limits.withDefaults()
	ctx, cancel := context.WithCancelCause(context.Background())
	stopping := make(chan struct{})
	if config.tally == nil {
		config.tally = new(tally.Tracker)
	}
	for _, why := range []string{refusedStranger, refusedCrowd, refusedCrowdOfOne} {
		config.tally.Refused.At(why) // is shown before it happens
	}
	return &lineServer{
		lineConfig: config, started: time.Now(),
		gate: newGate(config.limits.commands), long: newLongLines(maxLongLines, stopping),
		fit:     FittingConnections(),
		answers: sync.Pool{New: func() any { return new([]byte) }},
		ctx:     ctx, cancel: cancel, stopping: stopping,
		listeners: map[net.Listener]struct{}{},
		conns:     map[net.Conn]netip.Addr{},
		clients:   map[netip.Addr]int{},
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

// accepted starts the conversation, if there is to be one. Who is not welcome is not
// told so: a stranger learns nothing, and a client goes to another tracker.
func (s *lineServer) accepted(conn net.Conn) {
	peer := peerOf(conn)
	access := s.access()
	if !access.admits(peer) {
		s.tally.Refused.At(refusedStranger).Add(1)
		s.refuse(conn, &s.refused.strangers, &s.refused.ofStranger, "connection refused: the client's address is not allowed",
			zap.Stringer("client", conn.RemoteAddr()), zap.String("way out", "add it to the tracker's allow"))
		return
	}
	switch s.admit(conn, peer, access) {
	case welcome:
		return
	case tooMany:
		s.tally.Refused.At(refusedCrowd).Add(1)
		s.refuse(conn, &s.refused.crowd, &s.refused.ofCrowd, "connection refused: there are too many",
			zap.Int("max_connections", access.maxConnections(s.fit)), zap.Int("descriptors suffice for", s.fit))
	case tooManyOfOne:
		s.tally.Refused.At(refusedCrowdOfOne).Add(1)
		s.refuse(conn, &s.refused.crowdOfOne, &s.refused.ofCrowdOfOne, "connection refused: its client has too many",
			zap.Stringer("client", peer), zap.Int("max_connections_per_client", access.MaxPerClient))
	case closed:
		_ = conn.Close()
	}
}

func (s *lineServer) refuse(conn net.Conn, count *atomic.Int64, c *complaint.Complaint, text string, fields ...zap.Field) {
	_ = conn.Close()
	count.Add(1)
	c.Warn(s.log, text, fields...)
}

// admission is what becomes of a connection.
type admission uint8

const (
	welcome admission = iota
	tooMany
	tooManyOfOne
	closed // the server was, while Accept was returning
)

func (s *lineServer) admit(conn net.Conn, peer netip.Addr, access *Access) admission {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closing.Load():
		return closed
	case len(s.conns) >= access.maxConnections(s.fit):
		return tooMany
	case access.MaxPerClient > 0 && s.clients[peer] >= access.MaxPerClient:
		return tooManyOfOne
	}
	s.conns[conn] = peer
	s.clients[peer]++
	s.tally.Accepted.Add(1)
	s.served.Go(func() {
		defer s.forget(conn, peer)
		s.converse(conn, peer, access)
	})
	return welcome
}

// forget closes a connection, not under the lock: an encrypted one says good-bye first.
func (s *lineServer) forget(conn net.Conn, peer netip.Addr) {
	_ = conn.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, conn)
	if s.clients[peer]--; s.clients[peer] == 0 {
		delete(s.clients, peer)
	}
}

func (s *lineServer) connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
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
	if !s.closing.Swap(true) {
		close(s.stopping)
	}
	for ln := range s.listeners {
		_ = ln.Close()
	}
	for conn := range s.conns {
		_ = conn.SetReadDeadline(time.Unix(1, 0))
	}
}

// cutOff closes what lies below any encryption, which would first try to say good-bye
// to each of those that do not listen.
func (s *lineServer) cutOff() {
	s.cancel(errServerClosed)
	s.mu.Lock()
	defer s.mu.Unlock()
	for conn := range s.conns {
		if wrapped, ok := conn.(interface{ NetConn() net.Conn }); ok {
			conn = wrapped.NetConn()
		}
		_ = conn.Close()
	}
}
