package simulation

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

// visible is the fids that clients see, by what they were told.
func (s *sim) visible() map[mogile.FID]mogile.Key {
	seen := map[mogile.FID]mogile.Key{}
	for key, fid := range s.ledger.keys {
		if fid != 0 {
			seen[fid] = key
		}
	}
	return seen
}

func (s *sim) recorded(fid mogile.FID) []mogile.DevID {
	devs, err := s.store.Devices(context.Background(), fid)
	s.must(err)
	return devs
}

// good is the recorded copies that are right, on disks that are not given up.
func (s *sim) good(fid mogile.FID) []*disk {
	var on []*disk
	for _, dev := range s.recorded(fid) {
		if s.holds(dev, fid) {
			on = append(on, s.cluster.disks[dev])
		}
	}
	return on
}

// holds reports whether a disk that is not given up has the right bytes.
func (s *sim) holds(dev mogile.DevID, fid mogile.FID) bool {
	body, there := s.cluster.disks[dev].files[fid]
	return there && !s.retired[dev] && string(body) == s.ledger.contents[fid]
}

// isThere is asked when a tracker records a copy: its bytes must have come before.
func (s *sim) isThere(fid mogile.FID, dev mogile.DevID) {
	d := s.cluster.disks[dev]
	_, err := s.store.FileByFID(context.Background(), fid)
	if err == nil && !d.broken && !s.cluster.tainted[fid] && string(d.files[fid]) != s.ledger.content(fid) {
		s.wrong(fid, "a copy of fid %s is recorded on %s, which does not have it", fid, d)
	}
}

// isSpare is asked when a tracker has a copy deleted: of a visible file another good one must
// be left, unless that one is bad, or the tracker has seen another that was right, since it has
// had the file for itself, and a mishap took that meanwhile.
func (s *sim) isSpare(t *tracker, fid mogile.FID, d *disk) {
	truth := s.ledger.content(fid)
	if _, err := s.store.FileByFID(context.Background(), fid); err != nil || d.broken || string(d.files[fid]) != truth {
		return
	}
	for _, other := range s.cluster.disks {
		at := place{fid, other.dev}
		saw, ever := t.saw[at]
		body, there := other.files[fid]
		if other != d && (there && string(body) == truth || ever && saw.Before(s.cluster.lost[at])) {
			return
		}
	}
	s.wrong(fid, "%s deletes the last good copy of fid %s, from %s", t.name, fid, d)
}

// survivors are the visible files that can be repaired: from a copy that is recorded, or
// from any.
func (s *sim) survivors() (known, any map[mogile.FID]bool) {
	known, any = map[mogile.FID]bool{}, map[mogile.FID]bool{}
	for fid := range s.visible() {
		known[fid] = len(s.good(fid)) > 0
		for dev := range s.cluster.disks {
			any[fid] = any[fid] || s.holds(dev, fid)
		}
	}
	return known, any
}

// mustHold are the files that have to be in order: before the final check those that were
// never lied about and whose class wants what it always has, after it all of which a copy
// is left.
func (s *sim) mustHold(known, any map[mogile.FID]bool, checked bool) map[mogile.FID]bool {
	if checked {
		return any
	}
	must := map[mogile.FID]bool{}
	for fid, ok := range known {
		f, err := s.store.FileByFID(context.Background(), fid)
		must[fid] = ok && err == nil && !s.cluster.tainted[fid] && !s.reclassed[f.Class]
	}
	return must
}

// chore is what is left to be done about a file.
type chore struct {
	fid  mogile.FID
	text string
	due  int64
}

// undone is what waits in queues though it could be done.
func (s *sim) undone(must map[mogile.FID]bool) []chore {
	var rows []chore
	seen, queues := s.visible(), s.waiting()
	for _, fid := range sortedFIDs(s.ledger.contents) {
		_, visible := seen[fid]
		if visible && !must[fid] {
			continue
		}
		for _, dev := range s.recorded(fid) {
			if visible && s.retired[dev] {
				rows = append(rows, chore{fid, fmt.Sprintf("fid%s is recorded on device %s, which is dead", fid, dev), 0})
			}
		}
		for _, q := range queues {
			r, err := s.store.Queued(context.Background(), q, fid)
			if errors.Is(err, store.ErrNotFound) {
				continue
			}
			s.must(err)
			rows = append(rows, chore{fid, fmt.Sprintf("fid%s in %s, failed %d times, due %d", fid, q, r.FailCount, r.NextTry), r.NextTry})
		}
	}
	return rows
}

