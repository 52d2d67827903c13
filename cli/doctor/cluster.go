package doctor

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mogilefs/caddy-mogilefs/cli/screen"
	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/client"
)

const (
	// clockWarn is what may well be the seconds that the Date header leaves out; clockFail
	// is what makes sizes of devices and signed URLs wrong.
	clockWarn, clockFail = 3 * time.Second, time.Minute
	// usageAge is how old a usage file may be: nodes write it every ten seconds, old ones
	// more seldom.
	usageAge = 2 * time.Minute
	// nearlyFull is the share of a device that should stay free.
	nearlyFull = 0.05
	// odds is how much more often one device may be chosen for reading than another.
	odds = 10
	// protocolVersion is what trackers say that speak the protocol that is documented.
	protocolVersion = "2.73"
)

// judge judges a running cluster.
func judge(f *facts) report {
	var r report
	r.trackers(f)
	if f.domains == nil {
		return r
	}
	r.nodes(f)
	r.devices(f)
	r.weights(f)
	r.classes(f)
	r.loss(f)
	return r
}

func (r *report) trackers(f *facts) {
	knows, first := "", ""
	for _, t := range f.trackers {
		about := "tracker " + t.address
		switch {
		case t.err != nil:
			r.fail(about, "see that it runs, that a firewall lets this machine through, and that its allow names this machine", "%v", t.err)
			continue
		case t.version == "":
			r.ok(about, "answers; its version is told to operators only (%s)", t.whyNot)
		case t.version != protocolVersion:
			r.warn(about, "bring it to 2.73 or to this plugin: others were not tried beside it", "has version %s", t.version)
		default:
			r.ok(about, "answers, version %s", t.version)
		}
		if first == "" {
			knows, first = t.knows, t.address
		} else if knows != t.knows {
			r.fail(about, "see that both have the same database in their configuration; a change may take some seconds to be seen by both",
				"knows other hosts or devices than %s", first)
		}
	}
}

// clock judges how far a clock is ahead of ours.
func (r *report) clock(about string, ahead time.Duration) {
	const do = "have both machines keep time (chrony, systemd-timesyncd)"
	off := ahead.Abs()
	text := fmt.Sprintf("%.1f s ahead of this machine", ahead.Seconds())
	if ahead < 0 {
		text = fmt.Sprintf("%.1f s behind this machine", off.Seconds())
	}
	switch {
	case off > clockFail:
		r.fail(about, do, "%s", text)
	case off > clockWarn:
		r.warn(about, do, "%s", text)
	default:
		r.ok(about, "within %s", clockWarn)
	}
}

func (r *report) nodes(f *facts) {
	if len(f.hosts) == 0 {
		r.warn("hosts", "let storage nodes register, or enter them: host add, device add", "there are none")
	}
	for _, h := range f.hosts {
		about := "host " + string(h.Name)
		if !h.State.Readable() {
			r.ok(about, "is %s, and need not answer", h.State)
			continue
		}
		n := f.nodes[h.ID]
		if n.err != nil {
			r.fail(about, "see that its node runs, where its site is bound, and that a firewall lets this machine through", "%v", n.err)
			continue
		}
		r.ok(about, "answers on port %d", h.Port)
		if n.read != nil {
			r.fail(about, "see that the site for reading runs, or set getport to 0", "reads fail: %v", n.read)
		}
		if n.side != nil {
			r.warn(about, "open it to trackers, or say where it is with --management=; without it checksums are made by reading files over HTTP, and nobody knows how busy disks are",
				"its side channel does not answer on port %s: %v", f.side, n.side)
		}
		if n.dated {
			r.clock("clock of "+string(h.Name), n.ahead)
		}
	}
}

func (r *report) devices(f *facts) {
	disks := map[string][]string{}
	for _, d := range f.devices {
		about := name(d.ID)
		u, measured := f.usages[d.ID]
		h, known := f.host(d.Host)
		switch {
		case !known:
			r.fail(about, "device list --all, and enter its host", "its host %d is unknown", d.Host)
		case d.State.Lost():
			r.ok(about, "is dead")
		case !measured: // its host was said to be silent
		case u.err != nil:
			r.fail(about, "see that its directory is there and mounted", "no usage file: %v", u.err)
		default:
			r.usage(about, d, u, f.now)
			if u.device != "" && u.device != "-" {
				disk := string(h.Name) + " " + u.device
				disks[disk] = append(disks[disk], about)
			}
		}
	}
	for _, disk := range slices.Sorted(maps.Keys(disks)) {
		if names := disks[disk]; len(names) > 1 {
			host, device, _ := strings.Cut(disk, " ")
			r.warn(strings.Join(names, ", "), "mount a disk on each: copies on them are lost together, and free space counts twice",
				"share %s of %s", device, host)
		}
	}
}

