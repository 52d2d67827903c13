package caddymodule

import "syscall"

const canHoldBack = true

// holdBack has the system keep what does not fill a packet, for 0.2 s at most.
func holdBack(fd uintptr) {
	_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_CORK, 1)
}

// sendAll ends that, and sends what was kept.
func sendAll(fd uintptr) {
	_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_CORK, 0)
}
