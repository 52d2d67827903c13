package process

import (
	"math/rand/v2"
	"net"
	"strconv"
	"testing"
)

// Ports are taken from below those that the system gives to outgoing connections,
// so that a port stays free while its process is down between Kill and Restart.
const (
	firstPort = 10_000
	endPort   = 32_000
	portTries = 1_000 // far more than there can be listeners
)

// FreePorts returns n different loopback ports on which nobody listens.
func FreePorts(t testing.TB, n int) []int {
	t.Helper()
	var ports []int
	for range portTries {
		if len(ports) == n {
			return ports
		}
		port := firstPort + rand.IntN(endPort-firstPort)
		// Listening without SO_REUSEPORT fails where Caddy, which sets it,
		// would share the port with another process.
		ln, err := net.Listen("tcp", loopback(port))
		if err != nil {
			continue
		}
		defer ln.Close() // only now, so that no port is returned twice
		ports = append(ports, port)
	}
	t.Fatalf("got %d free ports of %d", len(ports), n)
	return nil
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
