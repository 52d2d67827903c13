package client_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/client"
	"github.com/mogilefs/caddy-mogilefs/tracker/protocol"
)

func TestListsOfTheTopology(t *testing.T) {
	f := newFake(t)
	f.on("get_domains", say("OK domain1class1replpolicy=MultipleHosts%28%29&domain1class2name=thumb&domain1class1hashtype=NONE"+
		"&domain1class1name=default&domain1classes=2&domain1=images&domain1class1mindevcount=2&domain1class2mindevcount=1"+
		"&domain1class2hashtype=SHA-1&domain2=empty&domain2classes=0&domains=2"))
	f.on("get_hosts", say("OK hosts=2&host2_hostid=1&host2_hostname=b&host2_status=down&host2_hostip=10.0.0.2&host2_http_port=7500"+
		"&host2_http_get_port=7600&host2_altip=1.2.3.4&host2_altmask=1.2.3.0/24"+
		"&host1_hostid=7&host1_hostname=a&host1_status=alive&host1_hostip=10.0.0.1&host1_http_port=7500&host1_http_get_port=&host1_altip=&host1_altmask="))
	f.on("get_devices", say("OK dev1_devid=3&dev1_hostid=7&dev1_status=drain&dev1_weight=100&dev1_mb_total=1000&dev1_mb_used=10&dev1_mb_free=990"+
		"&dev1_mb_asof=&dev1_observed_state=writeable&dev1_utilization=0.40&dev1_reject_bad_md5=1"+
		"&dev2_devid=4&dev2_hostid=7&dev2_status=dead&dev2_weight=&dev2_mb_total=&dev2_observed_state=&dev2_utilization=-&devices=2"))
	c := newClient(t, addrs(f))

	domains, err := c.Domains(t.Context())
	wantDomains := []client.Domain{
		{Name: "images", Classes: []mogile.Class{
			{Name: "default", MinDevCount: 2, Policy: "MultipleHosts()"}, {Name: "thumb", MinDevCount: 1, Hash: mogile.HashSHA1},
		}},
		{Name: "empty"},
	}
	if diff := cmp.Diff(wantDomains, domains); err != nil || diff != "" {
		t.Errorf("domains: got %v (-want +got):\n%s", err, diff)
	}
	hosts, err := c.Hosts(t.Context())
	wantHosts := []mogile.Host{
		{ID: 7, Name: "a", State: mogile.HostAlive, IP: "10.0.0.1", Port: 7500},
		{ID: 1, Name: "b", State: mogile.HostDown, IP: "10.0.0.2", AltIP: "1.2.3.4", AltMask: "1.2.3.0/24", Port: 7500, GetPort: 7600},
	}
	if diff := cmp.Diff(wantHosts, hosts); err != nil || diff != "" {
		t.Errorf("hosts: got %v (-want +got):\n%s", err, diff)
	}
	devices, err := c.Devices(t.Context())
	wantDevices := []client.Device{
		{Device: mogile.Device{ID: 3, Host: 7, State: mogile.DevDrain, Weight: 100, MBTotal: 1000, MBUsed: 10}, Observed: "writeable", Utilization: "0.40"},
		{Device: mogile.Device{ID: 4, Host: 7, State: mogile.DevDead}, Utilization: "-"},
	}
	if diff := cmp.Diff(wantDevices, devices); err != nil || diff != "" {
		t.Errorf("devices: got %v (-want +got):\n%s", err, diff)
	}
}

func TestListsThatMakeNoSenseAreErrors(t *testing.T) {
	for _, answer := range []string{
		"OK ", "OK hosts=1&devices=1&domains=1", "OK hosts=9223372036854775807&devices=9223372036854775807&domains=9223372036854775807",
		"OK hosts=x&devices=x&domains=x", "ERR failure Operation+failed",
		"OK hosts=1&host1_hostid=1&host1_http_port=x&devices=1&dev1_devid=1&dev1_hostid=x&domains=1&domain1=d",
		"OK hosts=1&host1_hostid=1&host1_http_get_port=65536&devices=1&dev1_devid=0&domains=1&domain1=d&domain1classes=1",
	} {
		f := newFake(t)
		for _, command := range []string{"get_hosts", "get_devices", "get_domains"} {
			f.on(command, say(answer))
		}
		c := newClient(t, addrs(f))
		if got, err := c.Hosts(t.Context()); err == nil {
			t.Errorf("%s: got hosts %v; want an error", answer, got)
		}
		if got, err := c.Devices(t.Context()); err == nil {
			t.Errorf("%s: got devices %v; want an error", answer, got)
		}
		if got, err := c.Domains(t.Context()); err == nil {
			t.Errorf("%s: got domains %v; want an error", answer, got)
		}
	}
}

