package console

import (
	"errors"
	"strings"
	"testing"

	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// cluster is two hosts with a device each, all well.
func cluster(change func(*Topology)) Facts {
	device := func(id mogile.DevID) Device {
		return Device{ID: id, Status: mogile.DevAlive, Observed: writeable, MBTotal: 1000, MBUsed: 500, MBFree: 500, Fill: 0.5}
	}
	t := Topology{
		Hosts: []Host{
			{ID: 1, Name: "one", Status: mogile.HostAlive, IP: "10.0.0.1", Port: 7500, Devices: []Device{device(1)}},
			{ID: 2, Name: "two", Status: mogile.HostAlive, IP: "10.0.0.2", Port: 7500, Devices: []Device{device(2), device(3)}},
		},
		Domains: []Domain{{Name: "images", Classes: []Class{{Name: "default", MinDevCount: 2}}}},
	}
	if change != nil {
		change(&t)
	}
	return Facts{Topology: &t}
}

func TestProblemsHaveARemedyAndTheWorstComesFirst(t *testing.T) {
	no, yes := false, true
	devices := func(t *Topology, change func(*Device)) {
		for h := range t.Hosts {
			for d := range t.Hosts[h].Devices {
				change(&t.Hosts[h].Devices[d])
			}
		}
	}
	for name, c := range map[string]struct {
		facts Facts
		// want is the beginning of each problem's ID and severity, in order.
		want string
	}{
		"well":             {cluster(nil), ""},
		"nothing is known": {Facts{}, ""},
		"no tracker":       {Facts{Trouble: errors.New("refused")}, "tracker=critical"},
		"no hosts":         {cluster(func(t *Topology) { t.Hosts = nil }), "no hosts=critical"},
		"a device is away": {cluster(func(t *Topology) { t.Hosts[1].Devices[0].Observed = unreachable }), "device 2=critical"},
		"the only device of a host is away": {
			cluster(func(t *Topology) { t.Hosts[0].Devices[0].Observed = unreachable }), "device 1=critical",
		},
		"all of a host are away": {
			cluster(func(t *Topology) {
				t.Hosts[1].Devices[0].Observed, t.Hosts[1].Devices[1].Observed = unreachable, unreachable
			}), "host 2=critical class images default=warning",
		},
		"a host is silent":      {cluster(func(t *Topology) { t.Hosts[0].Reachable = &no }), "host 1=critical"},
		"a host answers":        {cluster(func(t *Topology) { t.Hosts[0].Reachable = &yes }), ""},
		"a host is marked down": {cluster(func(t *Topology) { t.Hosts[0].Status = mogile.HostDown }), "host 1=warning"},
		"a dead host is history": {
			cluster(func(t *Topology) { t.Hosts[0].Status, t.Hosts[0].Devices[0].Observed = mogile.HostDead, "" }), "",
		},
		"a device is marked down": {cluster(func(t *Topology) { t.Hosts[1].Devices[0].Status = mogile.DevDown }), "device 2=warning"},
		"a device takes no writes": {
			cluster(func(t *Topology) { t.Hosts[1].Devices[0].Observed = readable }), "device 2=warning",
		},
		"a readonly device takes none on purpose": {
			cluster(func(t *Topology) {
				t.Hosts[1].Devices[0].Observed, t.Hosts[1].Devices[0].Status = readable, mogile.DevReadonly
			}), "",
		},
		"a device is nearly full": {cluster(func(t *Topology) { t.Hosts[1].Devices[0].Fill = 0.91 }), "device 2 fill=warning"},
		"one is full before another is away": {
			cluster(func(t *Topology) {
				t.Hosts[1].Devices[1].Fill, t.Hosts[0].Devices[0].Status = 0.99, mogile.DevDown
			}), "device 3 fill=critical device 1=warning class images default=warning",
		},
		"nothing takes files": {
			cluster(func(t *Topology) { devices(t, func(d *Device) { d.Status = mogile.DevDrain }) }), "no device=critical",
		},
		"files are given up": {Facts{Queues: &Queues{Replicate: Queue{Parked: 1}}}, "replicate parked=critical"},
		"files are tried":    {Facts{Queues: &Queues{Replicate: Queue{Waiting: 3, Failing: 2}}}, "replicate failing=warning"},
		"files wait":         {Facts{Queues: &Queues{Replicate: Queue{Waiting: 3, Due: 3}}}, ""},
		"a queue grows":      {Facts{Growing: []string{"delete"}}, "growing delete=warning"},
		"fsck lost files":    {Facts{Fsck: &Fsck{Counts: map[string]int64{"GONE": 2, "POVI": 7}}}, "fsck gone=critical"},
		"fsck found sums":    {Facts{Fsck: &Fsck{Counts: map[string]int64{"MSUM": 1}}}, "fsck sums=critical"},
	} {
		var got []string
		for _, p := range Find(c.facts) {
			got = append(got, p.ID+"="+string(p.Severity))
			if p.Remedy == "" || p.What == "" {
				t.Errorf("%s: got %+v; want a text and a remedy", name, p)
			}
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: got %q; want %q", name, got, c.want)
		}
	}
}

func TestHealthIsThatOfTheWorstProblem(t *testing.T) {
	for want, problems := range map[Health][]Problem{
		OK: {}, Ailing: {{Severity: Warning}}, Broken: {{Severity: Critical}, {Severity: Warning}},
	} {
		if got := HealthOf(problems); got != want {
			t.Errorf("%v: got %s; want %s", problems, got, want)
		}
	}
}

func TestSumsCountWhatCanBeUsed(t *testing.T) {
	no := false
	f := cluster(func(t *Topology) {
		t.Hosts[1].Devices[0].Observed = unreachable
		t.Hosts = append(t.Hosts,
			Host{ID: 3, Status: mogile.HostDead, Devices: []Device{{Status: mogile.DevAlive, MBTotal: 7}}},
			Host{ID: 4, Status: mogile.HostAlive, Reachable: &no, Devices: []Device{{Status: mogile.DevDead, MBTotal: 7}}})
	})
	want := Cluster{Hosts: Sum{All: 3, Up: 2}, Devices: Sum{All: 3, Up: 2}, MBTotal: 3000, MBUsed: 1500, Domains: 1, Takes: 2}
	if got := f.Topology.Sums(); got != want {
		t.Errorf("got %+v; want %+v", got, want)
	}
}
