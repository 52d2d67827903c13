package sqlstore

import (
	"net"
	"sync"
	"time"
)

// impatientConn bounds each read and write. A server that is frozen, or behind a
// firewall that has forgotten the connection, says nothing for ever, and statements run
// without a context that would end.
type impatientConn struct {
	net.Conn
	patience time.Duration

	mu    sync.Mutex
	limit time.Time // of the driver, zero for none; guarded by mu
}

// SetDeadline is how the driver ends what is under way.
func (c *impatientConn) SetDeadline(limit time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.limit = limit
	return c.Conn.SetDeadline(limit)
}

func (c *impatientConn) Read(b []byte) (int, error) {
	if err := c.begin(c.Conn.SetReadDeadline); err != nil {
		return 0, err
	}
	return c.Conn.Read(b)
}

func (c *impatientConn) Write(b []byte) (int, error) {
	if err := c.begin(c.Conn.SetWriteDeadline); err != nil {
		return 0, err
	}
	return c.Conn.Write(b)
}

// begin holds the lock while it sets the deadline: one of the driver that comes at the
// same moment comes after it.
func (c *impatientConn) begin(set func(time.Time) error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	end := time.Now().Add(c.patience)
	if !c.limit.IsZero() && c.limit.Before(end) {
		end = c.limit
	}
	return set(end)
}
