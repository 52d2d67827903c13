package sqlstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/stdlib"

	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

// maxIdle is how long an unused connection is trusted: less than the idle timeouts of
// the usual firewalls and proxies between a tracker and its database.
const maxIdle = 4 * time.Minute

// maxWait is how long a call waits for a connection when all are in use. Longer than
// that, the server is in trouble, and a queue before it helps nobody.
const maxWait = 10 * time.Second

// session is one connection to a database server with what is prepared on it. One
// goroutine at a time uses it.
type session struct {
	conn  *sql.Conn
	stmts *statements
	// reused: it has served before, so that what breaks now may have been broken
	// for long.
	reused bool
	idle   time.Time // since when, while it is
}

// in is where statements of this session run. Their context never ends: watching one
// costs a goroutine each, and a connection that is interrupted has to be thrown away.
// What bounds them is the connection's own deadline.
func (s *session) in(ctx context.Context) *tx { return s.stmts.in(context.WithoutCancel(ctx)) }

// until is in for a read that is of no use to anyone after the deadline of ctx, if that
// has one: a reader who has been told by a cache where a file was must not wait for a
// server that is frozen. Few reads have one, and only their connections are lost.
func (s *session) until(ctx context.Context) *tx {
	if _, bounded := ctx.Deadline(); !bounded {
		return s.in(ctx)
	}
	t := s.stmts.in(ctx)
	t.stmt = func(text string) (*sql.Stmt, error) { return s.stmts.getWithin(ctx, text) }
	return t
}

// do runs a text that is not worth preparing.
func (s *session) do(ctx context.Context, text string) error {
	_, err := s.conn.ExecContext(context.WithoutCancel(ctx), text)
	return err
}

// isAlive asks the driver, not the server.
func (s *session) isAlive() bool {
	err := s.conn.Raw(func(conn any) error {
		switch c := conn.(type) {
		case driver.Validator:
			if !c.IsValid() {
				return driver.ErrBadConn
			}
		case *stdlib.Conn:
			if c.Conn().IsClosed() {
				return driver.ErrBadConn
			}
		}
		return nil
	})
	return err == nil
}

func (s *session) close() error {
	// Statements die with their connection; closing each would ask the server.
	return s.conn.Close()
}

// sessions are the connections to one server: never more than a fixed number, and
// those not in use wait to be used again, the last used first.
type sessions struct {
	pool *sql.DB // opens connections and keeps none
	d    *dialect
	// places holds one for each session in use.
	places chan struct{}
	stop   chan struct{} // closed by close

	mu     sync.Mutex // guards the two below
	idle   []*session
	closed bool
}

func newSessions(pool *sql.DB, d *dialect, most int) *sessions {
	pool.SetMaxIdleConns(0)
	return &sessions{pool: pool, d: d, places: make(chan struct{}, most), stop: make(chan struct{})}
}

// take waits for a place until ctx ends, and connects when no session is idle.
func (p *sessions) take(ctx context.Context) (*session, error) {
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	select {
	case p.places <- struct{}{}:
	default:
		if err := p.waitForPlace(ctx); err != nil {
			return nil, err
		}
	}
	s, err := p.idleOrNew(ctx)
	if err != nil {
		<-p.places
		return nil, err
	}
	return s, nil
}

func (p *sessions) waitForPlace(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, maxWait,
		fmt.Errorf("all %d connections have been in use for %v", cap(p.places), maxWait))
	defer cancel()
	select {
	case p.places <- struct{}{}:
		return nil
	case <-p.stop:
		return errClosed
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (p *sessions) idleOrNew(ctx context.Context) (*session, error) {
	s, err := p.lastUsed()
	if s != nil || err != nil {
		return s, err
	}
	return p.connect(ctx)
}

// lastUsed is nil when no session is idle. The last used is the freshest: when even
// that one waited too long, so did all.
func (p *sessions) lastUsed() (*session, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, errClosed
	}
	last := len(p.idle) - 1
	if last < 0 {
		return nil, nil
	}
	s := p.idle[last]
	if time.Since(s.idle) > maxIdle {
		p.forgetLocked()
		return nil, nil
	}
	p.idle = p.idle[:last]
	return s, nil
}

// connect opens a connection outside of the number that the pool is for, too: the
// caller has taken a place or needs none.
func (p *sessions) connect(ctx context.Context) (*session, error) {
	conn, err := p.pool.Conn(ctx)
	if err != nil {
		return nil, err
	}
	return &session{conn: conn, stmts: newStatements(p.d, conn.PrepareContext)}, nil
}

// put gives a session back. One that broke takes the idle ones with it: what broke it
// most likely was the server's end, and each would have to find that out by itself.
func (p *sessions) put(s *session, healthy bool) {
	defer func() { <-p.places }()
	p.mu.Lock()
	defer p.mu.Unlock()
	if !healthy {
		p.forgetLocked()
	}
	if !healthy || p.closed {
		_ = s.close()
		return
	}
	s.reused, s.idle = true, time.Now()
	p.idle = append(p.idle, s)
}

// forget closes all idle sessions.
func (p *sessions) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forgetLocked()
}

// forgetLocked closes all idle sessions. Closing says goodbye to the server at most,
// and waits for nothing.
func (p *sessions) forgetLocked() {
	for _, s := range p.idle {
		_ = s.close()
	}
	p.idle = nil
}

// now is the sessions at this moment.
func (p *sessions) now() store.Pool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return store.Pool{InUse: len(p.places), Idle: len(p.idle), Limit: cap(p.places)}
}

// close waits for the sessions in use.
func (p *sessions) close() error {
	p.mu.Lock()
	p.closed = true
	close(p.stop)
	p.forgetLocked()
	p.mu.Unlock()
	for range cap(p.places) {
		p.places <- struct{}{}
	}
	err := p.pool.Close()
	if errors.Is(err, driver.ErrBadConn) {
		return nil
	}
	return err
}
