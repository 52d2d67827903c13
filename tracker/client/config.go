package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"go.uber.org/zap"
)

// Config is what a [Client] is made of. Only Addresses is required.
type Config struct {
	// Addresses are the trackers: host or host:port, with tls:// before it for a
	// tracker behind TLS. The port is 7001 when there is none.
	//
	// The first that is well is asked, always: so a client reads what it has just
	// written, although a tracker learns of changes to hosts, devices, domains and classes
	// made through another only seconds later, and the nearest one can be preferred.
	// Give different clients different orders to spread them.
	Addresses []string
	// TLS is for the tls:// addresses; nil means the system's roots and no certificate
	// of our own. Without a ServerName in it the address's host is the name that a
	// tracker's certificate must have.
	TLS *tls.Config
	// ConnectTimeout bounds the opening of a connection, TLS included; 0 means 1 s.
	ConnectTimeout time.Duration
	// Timeout is how long one tracker may take, from waiting for a connection to the
	// answer's last byte, before the next is asked; 0 means 2 s. A caller who wants that next
	// one asked must have more time.
	Timeout time.Duration
	// NodeTimeout comes on top of Timeout for commands during which the tracker asks
	// storage nodes, such as create_open and create_close, or has its monitor look at
	// them, as after all changes of the topology; 0 means 10 s.
	NodeTimeout time.Duration
	// MaxIdle is how many connections to each tracker wait for the next request; 0
	// means 16.
	MaxIdle int
	// MaxOpen is how many connections to each tracker there are at most; further
	// requests wait. 0 means 64.
	MaxOpen int
	// Dial opens connections; nil means the system's way. TLS goes on top of it.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Logger hears of trackers that fail and that come back; nil means that nobody does.
	Logger *zap.Logger
}

const (
	// defaultConnectTimeout is long for a network that trackers are in, and short for
	// somebody who waits for a page: one lost packet of a handshake is repeated after 1 s.
	defaultConnectTimeout = time.Second
	defaultTimeout        = 2 * time.Second
	// defaultNodeTimeout is five timeouts of a storage node, of which some commands
	// wait for several.
	defaultNodeTimeout = 10 * time.Second
	defaultMaxIdle     = 16
	// defaultMaxOpen leaves room for many clients below our trackers' 4096, and is far
	// above the 20 requests that the peer carries out at the same time.
	defaultMaxOpen = 64
)

// Validate reports the first field that can't be used.
func (c Config) Validate() error {
	if len(c.Addresses) == 0 {
		return errors.New("no tracker: name one, as in 127.0.0.1:7001")
	}
	seen := map[string]string{}
	for _, s := range c.Addresses {
		addr, err := parseAddress(s)
		if err != nil {
			return err
		}
		if other, twice := seen[addr.dial]; twice {
			return fmt.Errorf("tracker address %q: it is the same tracker as %q", s, other)
		}
		seen[addr.dial] = s
	}
	switch {
	case c.ConnectTimeout < 0 || c.Timeout < 0 || c.NodeTimeout < 0:
		return fmt.Errorf("timeouts connect %s, answer %s, node %s: want none below 0", c.ConnectTimeout, c.Timeout, c.NodeTimeout)
	case c.MaxIdle < 0 || c.MaxOpen < 0:
		return fmt.Errorf("connections: idle %d, open %d: want none below 0", c.MaxIdle, c.MaxOpen)
	}
	return nil
}

func (c Config) withDefaults() Config {
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&c.ConnectTimeout, defaultConnectTimeout}, {&c.Timeout, defaultTimeout}, {&c.NodeTimeout, defaultNodeTimeout},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	if c.MaxIdle == 0 {
		c.MaxIdle = defaultMaxIdle
	}
	if c.MaxOpen == 0 {
		c.MaxOpen = defaultMaxOpen
	}
	if c.Dial == nil {
		c.Dial = new(net.Dialer).DialContext
	}
	if c.Logger == nil {
		c.Logger = zap.NewNop()
	}
	if c.TLS == nil {
		c.TLS = new(tls.Config)
	}
	return c
}