func (r *report) usage(about string, d client.Device, u usage, now time.Time) {
	age := now.Sub(time.Unix(u.written, 0))
	free := float64(u.available) / float64(max(u.total, 1))
	switch {
	case d.State.TakesNewFiles() && d.Observed == "readable":
		r.fail(about, "see the node's log; a full disk, missing rights and write_from without the tracker are what it is mostly",
			"trackers can't write to it")
	case d.State.TakesNewFiles() && d.Observed == "unreachable":
		r.fail(about, "see that trackers reach its node, and that its disk is mounted", "trackers don't reach it")
	case u.written > 0 && age.Abs() > usageAge:
		r.warn(about, "see the node's log, and the clocks", "its usage file is %s old", age.Round(time.Second))
	case d.State.TakesNewFiles() && u.available<<10 < minAvailable:
		r.fail(about, "make room: rebalance, or another disk", "has %s available: it gets no new files", screen.Bytes(u.available<<10))
	case d.State.TakesNewFiles() && free < nearlyFull:
		r.warn(about, "make room: rebalance, or another disk", "has %.1f %% available", free*100)
	default:
		r.ok(about, "is %s, %s available", d.State, screen.Bytes(u.available<<10))
	}
}

// weights judges how unevenly devices are chosen for reading.
func (r *report) weights(f *facts) {
	least, most := 0, 0
	for _, d := range f.devices {
		if !d.State.Readable() {
			continue
		}
		weight := cmp.Or(d.Weight, 100) // as trackers take it
		if least == 0 || weight < least {
			least = weight
		}
		most = max(most, weight)
	}
	switch {
	case most == 0:
	case most > odds*least:
		r.warn("weights", "device modify HOSTNAME DEVID --weight=, unless that is meant", "one device is chosen for reading %d times as often as another", most/least)
	default:
		r.ok("weights", "from %d to %d", least, most)
	}
}

// places are how many hosts and devices can take a new copy.
func places(f *facts) (hosts, devices int) {
	seen := map[mogile.HostID]bool{}
	for _, d := range f.devices {
		h, ok := f.host(d.Host)
		if !ok || h.State != mogile.HostAlive || !d.State.TakesNewFiles() || d.Observed == "unreachable" || d.Observed == "readable" {
			continue
		}
		devices++
		seen[h.ID] = true
	}
	return len(seen), devices
}

func (r *report) classes(f *facts) {
	hosts, devices := places(f)
	for _, d := range f.domains {
		for _, class := range d.Classes {
			about := "class " + string(d.Name) + "/" + string(class.Name)
			copies, apart := wanted(class)
			switch {
			case copies > devices:
				r.fail(about, "add devices, or class modify --mindevcount="+strconv.Itoa(max(devices, 1)),
					"wants %d copies, and %d devices can take one", copies, devices)
			case apart && copies > hosts:
				r.warn(about, "add hosts", "wants %d copies, and %d hosts can take one: some share a host, and are lost with it", copies, hosts)
			case copies < 2:
				r.warn(about, "class modify --mindevcount=2, unless it may be lost with a disk", "its files have one copy")
			default:
				r.ok(about, "%d copies, on %d hosts and %d devices", copies, hosts, devices)
			}
		}
	}
}

// wanted is how many copies a class wants, and whether on different hosts. Policies that want
// more than that say are only asked for the number.
func wanted(class mogile.Class) (copies int, apart bool) {
	name, args, _ := strings.Cut(class.Policy, "(")
	copies = class.MinDevCount
	if n, err := strconv.Atoi(strings.Trim(args, " )")); err == nil && n > 0 {
		copies = n
	}
	name = strings.TrimSpace(name)
	return copies, name == "" || name == "MultipleHosts"
}

// loss judges what the loss of the fullest host would mean.
func (r *report) loss(f *facts) {
	used, free := map[mogile.HostID]int64{}, map[mogile.HostID]int64{}
	var sum int64
	for _, d := range f.devices {
		u, ok := f.usages[d.ID]
		if !ok || u.err != nil {
			continue
		}
		used[d.Host] += u.used
		if d.State.TakesNewFiles() {
			free[d.Host] += u.available
			sum += u.available
		}
	}
	switch len(used) {
	case 0:
		return
	case 1:
		r.warn("hosts", "add a host: no class keeps its files when this one is lost", "all devices are on one")
		return
	}
	var full mogile.HostID
	for id, n := range used {
		if n > used[full] || n == used[full] && id < full {
			full = id
		}
	}
	h, _ := f.host(full)
	if elsewhere := sum - free[full]; used[full] > elsewhere {
		r.warn("room", "add disks to other hosts", "when %s is lost, its %s don't fit into the %s that others have",
			h.Name, screen.Bytes(used[full]<<10), screen.Bytes(elsewhere<<10))
		return
	}
	r.ok("room", "the files of any host fit elsewhere")
}
