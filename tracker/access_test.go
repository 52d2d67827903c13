package tracker

import (
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mogilefs/caddy-mogilefs/complaint"
)

func TestWhoMayConnectAndWhoMayAdminister(t *testing.T) {
	prefixes := func(texts ...string) (all []netip.Prefix) {
		for _, text := range texts {
			all = append(all, netip.MustParsePrefix(text))
		}
		return all
	}
	for _, c := range []struct {
		access       Access
		peer         string
		admits, runs bool
	}{
		{Access{}, "127.0.0.1", true, true},
		{Access{}, "127.8.9.10", true, true},
		{Access{}, "::1", true, true},
		{Access{}, "10.0.0.1", false, false},
		{Access{}, "fd00::1", false, false},
		{Access{Allow: prefixes("10.0.0.0/8")}, "10.0.0.1", true, false},
		{Access{Allow: prefixes("10.0.0.0/8")}, "11.0.0.1", false, false},
		{Access{Allow: prefixes("10.0.0.0/8")}, "127.0.0.1", true, true}, // operators may connect
		{Access{Allow: prefixes("10.0.0.0/8"), AdminAllow: prefixes("10.0.0.5/32")}, "10.0.0.5", true, true},
		{Access{Allow: prefixes("10.0.0.0/8"), AdminAllow: prefixes("10.0.0.5/32")}, "10.0.0.6", true, false},
		{Access{Allow: prefixes("10.0.0.0/8"), AdminAllow: prefixes("10.0.0.5/32")}, "127.0.0.1", false, false},
		{Access{AdminAllow: prefixes("10.0.0.5/32")}, "10.0.0.5", true, true},
		{Access{AdminAllow: prefixes("10.0.0.5/32")}, "127.0.0.1", true, false},
		{Access{Allow: prefixes("fd00::/8", "10.0.0.0/8")}, "fd12::1", true, false},
		{Access{Allow: []netip.Prefix{}, AdminAllow: []netip.Prefix{}}, "127.0.0.1", false, false},
		{Access{Allow: prefixes("0.0.0.0/0", "::/0")}, "", false, false}, // nobody knows who that is
	} {
		var peer netip.Addr
		if c.peer != "" {
			peer = netip.MustParseAddr(c.peer)
		}
		if admits, runs := c.access.admits(peer), c.access.administers(peer); admits != c.admits || runs != c.runs {
			t.Errorf("%+v, client %s: got admitted %v, operator %v; want %v, %v", c.access, c.peer, admits, runs, c.admits, c.runs)
		}
	}
}

func TestTheClientsAddressIsPlain(t *testing.T) {
	for _, c := range []struct {
		addr net.Addr
		want string
	}{
		{&net.TCPAddr{IP: net.ParseIP("10.0.0.1"), Port: 5}, "10.0.0.1"},
		{&net.TCPAddr{IP: net.ParseIP("::ffff:10.0.0.1"), Port: 5}, "10.0.0.1"},
		{&net.TCPAddr{IP: net.ParseIP("fe80::1"), Zone: "eth0"}, "fe80::1"},
		{&net.UnixAddr{Name: "@", Net: "unix"}, "127.0.0.1"},
		{nil, "invalid IP"},
	} {
		if got := peerOf(addressed{addr: c.addr}).String(); got != c.want {
			t.Errorf("%v: got %s; want %s", c.addr, got, c.want)
		}
	}
}

func TestAccessIsCheckedByName(t *testing.T) {
	if err := (Access{Allow: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}).Validate(); err != nil {
		t.Errorf("got error %v; want none", err)
	}
	for want, bad := range map[string]Access{
		"allow: ":                           {Allow: []netip.Prefix{{}}},
		"admin_allow: ::ffff:10.0.0.0/104":  {AdminAllow: []netip.Prefix{netip.MustParsePrefix("::ffff:10.0.0.0/104")}},
		"max_connections is -1":             {MaxConnections: -1},
		"max_connections_per_client is -20": {MaxPerClient: -20},
	} {
		if err := bad.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got error %v; want one with %q", err, want)
		}
	}
}

