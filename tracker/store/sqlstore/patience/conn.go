// Package patience bounds how long somebody waits: a connection for its other end, or anybody for the
// next try. It knows no protocol.
package patience

import (
	"context"
	"net"
	"sync"
	"time"
)

// Conn bounds each read and write. A server that is frozen, or behind a
// firewall that has forgotten the connection, says nothing for ever, and statements run
// without a context that would end.
type Conn struct {
	net.Conn
	patience time.Duration

	mu    sync.Mutex
	limit time.Time // of the driver, zero for none; guarded by mu
}

// New has reads and writes of a connection wait at most so long each.
func New(conn net.Conn, patience time.Duration) *Conn {
	return &Conn{Conn: conn, patience: patience}
}

// SetDeadline is how the driver ends what is under way.
func (c *Conn) SetDeadline(limit time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.limit = limit
	return c.Conn.SetDeadline(limit)
}

func (c *Conn) Read(b []byte) (int, error) {
	if err := c.begin(c.Conn.SetReadDeadline); err != nil {
		return 0, err
	}
	return c.Conn.Read(b)
}

func (c *Conn) Write(b []byte) (int, error) {
	if err := c.begin(c.Conn.SetWriteDeadline); err != nil {
		return 0, err
	}
	return c.Conn.Write(b)
}

// begin holds the lock while it sets the deadline: one of the driver that comes at the
// same moment comes after it.
func (c *Conn) begin(set func(time.Time) error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	end := time.Now().Add(c.patience)
	if !c.limit.IsZero() && c.limit.Before(end) {
		end = c.limit
	}
	return set(end)
}

// Sleep waits until the time is over or ctx is, and reports whether it waited to the end.
func Sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
