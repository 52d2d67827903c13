package database

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

// Ports are taken from below those that the system gives to outgoing connections,
// so that a port stays free while its server is down between Kill and Restart.
const (
	firstPort = 10_000
	endPort   = 32_000
	portTries = 1_000 // far more than there can be listeners
)

// freePorts returns n different loopback ports on which nobody listens now. Another
// process may find the same ones; whoever then fails to listen asks again.
func freePorts(n int) ([]int, error) {
	var ports []int
	for range portTries {
		if len(ports) == n {
			return ports, nil
		}
		port := firstPort + rand.IntN(endPort-firstPort)
		ln, err := net.Listen("tcp", loopback(port))
		if err != nil {
			continue
		}
		defer ln.Close() // only now, so that no port is returned twice
		ports = append(ports, port)
	}
	return nil, fmt.Errorf("got %d free ports of %d", len(ports), n)
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
