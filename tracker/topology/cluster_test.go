package topology_test

import (
	"context"
	"testing"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
	"github.com/mogilefs/caddy-mogilefs/tracker/topology"
)

// database is a store that can only be read, and counts how often it was.
type database struct {
	store.Topology
	rows  store.Rows
	err   error
	loads int
}

func (d *database) LoadTopology(context.Context) (store.Rows, error) {
	d.loads++
	return d.rows, d.err
}

// cluster has one host with one device, both alive, seen in order and half full.
func cluster() (store.Rows, topology.Observations) {
	rows := store.Rows{
		Domains: map[mogile.DomainID]mogile.DomainName{1: "images"},
		Hosts: []mogile.Host{{
			ID: 1, Name: "one", State: mogile.HostAlive, IP: "10.0.0.1", Port: 7500, GetPort: 7600,
		}},
		Devices: []mogile.Device{{ID: 1, Host: 1, State: mogile.DevAlive, MBTotal: 1000, MBUsed: 500}},
	}
	seen := topology.Observations{
		Hosts:   map[mogile.HostID]bool{1: true},
		Devices: map[mogile.DevID]topology.DeviceSeen{1: {State: topology.SeenWriteable}},
	}
	return rows, seen
}

// live publishes rows and observations.
func live(t *testing.T, rows store.Rows, seen topology.Observations, config topology.Config) *topology.Live {
	t.Helper()
	l := topology.New(&database{rows: rows}, config)
	if err := l.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.Observe(seen)
	return l
}
