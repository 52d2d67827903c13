package simulation

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/command"
	"github.com/mogilefs/caddy-mogilefs/tracker/protocol"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
	"github.com/mogilefs/caddy-mogilefs/tracker/topology"
)

const domain = "images"

// ledger is what clients know for sure.
type ledger struct {
	mu sync.Mutex // guards what follows
	// keys says which fid a key is; 0 when it is known to be unknown.
	keys map[mogile.Key]mogile.FID
	// contents is what was meant to be stored under a fid, whatever became of it.
	contents map[mogile.FID]string
	// busy keys are somebody's; one client at a time has a key.
	busy map[mogile.Key]bool
}

func newLedger() *ledger {
	return &ledger{
		keys: map[mogile.Key]mogile.FID{}, contents: map[mogile.FID]string{}, busy: map[mogile.Key]bool{},
	}
}

// content is what was meant to be stored under a fid, for steps that may be on their way
// while a client learns of his.
func (l *ledger) content(fid mogile.FID) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.contents[fid]
}

// client is one operation of a client.
type client struct {
	*actor
	s   *sim
	via *tracker
	rng *rand.Rand
}

// visit has a client do something through a tracker that lives, and learn from the answer.
func (s *sim) visit(what string, keys []mogile.Key, do func(*client) (learn func(), err error)) {
	via := s.anyTracker()
	if via == nil {
		return
	}
	for _, key := range keys {
		if s.ledger.busy[key] {
			return
		}
	}
	for _, key := range keys {
		s.ledger.busy[key] = true
	}
	s.visits++
	c := &client{
		actor: &actor{name: fmt.Sprintf("client%d", s.visits)}, s: s, via: via, rng: rand.New(rand.NewPCG(s.rng.Uint64(), 3)),
	}
	s.clock.trace.add("%s comes to %s: %s %v", c.name, via.name, what, keys)
	s.inside++
	s.guests.Go(func() {
		learn, err := do(c)
		_ = s.clock.take(context.Background(), c.actor, step{key: "is done", effect: func(*rand.Rand) error {
			s.ledger.mu.Lock()
			defer s.ledger.mu.Unlock()
			s.inside--
			learn()
			for _, key := range keys {
				s.ledger.busy[key] = false
			}
			return err
		}})
	})
}

// settle has the ledger say what a key is after an operation that may have changed it from
// what it was to another: on success it must be the other.
func (c *client) settle(key mogile.Key, other mogile.FID, err error) {
	before := c.s.ledger.keys[key]
	now := c.s.look(key)
	if now != other && (err == nil || now != before) {
		c.s.wrong(other, "key %q is fid %s after %s was told %v; it was %s, and was to be %s", key, now, c.name, err, before, other)
	}
	c.s.ledger.keys[key] = now
}

// look is what a key is, by the database itself.
func (s *sim) look(key mogile.Key) mogile.FID {
	f, err := s.store.FileByKey(context.Background(), s.domain, key)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		s.t.Fatal(err)
	}
	return f.FID
}

func (s *sim) anyKey() mogile.Key { return mogile.Key(fmt.Sprintf("key%d", s.rng.IntN(s.keys))) }

func (s *sim) anyClass() mogile.Class { return s.classes[s.rng.IntN(len(s.classes))] }

func (s *sim) upload(key mogile.Key) {
	class := s.anyClass()
	s.visit("upload", []mogile.Key{key}, func(c *client) (func(), error) {
		fid, err := c.upload(key, class)
		return func() {
			if fid != 0 {
				c.settle(key, fid, err)
			}
		}, err
	})
}

var errGone = errors.New("the client went away")

// upload returns the fid once it may be that of the key.
func (c *client) upload(key mogile.Key, class mogile.Class) (mogile.FID, error) {
	ctx := c.visiting()
	body := strings.Repeat(string(key)+" ", c.rng.IntN(4)) + fmt.Sprint(c.rng.Uint64())
	opened, err := c.via.commands.Open(ctx, command.OpenArgs{
		Domain: domain, Key: key, Class: class.Name, Size: int64(len(body)), Destinations: 1 + c.rng.IntN(3),
	})
	if err != nil {
		return 0, err
	}
	c.s.ledger.mu.Lock()
	c.s.ledger.contents[opened.FID] = body
	c.s.ledger.mu.Unlock()
	for _, dest := range opened.Destinations {
		if err = c.put(dest, opened.FID, body); err != nil {
			continue
		}
		if c.rng.IntN(12) == 0 {
			return 0, errGone
		}
		return c.finish(key, class, opened.FID, dest, body)
	}
	if c.rng.IntN(2) == 0 {
		return 0, err
	}
	return 0, c.via.commands.Abandon(ctx, opened.FID, opened.Destinations[0].Dev)
}

