package mogile

import (
	"fmt"
	"net"
	"strconv"
)

// HostID numbers a host. Zero is no host.
type HostID uint32

// String is the plain decimal number, as on the wire.
func (h HostID) String() string { return strconv.FormatUint(uint64(h), 10) }

// HostName is the unique name an operator gave a host.
type HostName string

// Host is a row of the table host: a storage node.
type Host struct {
	ID    HostID
	Name  HostName
	State HostState
	// IP is where the node is reached, AltIP where clients inside AltMask reach
	// it; AltIP and AltMask may be empty.
	IP, AltIP, AltMask string
	// Port takes all methods; GetPort, when not 0, is where reads go.
	Port, GetPort uint16
}

// ReadPort is the port that reads go to.
func (h Host) ReadPort() uint16 {
	if h.GetPort != 0 {
		return h.GetPort
	}
	return h.Port
}

// HostAddr joins an address and a port of a host as a URL wants them.
func HostAddr(ip string, port uint16) string {
	return net.JoinHostPort(ip, strconv.Itoa(int(port)))
}

// HostState is what the operator decided about a host.
type HostState string

// The four states of docs/spec/tracker-protocol.md §5.3.
const (
	HostAlive    HostState = "alive"
	HostReadonly HostState = "readonly"
	HostDown     HostState = "down"
	HostDead     HostState = "dead"
)

// ParseHostState reads one of the four states.
func ParseHostState(s string) (HostState, error) {
	switch st := HostState(s); st {
	case HostAlive, HostReadonly, HostDown, HostDead:
		return st, nil
	}
	return "", fmt.Errorf("host state %q: want alive, readonly, down or dead", s)
}

// Readable reports whether copies on the host's devices may be read.
func (s HostState) Readable() bool { return s == HostAlive || s == HostReadonly }

// Writable reports whether its devices may take and lose copies.
func (s HostState) Writable() bool { return s == HostAlive }