// waiting is the queues that may have a row. Only that of replication has any that are due
// never.
func (s *sim) waiting() []store.QueueName {
	queues := []store.QueueName{store.ReplicateQueue}
	for _, q := range []store.QueueName{store.DeleteQueue, store.FsckQueue, store.RebalanceQueue} {
		if _, err := s.seen.nextDue(context.Background(), s.store, q); !errors.Is(err, store.ErrNotFound) {
			queues = append(queues, q)
		}
	}
	return queues
}

func (s *sim) checkQueues(must map[mogile.FID]bool) {
	for _, c := range s.undone(must) {
		s.wrong(c.fid, "still to be done: %s", c.text)
	}
}

// checkFiles holds the store against what clients know, and the copies against what the
// classes want.
func (s *sim) checkFiles(must map[mogile.FID]bool, checked bool) {
	seen := s.visible()
	for i := range s.keys {
		key := mogile.Key(fmt.Sprintf("key%d", i))
		if fid, want := s.look(key), s.ledger.keys[key]; fid != want {
			s.wrong(want, "key %q is fid %s in the end; want %s", key, fid, want)
		}
	}
	for _, fid := range sortedFIDs(s.ledger.contents) {
		if key, ok := seen[fid]; ok {
			if must[fid] {
				s.checkFile(fid, key, checked)
			}
			continue
		}
		if _, err := s.store.FileByFID(context.Background(), fid); !errors.Is(err, store.ErrNotFound) {
			s.wrong(fid, "fid %s is no key's, and visible: %v", fid, err)
		}
		if on := s.recorded(fid); len(on) > 0 {
			s.wrong(fid, "fid %s is deleted, and recorded on %v", fid, on)
		}
	}
}

func (s *sim) checkFile(fid mogile.FID, key mogile.Key, checked bool) {
	f, err := s.store.FileByFID(context.Background(), fid)
	if err != nil {
		s.wrong(fid, "fid %s of key %q: %v", fid, key, err)
		return
	}
	sum, err := s.store.Checksum(context.Background(), fid)
	if truth := digest(sum.Type, []byte(s.ledger.contents[fid])); err == nil && !sum.Equal(truth) {
		s.wrong(fid, "checksum of fid %s is %s; want %s", fid, sum, truth)
	}
	class := s.classOf(f.Class)
	good := s.good(fid)
	if on := s.recorded(fid); len(on) != len(good) {
		s.wrong(fid, "fid %s of key %q is recorded on %v; right and alive are %v", fid, key, on, good)
	}
	var hosts []mogile.HostID
	for _, d := range good {
		if !slices.Contains(hosts, d.on.id) {
			hosts = append(hosts, d.on.id)
		}
	}
	if len(good) < class.MinDevCount {
		s.wrong(fid, "fid %s of key %q, class %s, is on %v; want %d copies", fid, key, class.Name, good, class.MinDevCount)
	}
	if checked && len(good) > class.MinDevCount && !strings.Contains(class.Policy, "Networks") {
		s.wrong(fid, "fid %s of key %q, class %s, is on %v; want no more than %d copies", fid, key, class.Name, good, class.MinDevCount)
	}
	// Two copies on one host are enough for a policy while all others are away, and nobody
	// asks it again when they come back until the file is checked.
	if checked && class.Policy == "" && len(hosts) < min(class.MinDevCount, s.hosts()) {
		s.wrong(fid, "fid %s of key %q, class %s, is on %v; want %d hosts", fid, key, class.Name, good, class.MinDevCount)
	}
}

// hosts is how many have a disk for new files.
func (s *sim) hosts() int {
	n := map[*machine]bool{}
	for _, d := range s.usable() {
		n[d.on] = true
	}
	return len(n)
}

// checkDisks finds bytes that nobody knows of, and why they may be there.
func (s *sim) checkDisks() {
	for _, dev := range s.cluster.devs() {
		d := s.cluster.disks[dev]
		if s.retired[dev] {
			continue
		}
		for _, fid := range sortedFIDs(s.ledger.contents) {
			_, there := d.files[fid]
			if there && !slices.Contains(s.recorded(fid), dev) && s.cluster.unclean[place{fid, dev}] == "" {
				s.wrong(fid, "fid %s lies on %s, and no row says so", fid, d)
			}
		}
	}
}

// checkAll holds everything against what must be.
func (s *sim) checkAll(must map[mogile.FID]bool, checked bool) {
	s.note("looked at by who knows")
	s.checkQueues(must)
	s.checkFiles(must, checked)
	s.checkDisks()
}
