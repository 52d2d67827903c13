package database

import (
	"errors"
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

// freePort returns a loopback port on which nobody listens now. Another process may
// find the same one; whoever then fails to listen asks again.
func freePort() (int, error) {
	for range portTries {
		port := firstPort + rand.IntN(endPort-firstPort)
		ln, err := net.Listen("tcp", loopback(port))
		if err == nil {
			return port, ln.Close()
		}
	}
	return 0, errors.New("find a free port: all that were tried are taken")
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
