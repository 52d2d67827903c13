package client

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// defaultPort is where trackers listen (docs/spec/tracker-protocol.md §1).
const defaultPort = "7001"

// tlsScheme stands before the address of a tracker that is reached over TLS.
const tlsScheme = "tls://"

// address is where a tracker is.
type address struct {
	text string // as it was given, for people
	host string
	dial string // host:port
	tls  bool
}

// parseAddress reads host, host:port, and both with tls:// before them.
func parseAddress(s string) (address, error) {
	rest, isTLS := strings.CutPrefix(s, tlsScheme)
	host, port := splitPort(rest)
	n, err := strconv.ParseUint(port, 10, 16)
	switch {
	case host == "" || strings.ContainsAny(rest, "/@ \t\r\n") || strings.ContainsAny(host, "[]") || strings.Contains(host, ":") && !isIPv6(host):
		return address{}, fmt.Errorf("tracker address %q: want host:port or tls://host:port, an IPv6 address in brackets", s)
	case err != nil || n == 0:
		return address{}, fmt.Errorf("tracker address %q: the port is no number from 1 to 65535", s)
	}
	return address{text: s, host: host, dial: net.JoinHostPort(host, port), tls: isTLS}, nil
}

// splitPort gives an address without a port the trackers' own.
func splitPort(s string) (host, port string) {
	if host, port, err := net.SplitHostPort(s); err == nil {
		return host, port
	}
	if inner, ok := strings.CutPrefix(s, "["); ok && strings.HasSuffix(inner, "]") {
		s = strings.TrimSuffix(inner, "]")
	}
	return s, defaultPort
}

func isIPv6(s string) bool {
	addr, err := netip.ParseAddr(s)
	return err == nil && addr.Is6()
}
