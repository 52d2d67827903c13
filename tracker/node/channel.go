package node

import (
	"bufio"
	"context"
	"net"
	"sync"
	"time"
)

const (
	// maxIdleChannels is how many idle side channels are kept for each host: as many as a
	// host's disks are checked at a time, as a rule.
	maxIdleChannels = 8
	// maxAnswer bounds a line of the side channel.
	maxAnswer = 4 << 10
)

// channel is a connection to a side channel. One caller uses it at a time.
type channel struct {
	net.Conn
	lines *bufio.Reader
	used  bool // it has carried an exchange before
	idle  time.Time
}

// channels keeps side channels for the next who asks.
type channels struct {
	dialer *net.Dialer

	mu     sync.Mutex // guards what follows
	byAddr map[string][]*channel
}

func newChannels(dialer *net.Dialer) *channels {
	return &channels{dialer: dialer, byAddr: map[string][]*channel{}}
}

// open takes an idle channel, the one that was used last, or makes one.
func (c *channels) open(ctx context.Context, addr string) (*channel, error) {
	if kept := c.take(addr); kept != nil {
		return kept, nil
	}
	return c.dial(ctx, addr)
}

func (c *channels) dial(ctx context.Context, addr string) (*channel, error) {
	conn, err := c.dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	return &channel{Conn: conn, lines: bufio.NewReaderSize(conn, maxAnswer)}, nil
}

func (c *channels) take(addr string) *channel {
	c.mu.Lock()
	defer c.mu.Unlock()
	idle := c.byAddr[addr]
	if len(idle) == 0 {
		return nil
	}
	last := idle[len(idle)-1]
	c.byAddr[addr] = idle[:len(idle)-1]
	if time.Since(last.idle) < idleTimeout {
		return last
	}
	c.closeLocked(addr) // the others are older still
	_ = last.Close()
	return nil
}

// keep puts a channel back that has nothing more to say.
func (c *channels) keep(addr string, ch *channel) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.byAddr[addr]) >= maxIdleChannels || ch.lines.Buffered() > 0 {
		_ = ch.Close()
		return
	}
	ch.used, ch.idle = true, time.Now()
	c.byAddr[addr] = append(c.byAddr[addr], ch)
}

func (c *channels) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for addr := range c.byAddr {
		c.closeLocked(addr)
	}
}

func (c *channels) closeLocked(addr string) {
	for _, ch := range c.byAddr[addr] {
		_ = ch.Close()
	}
	delete(c.byAddr, addr)
}
