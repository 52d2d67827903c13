package client_test

import (
	"strings"
	"testing"
	"time"

	"github.com/mogilefs/caddy-mogilefs/tracker/client"
)

func TestAddressesOfTrackers(t *testing.T) {
	for _, addr := range []string{
		"10.0.0.1", "10.0.0.1:7001", "tracker.example.com", "tracker:1", "[::1]", "[::1]:7001", "::1", "fe80::1%eth0",
		"tls://tracker.example.com", "tls://tracker:7002", "tls://[::1]:7001",
	} {
		if err := (client.Config{Addresses: []string{addr}}).Validate(); err != nil {
			t.Errorf("%q: got %v; want no error", addr, err)
		}
	}
	for _, addr := range []string{
		"", ":7001", "tls://", "tracker:", "tracker:0", "tracker:65536", "tracker:port", "http://tracker:7001", "tls://tls://x",
		"tracker/7001", "a b", "a:b:c", "[::1", "user@tracker", "tracker:7001/", "unix//run/tracker",
	} {
		err := (client.Config{Addresses: []string{"127.0.0.1", addr}}).Validate()
		if err == nil || !strings.Contains(err.Error(), "tracker address \""+addr+"\"") {
			t.Errorf("%q: got %v; want an error that names the address", addr, err)
		}
		if strings.Contains(addr, "/") && (err == nil || !strings.Contains(err.Error(), "tls://host:port")) {
			t.Errorf("%q: got %v; want the forms that an address may have", addr, err)
		}
	}
}

func TestConfigsThatCantBeAreRefused(t *testing.T) {
	one := []string{"127.0.0.1"}
	for want, config := range map[string]client.Config{
		"no tracker":       {},
		"the same tracker": {Addresses: []string{"127.0.0.1", "127.0.0.1:7001"}},
		"timeouts":         {Addresses: one, Timeout: -time.Second},
		"connections":      {Addresses: one, MaxOpen: -1},
	} {
		c, err := client.New(config)
		if err == nil || c != nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: got %v; want an error with %q", config, err, want)
		}
	}
}