var entry = client.Entry{Host: "node1", IP: "10.0.0.1", Port: 7500, Devices: []mogile.DevID{1, 2}}

const (
	known = "OK hosts=1&host1_hostid=4&host1_hostname=node1&host1_status=down&host1_hostip=10.0.0.1&host1_http_port=7500"
	both  = "OK devices=2&dev1_devid=1&dev1_hostid=4&dev1_status=dead&dev2_devid=2&dev2_hostid=4&dev2_status=alive"
)

func TestEnterEntersWhatIsMissing(t *testing.T) {
	f := newFake(t)
	f.on("get_hosts", say("OK hosts=0"))
	f.on("create_host", say("OK hostid=4&hostname=node1"))
	f.on("get_devices", say("OK devices=1&dev1_devid=1&dev1_hostid=4&dev1_status=dead"))
	c := newClient(t, addrs(f))
	got, err := c.Enter(t.Context(), entry)
	if diff := cmp.Diff(client.Entered{Host: true, Devices: []mogile.DevID{2}}, got); err != nil || diff != "" {
		t.Errorf("got %v (-want +got):\n%s", err, diff)
	}
	wantHeard(t, f, "get_hosts", "create_host host=node1&ip=10.0.0.1&port=7500&status=alive",
		"get_devices", "create_device devid=2&hostid=4&state=alive")
}

func TestEnterChangesNothingThatIsKnown(t *testing.T) {
	for name, tc := range map[string]struct {
		hosts, devices string
		differs        []string
	}{
		"all known":           {known, both, nil},
		"at another address":  {strings.Replace(known, "10.0.0.1", "10.0.0.9", 1), both, []string{"host node1"}},
		"on another port":     {strings.Replace(known, "7500", "7501", 1), both, []string{"host node1"}},
		"on another's device": {known, strings.Replace(both, "dev1_hostid=4", "dev1_hostid=5", 1), []string{"device 1"}},
	} {
		f := newFake(t)
		f.on("get_hosts", say(tc.hosts))
		f.on("get_devices", say(tc.devices))
		c := newClient(t, addrs(f))
		got, err := c.Enter(t.Context(), entry)
		if err != nil || got.Host || len(got.Devices) > 0 || len(got.Differs) != len(tc.differs) {
			t.Errorf("%s: got %+v, %v; want nothing entered and %d differences", name, got, err, len(tc.differs))
			continue
		}
		for i, want := range tc.differs {
			if !strings.HasPrefix(got.Differs[i], want) {
				t.Errorf("%s: got %q; want it about %s", name, got.Differs[i], want)
			}
		}
		wantHeard(t, f, "get_hosts", "get_devices")
	}
}

func TestEnterTellsOfAPortForReaders(t *testing.T) {
	entry := entry
	entry.GetPort = 7510
	f := newFake(t)
	f.on("get_hosts", say("OK hosts=0"))
	f.on("create_host", say("OK hostid=4&hostname=node1"))
	f.on("get_devices", say(both))
	if _, err := newClient(t, addrs(f)).Enter(t.Context(), entry); err != nil {
		t.Error(err)
	}
	wantHeard(t, f, "get_hosts", "create_host host=node1&ip=10.0.0.1&port=7500&getport=7510&status=alive", "get_devices")

	for hosts, differs := range map[string]int{known: 1, known + "&host1_http_get_port=7510": 0, known + "&host1_http_get_port=7511": 1} {
		f := newFake(t)
		f.on("get_hosts", say(hosts))
		f.on("get_devices", say(both))
		got, err := newClient(t, addrs(f)).Enter(t.Context(), entry)
		if err != nil || len(got.Differs) != differs {
			t.Errorf("%s: got %+v, %v; want %d differences", hosts, got, err, differs)
		}
	}
}

func TestEnterTellsWhatWentWrong(t *testing.T) {
	for command, answer := range map[string]string{
		"get_hosts": "ERR failure x", "create_host": "ERR host_exists x", "get_devices": "ERR failure x", "create_device": "ERR existing_devid x",
	} {
		f := newFake(t)
		f.on("get_hosts", say("OK hosts=0"))
		f.on("create_host", say("OK hostid=4"))
		f.on("get_devices", say("OK devices=0"))
		f.on(command, say(answer))
		c := newClient(t, addrs(f))
		var refused *protocol.Error
		if _, err := c.Enter(t.Context(), entry); !errors.As(err, &refused) {
			t.Errorf("%s: got %v; want %s", command, err, answer)
		}
	}
}
