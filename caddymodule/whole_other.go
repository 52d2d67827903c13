//go:build !linux

package caddymodule

// Elsewhere the system sends what it is given.
const canHoldBack = false

func holdBack(uintptr) {}
func sendAll(uintptr)  {}
