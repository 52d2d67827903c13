package client

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"
)

// idleFor is how long an unused connection is kept. Trackers close none, but what
// stands between may forget one.
const idleFor = 5 * time.Minute

// tracker is one tracker as the client knows it: the connections to it, and whether
// it is well.
type tracker struct {
	addr   address
	config Config
	log    *zap.Logger
	// probes is where probes run, and ctx is theirs; both end with the client.
	probes *sync.WaitGroup
	ctx    context.Context

	// slots holds one for each connection in use. As a connection is only opened when
	// none is idle, no more than its capacity are ever open.
	slots chan struct{}

	mu     sync.Mutex // guards the rest
	closed bool
	idle   []*conn // the last used at the end
	health health
}

// borrow gives an idle connection, or opens one. It is given back with giveBack or
// discard.
func (t *tracker) borrow(ctx context.Context, deadline time.Time) (*conn, error) {
	if err := t.takeSlot(ctx, deadline); err != nil {
		return nil, err
	}
	c, err := t.takeIdle()
	if err == nil && c == nil {
		c, err = t.open(ctx, deadline)
	}
	if err != nil {
		<-t.slots
		return nil, err
	}
	return c, nil
}

// errBusy says nothing against the tracker.
var errBusy = errors.New("all connections are busy")

func (t *tracker) takeSlot(ctx context.Context, deadline time.Time) error {
	select {
	case t.slots <- struct{}{}:
		return nil
	default:
	}
	late := time.NewTimer(time.Until(deadline))
	defer late.Stop()
	select {
	case t.slots <- struct{}{}:
		return nil
	case <-late.C:
		return fmt.Errorf("%w: %d of them", errBusy, cap(t.slots))
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// takeIdle returns nil when no idle connection is fit for use.
func (t *tracker) takeIdle() (*conn, error) {
	now := time.Now()
	for {
		t.mu.Lock()
		if t.closed {
			t.mu.Unlock()
			return nil, ErrClosed
		}
		last := len(t.idle) - 1
		if last < 0 {
			t.mu.Unlock()
			return nil, nil
		}
		c := t.idle[last]
		t.idle = t.idle[:last]
		t.mu.Unlock()
		if c.fit(now) {
			return c, nil
		}
		c.Close()
	}
}

func (t *tracker) open(ctx context.Context, deadline time.Time) (*conn, error) {
	if latest := time.Now().Add(t.config.ConnectTimeout); latest.Before(deadline) {
		deadline = latest
	}
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	raw, err := t.config.Dial(ctx, "tcp", t.addr.dial)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	if t.addr.tls {
		if raw, err = t.secure(ctx, raw); err != nil {
			return nil, err
		}
	}
	return &conn{Conn: raw, in: bufio.NewReaderSize(raw, readBuffer)}, nil
}

func (t *tracker) secure(ctx context.Context, raw net.Conn) (net.Conn, error) {
	config := t.config.TLS
	if config.ServerName == "" {
		config = config.Clone()
		config.ServerName = t.addr.host
	}
	secured := tls.Client(raw, config)
	if err := secured.HandshakeContext(ctx); err != nil {
		raw.Close()
		return nil, fmt.Errorf("tls handshake: %w", err)
	}
	return secured, nil
}

// giveBack takes a connection on which an answer came.
func (t *tracker) giveBack(c *conn) {
	c.idleSince = time.Now()
	var drop []*conn
	t.mu.Lock()
	if c.spoiled || t.closed || len(t.idle) >= t.config.MaxIdle {
		drop = append(drop, c)
	} else {
		t.idle = append(t.idle, c)
	}
	if len(t.idle) > 0 && c.idleSince.Sub(t.idle[0].idleSince) > idleFor {
		drop = append(drop, t.idle[0])
		t.idle = slices.Delete(t.idle, 0, 1)
	}
	t.mu.Unlock()
	closeAll(drop)
	<-t.slots
}

// discard takes a connection that broke.
func (t *tracker) discard(c *conn) {
	c.Close()
	<-t.slots
}

// dropIdle closes the connections that nobody uses, because one of their age was
// found dead.
func (t *tracker) dropIdle() {
	t.mu.Lock()
	idle := t.idle
	t.idle = nil
	t.mu.Unlock()
	closeAll(idle)
}

// close closes what is idle; what is in use is closed when it is given back.
func (t *tracker) close() {
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	t.dropIdle()
}

func closeAll(conns []*conn) {
	for _, c := range conns {
		c.Close()
	}
}