func (c *client) put(dest mogile.Copy, fid mogile.FID, body string) error {
	d, _ := c.s.cluster.at(dest.URL)
	return c.s.clock.take(context.Background(), c.actor, step{
		key: named("put", []any{fid, d.dev}), travel: d.on.reach(nodePatience),
		effect: func(luck *rand.Rand) error {
			// What a failed attempt leaves is nobody's: of a closed upload the tracker knows
			// the device that the client names, and no other.
			_, err := c.s.cluster.put(luck, d, fid, []byte(body), true)
			return err
		},
	})
}

func (c *client) finish(key mogile.Key, class mogile.Class, fid mogile.FID, dest mogile.Copy, body string) (mogile.FID, error) {
	a := command.CloseArgs{Domain: domain, Key: key, FID: fid, Dev: dest.Dev, URL: dest.URL, Size: int64(len(body))}
	if c.rng.IntN(10) == 0 {
		a.Key = "" // thinks better of it
	}
	if class.Hash != mogile.HashNone && c.rng.IntN(2) == 0 {
		a.Checksum = digest(class.Hash, []byte(body))
		a.Verify = c.rng.IntN(3) == 0
	}
	err := c.via.commands.Close(c.visiting(), a)
	if a.Key == "" {
		return 0, err
	}
	return fid, err
}

func (s *sim) remove(key mogile.Key) {
	s.visit("delete", []mogile.Key{key}, func(c *client) (func(), error) {
		err := c.via.commands.Delete(c.visiting(), domain, key)
		unknown := errors.Is(err, protocol.UnknownKey)
		return func() {
			if unknown && s.ledger.keys[key] != 0 {
				s.wrong(s.ledger.keys[key], "key %q is unknown when %s deletes it", key, c.name)
			}
			c.settle(key, 0, err)
		}, err
	})
}

func (s *sim) rename(from mogile.Key) {
	to := s.anyKey()
	if from == to {
		return
	}
	s.visit("rename", []mogile.Key{from, to}, func(c *client) (func(), error) {
		_, err := c.via.order(c.visiting(), fmt.Sprintf("rename domain=%s&from_key=%s&to_key=%s", domain, from, to))
		return func() {
			was, had := s.ledger.keys[from], s.ledger.keys[to]
			if errors.Is(err, protocol.UnknownKey) && was != 0 || errors.Is(err, protocol.KeyExists) && had == 0 {
				s.wrong(was, "%s was told %v when it renamed %q to %q, which were fids %s and %s", c.name, err, from, to, was, had)
			}
			if was == 0 || had != 0 {
				if err == nil {
					s.wrong(was, "%s renamed %q to %q, which were fids %s and %s", c.name, from, to, was, had)
				}
				was, had = had, was
			}
			c.settle(from, had, err)
			c.settle(to, was, err)
		}, err
	})
}

func (s *sim) reclass(key mogile.Key) {
	// A checksum that is of another kind than the class's is nobody's business any more,
	// and so would be a copy that rots.
	if !s.cluster.tainted[s.ledger.keys[key]] {
		s.reclassTo(key, s.anyClass())
	}
}

func (s *sim) reclassTo(key mogile.Key, class mogile.Class) {
	s.visit("reclass", []mogile.Key{key}, func(c *client) (func(), error) {
		_, err := c.via.order(c.visiting(), fmt.Sprintf("updateclass domain=%s&key=%s&class=%s", domain, key, class.Name))
		return func() {}, err
	})
}

// meddle has a client change a file while a job is at it, every now and then. On rough days the
// trackers often lose their locks just then.
func (s *sim) meddle(luck *rand.Rand, fid mogile.FID) {
	if s.calm || luck.IntN(8) > 0 {
		return
	}
	change := []func(mogile.Key){s.upload, s.remove, s.rename, s.reclass, s.reclass}[luck.IntN(5)]
	unlocked := s.rough && luck.IntN(2) == 0
	s.clock.soon(func() {
		s.ledger.mu.Lock()
		defer s.ledger.mu.Unlock()
		for _, t := range s.trackers {
			if unlocked {
				t.loseLocks()
			}
		}
		for key, is := range s.ledger.keys { // one at most
			if is == fid {
				s.clock.after(s.upTo(50*time.Millisecond), "", func() { change(key) })
			}
		}
	})
}

// read holds what a reader is told against the ledger.
func (s *sim) read(key mogile.Key) {
	s.visit("read", []mogile.Key{key}, func(c *client) (func(), error) {
		at, err := c.via.commands.Locate(c.visiting(), domain, key, topology.Zone{})
		return func() {
			want := s.ledger.keys[key]
			switch {
			case err == nil && at.FID != want:
				s.wrong(want, "key %q is fid %s for %s; want %s", key, at.FID, c.name, want)
			case errors.Is(err, protocol.UnknownKey) && want != 0:
				s.wrong(want, "key %q is unknown to %s; want fid %s", key, c.name, want)
			}
		}, err
	})
}
