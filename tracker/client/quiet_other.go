//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package client

import "net"

// quiet can't look here. A connection that has ended shows when it is used.
func quiet(net.Conn) bool { return true }
