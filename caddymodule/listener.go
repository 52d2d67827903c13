package caddymodule

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
)

// packetNetworks have no connections, which both of our protocols need.
var packetNetworks = []string{"udp", "udp4", "udp6", "ip", "ip4", "ip6", "unixgram", "fdgram"}

// parseListen reads the address of one port; port is its number when the address
// has none.
func parseListen(addr string, port uint) (caddy.NetworkAddress, error) {
	parsed, err := caddy.ParseNetworkAddressWithDefaults(addr, "tcp", port)
	switch {
	case err != nil:
		return parsed, err
	case slices.Contains(packetNetworks, parsed.Network):
		return parsed, fmt.Errorf("network %s has no connections: use tcp or unix", parsed.Network)
	case parsed.PortRangeSize() != 1:
		return parsed, errors.New("want one port, not a range")
	}
	return parsed, nil
}

// listenOn names a port: where it is, its number when the address has none, whose
// it is, and where that one logs.
type listenOn struct {
	addr  string
	port  uint
	owner string
	log   *zap.Logger
	// tls is asked at every connection to an address that begins with tls://; nil
	// means that none may.
	tls func() *tls.Config
}

// tlsPrefix is what addresses begin with that are spoken to over TLS.
const tlsPrefix = "tls://"

func (on listenOn) open(ctx context.Context) (net.Listener, error) {
	if plain, encrypted := strings.CutPrefix(on.addr, tlsPrefix); encrypted && on.tls != nil {
		on.addr = plain
		ln, err := on.open(ctx)
		if err != nil {
			return nil, err
		}
		return &tlsListener{ln, on.tls}, nil
	}
	addr, err := parseListen(on.addr, on.port)
	if err != nil {
		return nil, err
	}
	made, err := addr.Listen(ctx, 0, net.ListenConfig{})
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("%w: stop the process that has it, or choose another address", err)
	}
	if err != nil {
		return nil, err
	}
	return made.(net.Listener), nil // parseListen refused all that are none
}

// tlsListener accepts connections that shake hands when they are first read from, with
// what the newest config has to say about that.
type tlsListener struct {
	net.Listener
	config func() *tls.Config
}

// Accept implements net.Listener.
func (l *tlsListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return tls.Server(conn, l.config()), nil
}

// listener is a port in the pool with the goroutine that serves it.
type listener struct {
	net.Listener
	served sync.WaitGroup
}

// listenShared opens a port, or finds it open by an earlier config for the same
// owner, and has serve take its connections until the last config lets go.
func listenShared(ctx context.Context, r *refs, on listenOn, serve func(net.Listener) error) error {
	_, err := load(r, poolKey{"listener", on.addr + " of " + on.owner}, func() (*listener, error) {
		ln, err := on.open(ctx)
		if err != nil {
			return nil, err
		}
		l := &listener{Listener: ln}
		l.served.Go(func() {
			if err := serve(ln); err != nil && !errors.Is(err, net.ErrClosed) {
				on.log.Error("stopped taking connections", zap.String("address", on.addr), zap.Error(err))
			}
		})
		return l, nil
	})
	return err
}

// Destruct closes the port; connections that were accepted live on.
func (l *listener) Destruct() error {
	err := l.Close()
	l.served.Wait()
	return err
}
