package simulation

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// enoughAlive is how many disks are left alone, so that there is where copies can go: more
// than any class wants.
const enoughAlive = 5

// disturb has one bad thing happen.
func (s *sim) disturb() {
	switch s.rng.IntN(8) {
	case 0:
		s.breakDisk()
	case 7:
		if t := s.anyTracker(); t != nil {
			s.note("%s loses its locks", t.name)
			t.loseLocks()
		}
	case 6:
		if t := s.anyTracker(); t != nil {
			// Longer than its claims last, or not.
			t.frozen = time.Now().Add(10*time.Second + s.upTo(90*time.Second))
			s.note("%s stands still for %v", t.name, time.Until(t.frozen))
		}
	case 1:
		d := s.anyDisk()
		s.note("%s is full", d)
		d.full = true
		s.clock.after(s.upTo(90*time.Second), "", func() { s.note("%s has room", d); d.full = false })
	case 2, 3:
		m := s.cluster.machines[s.rng.IntN(len(s.cluster.machines))]
		m.condition = refuses + condition(s.rng.IntN(2))
		s.note("%s goes silent, kind %d", m.name, m.condition)
		s.clock.after(s.upTo(30*time.Second), "", func() { s.note("%s answers", m.name); m.condition = answers })
	default:
		if t := s.anyTracker(); t != nil {
			s.note("%s is killed", t.name)
			t.kill()
		}
	}
}

// breakDisk ends a disk for good. The operator finds out after a while.
func (s *sim) breakDisk() {
	d := s.anyDisk()
	if d.broken || s.retired[d.dev] || len(s.usable()) <= enoughAlive {
		return
	}
	s.note("%s breaks", d)
	d.broken = true
	for fid := range d.files {
		s.loses(d, fid)
	}
	clear(d.files)
	s.retired[d.dev] = true
	unseen := time.Minute
	if s.bloody {
		unseen = time.Second
	}
	s.clock.after(5*time.Second+s.upTo(unseen), "", func() { s.setState(d.dev, mogile.DevDead) })
}

// usable is the disks that are neither broken nor given up, and that the store knows: whoever
// was to tell it of a new one may not have found a tracker.
func (s *sim) usable() []*disk {
	rows, err := s.store.LoadTopology(context.Background())
	s.must(err)
	var on []*disk
	for _, d := range rows.Devices {
		if !s.retired[d.ID] {
			on = append(on, s.cluster.disks[d.ID])
		}
	}
	return on
}

// spoil has a copy of a file that clients see not be any more what its disk took.
func (s *sim) spoil() {
	fid, on := s.anyCopies()
	if len(on) == 0 || len(on) == 1 && s.rng.IntN(8) > 0 {
		return
	}
	d := on[s.rng.IntN(len(on))]
	body := d.files[fid]
	switch kind := s.rng.IntN(3); {
	case kind < 2:
		s.cut(d, fid)
	case len(body) > 0 && s.guarded(fid):
		s.note("%s rots fid%s", d, fid)
		s.loses(d, fid)
		body = slices.Clone(body)
		body[s.rng.IntN(len(body))] ^= 1 << s.rng.IntN(8)
		d.files[fid] = body
		s.cluster.tainted[fid] = true
	}
}

// strip leaves one good copy of a file that is to have one from now on: of the others some are
// too many, and whoever takes them away must know which.
func (s *sim) strip() {
	fid, on := s.anyCopies()
	if len(on) < 2 || s.cluster.tainted[fid] {
		return
	}
	s.reclassTo(s.visible()[fid], s.classes[0])
	stays := s.rng.IntN(len(on))
	for i, d := range on {
		if i != stays {
			s.cut(d, fid)
		}
	}
}

// anyCopies is a file that clients see and the disks where it lies.
func (s *sim) anyCopies() (fid mogile.FID, on []*disk) {
	fids := slices.Sorted(maps.Values(s.ledger.keys))
	if len(fids) == 0 {
		return 0, nil
	}
	if fid = fids[s.rng.IntN(len(fids))]; fid == 0 {
		return 0, nil
	}
	for _, dev := range s.cluster.devs() {
		if _, there := s.cluster.disks[dev].files[fid]; there {
			on = append(on, s.cluster.disks[dev])
		}
	}
	return fid, on
}

// cut takes a copy away, or a part of it.
func (s *sim) cut(d *disk, fid mogile.FID) {
	s.loses(d, fid)
	s.cluster.tainted[fid] = true
	body := d.files[fid]
	if len(body) == 0 || s.rng.IntN(2) == 0 {
		s.note("%s loses fid%s", d, fid)
		delete(d.files, fid)
		return
	}
	s.note("%s cuts fid%s", d, fid)
	d.files[fid] = slices.Clone(body[:s.rng.IntN(len(body))])
}

// loses is told before a mishap takes a copy, or spoils it.
func (s *sim) loses(d *disk, fid mogile.FID) {
	if string(d.files[fid]) == s.ledger.contents[fid] {
		s.cluster.lost[place{fid, d.dev}] = time.Now()
	}
}

