package frame

import (
	"context"
	"crypto/tls"
	"net"
	"strings"
	"time"
)

const (
	// connTimeout bounds the opening of a connection for operators' lines.
	connTimeout = 2 * time.Second
	// trackerPort is where trackers listen.
	trackerPort = "7001"
)

// Conn opens a connection to a tracker, for the lines that only operators use and
// tracker/client does not speak. The caller closes it.
func (c *Call) Conn(ctx context.Context, address string) (net.Conn, error) {
	rest, secure := strings.CutPrefix(address, "tls://")
	host, _, err := net.SplitHostPort(rest)
	if err != nil {
		host = strings.Trim(rest, "[]")
		rest = net.JoinHostPort(host, trackerPort)
	}
	dialer := &net.Dialer{Timeout: connTimeout}
	if !secure {
		return dialer.DialContext(ctx, "tcp", rest)
	}
	config, err := c.tls()
	if err != nil {
		return nil, err
	}
	if config == nil {
		config = new(tls.Config)
	}
	config.ServerName = host
	return (&tls.Dialer{NetDialer: dialer, Config: config}).DialContext(ctx, "tcp", rest)
}