// dialFrom connects a client that has an address of the network.
func (b *bubble) dialFrom(ip string) *client {
	mine, theirs := pipeFrom(&net.TCPAddr{IP: net.ParseIP(ip), Port: 4711})
	b.ln.conns <- accepted{conn: theirs}
	return newClient(b.t, mine)
}

func TestStrangersAreClosedWithoutAWordAndLogged(t *testing.T) {
	inBubble(t, limits{}, func(t *testing.T, b *bubble) {
		close(b.jobs.ready)
		for range 3 {
			b.dialFrom("10.0.0.5").end()
		}
		b.dial().want("noop", "OK ")
		if got := b.stat("connections_not_allowed"); got != "3" {
			t.Errorf("connections_not_allowed: got %q; want 3", got)
		}
		<-time.After(complaint.Every)
		b.dialFrom("10.0.0.6").end()
		synctest.Wait() // it is closed first, and logged then
		entries := b.logs.FilterMessageSnippet("not allowed").AllUntimed()
		if len(entries) != 2 {
			t.Fatalf("got %d complaints %v; want one at once, one later", len(entries), entries)
		}
		for i, want := range []string{"map[client:10.0.0.5:4711 others before:0 way out:add it to the tracker's allow]",
			"map[client:10.0.0.6:4711 others before:2 way out:add it to the tracker's allow]"} {
			if got := fmt.Sprint(entries[i].ContextMap()); got != want {
				t.Errorf("complaint %d: got %s; want %s", i, got, want)
			}
		}
	})
}

func TestConnectionsOfOneClientAreBounded(t *testing.T) {
	inBubble(t, limits{}, func(t *testing.T, b *bubble) {
		close(b.jobs.ready)
		b.access.Store(&Access{MaxPerClient: 2, Allow: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}})
		first := b.dialFrom("10.0.0.5")
		second := b.dialFrom("10.0.0.5")
		b.dialFrom("10.0.0.5").end()
		b.dialFrom("10.0.0.6").want("noop", "OK ")
		first.want("noop", "OK ")
		_ = first.Close()
		synctest.Wait()
		b.dialFrom("10.0.0.5").want("noop", "OK ")
		second.want("noop", "OK ")
		if got := b.stat("connections_refused"); got != "1" {
			t.Errorf("connections_refused: got %q; want 1", got)
		}
	})
}

func TestAChangeOfAccessHoldsForOpenConnections(t *testing.T) {
	inBubble(t, limits{}, func(t *testing.T, b *bubble) {
		close(b.jobs.ready)
		ten := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
		b.access.Store(&Access{Allow: ten})
		c := b.dialFrom("10.0.0.5")
		c.want("noop", "OK ")
		c.want("server_settings", "ERR not_allowed Only+operators+may+do+that%3B+the+tracker%27s+admin_allow+says+who+they+are")
		b.access.Store(&Access{AdminAllow: ten})
		c.want("test", "OK ")
		b.access.Store(&Access{})
		c.send("noop\n")
		c.end()
	})
}

func TestClientsOnAUnixSocketAreOnThisMachine(t *testing.T) {
	cl := newCluster(t, limits{})
	ln, err := net.Listen("unix", filepath.Join(t.TempDir(), "tracker"))
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- cl.server.Serve(ln) }()
	conn, err := net.Dial("unix", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	newClient(t, conn).want("set_weight host=a&device=1&weight=1", "OK ")
	_ = ln.Close()
	if err := <-served; err != nil {
		t.Error(err)
	}
}

func TestFittingConnectionsLeaveDescriptorsToOthers(t *testing.T) {
	limit := descriptors()
	if fit := FittingConnections(); fit < 1 || uint64(fit) >= limit {
		t.Errorf("got %d connections for %d descriptors; want fewer, and some", fit, limit)
	}
	for _, c := range []struct{ configured, fit, want int }{
		{0, 1 << 20, defaultConnections}, {0, 768, 768}, {5, 768, 5}, {100_000, 768, 768},
	} {
		if got := (&Access{MaxConnections: c.configured}).maxConnections(c.fit); got != c.want {
			t.Errorf("max_connections %d where %d fit: got %d; want %d", c.configured, c.fit, got, c.want)
		}
	}
}