// guarded reports whether a checksum tells right from wrong, and will: only then can anybody.
func (s *sim) guarded(fid mogile.FID) bool {
	if s.ledger.busy[s.visible()[fid]] { // a client may be about to give it a class without
		return false
	}
	f, err := s.store.FileByFID(context.Background(), fid)
	if err != nil {
		return false
	}
	sum, err := s.store.Checksum(context.Background(), fid)
	return err == nil && sum.Type == s.classOf(f.Class).Hash
}

func (s *sim) classOf(id mogile.ClassID) mogile.Class {
	for _, c := range s.classes {
		if c.ID == id {
			return c
		}
	}
	return mogile.Class{}
}

func (s *sim) anyDisk() *disk {
	devs := s.cluster.devs()
	return s.cluster.disks[devs[s.rng.IntN(len(devs))]]
}

func (s *sim) upTo(d time.Duration) time.Duration { return time.Duration(s.rng.Int64N(int64(d))) }

func (s *sim) note(format string, args ...any) { s.clock.trace.add("  "+format, args...) }

// administer has an operator do something.
func (s *sim) administer() {
	switch s.rng.IntN(9) {
	case 0, 1, 2, 3:
		d := s.anyDisk()
		if s.retired[d.dev] {
			return
		}
		states := []mogile.DevState{mogile.DevDown, mogile.DevReadonly, mogile.DevDrain}
		s.setState(d.dev, states[s.rng.IntN(len(states))])
		s.clock.after(s.upTo(time.Minute), "", func() {
			if !s.retired[d.dev] {
				s.setState(d.dev, mogile.DevAlive)
			}
		})
	case 4:
		d := s.anyDisk() // given up, though nothing is wrong with it
		if !s.retired[d.dev] && len(s.usable()) > enoughAlive {
			s.retired[d.dev] = true
			s.setState(d.dev, mogile.DevDead)
		}
	case 5:
		s.addDisk()
	case 6:
		m := s.cluster.machines[s.rng.IntN(len(s.cluster.machines))]
		s.order(fmt.Sprintf("update_host host=%s&status=%s", m.name, []string{"down", "readonly"}[s.rng.IntN(2)]))
		s.clock.after(s.upTo(30*time.Second), "", func() { s.order(fmt.Sprintf("update_host host=%s&status=alive", m.name)) })
	case 7:
		c := &s.classes[s.rng.IntN(len(s.classes))]
		c.MinDevCount = 1 + s.rng.IntN(3)
		s.reclassed[c.ID] = true
		s.order(fmt.Sprintf("update_class domain=%s&class=%s&mindevcount=%d", domain, c.Name, c.MinDevCount))
	default:
		s.order("replicate_now")
	}
}

func (s *sim) setState(dev mogile.DevID, state mogile.DevState) {
	s.order(fmt.Sprintf("set_state host=%s&device=%s&state=%s", s.cluster.disks[dev].on.name, dev, state))
}

func (s *sim) addDisk() {
	dev := slices.Max(s.cluster.devs()) + 1
	m := s.cluster.machines[s.rng.IntN(len(s.cluster.machines))]
	s.cluster.disks[dev] = &disk{dev: dev, on: m, files: map[mogile.FID][]byte{}}
	s.order(fmt.Sprintf("create_device hostname=%s&devid=%s&state=alive", m.name, dev))
}

// order has an operator tell a tracker something, and again later when that did not work
// for want of a tracker. Of what he had in mind before the calm, nothing is said after it.
func (s *sim) order(line string) {
	calm := s.calm
	again := func() {
		if s.calm == calm {
			s.clock.after(time.Second+s.upTo(10*time.Second), "", func() { s.order(line) })
		}
	}
	via := s.anyTracker()
	if via == nil {
		again()
		return
	}
	s.visits++
	admin := &actor{name: fmt.Sprintf("admin%d", s.visits)}
	s.note("%s tells %s: %s", admin.name, via.name, line)
	s.inside++
	s.guests.Go(func() {
		// Some come at the same time, and would be at odds who is first.
		_ = s.clock.take(context.Background(), admin, step{key: "begins"})
		_, err := via.order(admin.visiting(), line)
		_ = s.clock.take(context.Background(), admin, step{key: "is done", effect: func(*rand.Rand) error {
			s.inside--
			if err != nil && via.isDead() {
				again()
			}
			return err
		}})
	})
}

// maintain starts or stops what operators have trackers do to all files.
func (s *sim) maintain() {
	switch s.rng.IntN(9) {
	case 0, 1:
		s.order("fsck_reset startpos=0")
		s.clock.after(time.Second, "", func() { s.order("fsck_start") })
	case 2:
		s.order("fsck_stop")
	case 3:
		s.order("set_server_setting key=fsck_checksum&value=" + []string{"off", "MD5", "class"}[s.rng.IntN(3)])
	case 4, 5, 6:
		policy := fmt.Sprintf("from_devices=%s", s.anyDisk().dev)
		if s.rng.IntN(2) == 0 {
			policy += fmt.Sprintf(" limit_by=count limit=%d", 1+s.rng.IntN(5))
		}
		s.order("rebalance_set_policy policy=" + escaped(policy))
		s.clock.after(time.Second, "", func() { s.order("rebalance_start") })
	default:
		s.order("rebalance_stop")
	}
}
