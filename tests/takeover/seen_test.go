package takeover

import (
	"fmt"
	"testing"
	"time"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tests/legacy"
)

// seenWithin is how long a change of the topology or of the settings through one tracker
// takes to be known to all others: they look every four seconds.
const seenWithin = 5 * time.Second

// neighbours runs a test with a tracker of ours that sees changes, and somebody who makes
// them: an old tracker or, where there may be two, another one of ours.
func neighbours(t *testing.T, test func(t *testing.T, ours talk, nodes []*node, by neighbour)) {
	for name, v := range kinds {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // they mostly wait
			nodes, at := startNodes(t)
			v.Nodes = at
			d := legacy.New(t, v)
			k, _ := newTracker(t, open(t, d), resting)
			old := d.Tracker(t, "old.example.com")
			t.Run("the old one", func(t *testing.T) { test(t, k, nodes, oldNeighbour{old}) })
			if v.Kind == legacy.SQLite {
				return
			}
			other, _ := newTracker(t, open(t, d), resting)
			t.Run("another of ours", func(t *testing.T) { test(t, k, nodes, ourNeighbour{other}) })
		})
	}
}

// neighbour is a tracker through which an operator changes something.
type neighbour interface {
	// device is one that nobody else changes.
	device() mogile.DevID
	setState(t *testing.T, dev mogile.DevID, state mogile.DevState)
	setSetting(t *testing.T, field, value string)
	createDomain(t *testing.T, name string)
	state(t *testing.T, dev mogile.DevID) string
	setting(t *testing.T, field string) string
}

type oldNeighbour struct{ tr *legacy.Tracker }

func (o oldNeighbour) device() mogile.DevID { return 4 }

func (o oldNeighbour) setState(t *testing.T, dev mogile.DevID, state mogile.DevState) {
	if err := o.tr.SetDeviceState(t.Context(), dev, state); err != nil {
		t.Fatal(err)
	}
}

func (o oldNeighbour) setSetting(t *testing.T, field, value string) {
	if err := o.tr.SetSetting(t.Context(), field, value); err != nil {
		t.Fatal(err)
	}
}

func (o oldNeighbour) createDomain(t *testing.T, name string) {
	if _, err := o.tr.CreateDomain(t.Context(), mogile.DomainName(name)); err != nil {
		t.Fatal(err)
	}
}

func (o oldNeighbour) state(t *testing.T, dev mogile.DevID) string {
	state, err := o.tr.DeviceState(t.Context(), dev)
	if err != nil {
		t.Fatal(err)
	}
	return state
}

func (o oldNeighbour) setting(t *testing.T, field string) string {
	value, err := o.tr.Setting(t.Context(), field)
	if err != nil {
		t.Fatal(err)
	}
	return value
}

type ourNeighbour struct{ k talk }

func (o ourNeighbour) device() mogile.DevID { return 5 }

// node2 is the host of both devices.
const node2 = "node2"

func (o ourNeighbour) setState(t *testing.T, dev mogile.DevID, state mogile.DevState) {
	o.k.ok(t, "set_state", "host", node2, "device", dev.String(), "state", string(state))
}

func (o ourNeighbour) setSetting(t *testing.T, field, value string) {
	o.k.ok(t, "set_server_setting", "key", field, "value", value)
}

func (o ourNeighbour) createDomain(t *testing.T, name string) {
	o.k.ok(t, "create_domain", "domain", name)
}

func (o ourNeighbour) state(t *testing.T, dev mogile.DevID) string {
	return o.k.ok(t, "get_devices", "devid", dev.String())["dev1_status"]
}

func (o ourNeighbour) setting(t *testing.T, field string) string {
	return o.k.ok(t, "server_setting", "key", field)["value"]
}

// soon makes a change and waits until it is seen, at most three times: a machine that has
// other things to do may be late once.
func soon(t *testing.T, what string, change func(n int), seen func(n int) bool) {
	t.Helper()
	var took time.Duration
	for n := range 3 {
		change(n)
		if took = eventually(t, what, func() bool { return seen(n) }); took <= seenWithin {
			return
		}
	}
	t.Errorf("%s: got it seen after %v; want %v at most", what, took, seenWithin)
}

var states = []mogile.DevState{mogile.DevDown, mogile.DevReadonly, mogile.DevDrain}

func TestChangesThroughOthersAreSeenSoon(t *testing.T) {
	neighbours(t, func(t *testing.T, ours talk, nodes []*node, by neighbour) {
		dev, domain := by.device().String(), ""
		skip := makesDirs(t, ours, nodes) // the opposite of what is
		soon(t, "state of a device and a setting", func(n int) {
			domain = fmt.Sprint("domain-", dev, "-", n)
			by.createDomain(t, domain)
			by.setState(t, by.device(), states[n])
			by.setSetting(t, "skip_mkcol", onOff(skip == (n%2 == 0)))
		}, func(n int) bool {
			return ours.ok(t, "get_devices", "devid", dev)["dev1_status"] == string(states[n]) &&
				makesDirs(t, ours, nodes) != (skip == (n%2 == 0))
		})
		ours.ok(t, "create_open", "domain", domain, "key", "k")
	})
}

func onOff(on bool) string {
	if on {
		return "1"
	}
	return "0"
}

// makesDirs reports whether the tracker has directories made for an upload, which it
// doesn't when skip_mkcol is set.
func makesDirs(t *testing.T, k talk, nodes []*node) bool {
	t.Helper()
	count := func() int { return nodes[0].hears("MKCOL") + nodes[1].hears("MKCOL") }
	before := count()
	k.ok(t, "create_open", "domain", "images", "key", "k")
	return count() > before
}

func TestChangesThroughUsAreSeenSoon(t *testing.T) {
	neighbours(t, func(t *testing.T, ours talk, _ []*node, other neighbour) {
		dev := other.device()
		soon(t, "state of a device and a setting", func(n int) {
			ours.ok(t, "set_state", "host", node2, "device", dev.String(), "state", string(states[n]))
			ours.ok(t, "set_server_setting", "key", "queue_rate_for_fsck", "value", fmt.Sprint(10+n))
		}, func(n int) bool {
			return other.state(t, dev) == string(states[n]) && other.setting(t, "queue_rate_for_fsck") == fmt.Sprint(10+n)
		})
	})
}
