package takeover

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tests/legacy"
	"github.com/mogilefs/caddy-mogilefs/tracker/client"
	"github.com/mogilefs/caddy-mogilefs/tracker/protocol"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

const (
	// mixedClients work at the same time, each with an old tracker and one of ours.
	mixedClients = 4
	// mixedRounds is how often each does something to a key of its own, to one that all
	// fight for, and to one that only our trackers store.
	mixedRounds = 15
)

// wanted are the devices that get every file of the default class: the only ones that
// take new files.
var wanted = []mogile.DevID{1, 2}

// mixed is old trackers and ours on one database.
type mixed struct {
	d      *legacy.Database
	nodes  []*node
	ours   []talk
	stop   []func() // of ours
	ledger *ledger
	leases *leases
	// noLocks: somebody may copy what another one erases.
	noLocks bool
}

func newMixed(t *testing.T, v legacy.Variant) *mixed {
	t.Helper()
	m := &mixed{ledger: newLedger(), leases: newLeases()}
	m.nodes, v.Nodes = startNodes(t)
	m.d = legacy.NewEmpty(t, v)
	m.d.Do(t, v.Topology()...)
	m.d.Do(t, "UPDATE host SET status = 'down' WHERE hostid = 4") // which nobody is
	trackers := 2
	if v.Kind == legacy.SQLite { // one file, one tracker
		trackers = 1
	}
	for i := range trackers {
		s := watched{open(t, m.d), fmt.Sprint("ours", i), m.leases}
		k, stop := newTracker(t, s, map[string]int{"replicate": 2, "delete": 2})
		m.ours, m.stop = append(m.ours, k), append(m.stop, stop)
	}
	return m
}

// TestOldAndNewWorkSideBySide has clients store, replace, delete and rename keys through
// old trackers and ours, while the jobs of both replicate and delete.
func TestOldAndNewWorkSideBySide(t *testing.T) {
	here, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	const elsewhere = "old.example.com"
	for name, c := range map[string]struct {
		kind legacy.Kind
		host string // of the old trackers
	}{
		"MariaDB": {legacy.MySQL, elsewhere}, "SQLite": {legacy.SQLite, elsewhere},
		"PostgreSQL": {legacy.Postgres, elsewhere}, "PostgreSQL on one machine": {legacy.Postgres, here},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMixed(t, legacy.Variant{Kind: c.kind})
			// The reference's locks in PostgreSQL exclude no other host
			// (docs/spec/schema.md §7.1): a file may be copied while it is erased.
			m.noLocks = c.kind == legacy.Postgres && c.host == elsewhere
			ctx, cancel := context.WithCancel(t.Context())
			var clients, workers sync.WaitGroup
			for i := range 2 {
				w := oldWorker{m: m, name: fmt.Sprint("old", i), tr: m.d.Tracker(t, c.host)}
				w.tr.Ending = func(q store.QueueName, fid mogile.FID) { m.leases.end(w.name, q, fid) }
				workers.Go(func() {
					if err := w.work(ctx); err != nil {
						t.Errorf("%s: got %v; want nil", w.name, err)
					}
				})
			}
			for i := range mixedClients {
				client := mixedClient{
					m: m, i: i, old: m.d.Tracker(t, c.host), ours: m.ours[i%len(m.ours)], rnd: rand.New(rand.NewPCG(1, uint64(i))),
				}
				clients.Go(func() {
					if err := client.run(t.Context()); err != nil {
						t.Errorf("client %d: got %v; want nil", i, err)
					}
				})
			}
			clients.Wait()
			cancel()
			workers.Wait()
			m.settle(t)
			m.check(t)
		})
	}
}

// oldWorker is the replicate and delete workers of an old tracker.
type oldWorker struct {
	m    *mixed
	name string
	tr   *legacy.Tracker
}

// work claims and does what it has claimed until ctx ends.
func (w oldWorker) work(ctx context.Context) error {
	pause := time.NewTicker(5 * time.Millisecond)
	defer pause.Stop()
	background := context.WithoutCancel(ctx)
	for {
		if err := errors.Join(w.replicate(background), w.erase(background)); err != nil {
			return err
		}
		if _, err := w.tr.Sweep(background); err != nil {
			return err
		}
		select {
		case <-pause.C:
		case <-ctx.Done():
			return nil
		}
	}
}

func (w oldWorker) replicate(ctx context.Context) error {
	items, err := w.tr.Claim(ctx, store.ReplicateQueue, 20)
	w.m.leases.claim(w.name, store.ReplicateQueue, items)
	for _, i := range items {
		if err == nil {
			_, err = w.tr.Replicate(ctx, i, wanted, w.copy)
		}
	}
	return err
}

func (w oldWorker) copy(fid mogile.FID, to mogile.DevID) error {
	for _, from := range wanted {
		if content, there := nodeOf(w.m.nodes, from).get(fid.Path(from)); there {
			nodeOf(w.m.nodes, to).put(fid.Path(to), content)
			return nil
		}
	}
	if w.m.noLocks { // another erased it meanwhile
		return legacy.ErrNoSource
	}
	return fmt.Errorf("replicate fid %d: no node has it", fid)
}

func (w oldWorker) erase(ctx context.Context) error {
	items, err := w.tr.Claim(ctx, store.DeleteQueue, 20)
	w.m.leases.claim(w.name, store.DeleteQueue, items)
	for _, i := range items {
		if err == nil {
			_, err = w.tr.Erase(ctx, i, func(fid mogile.FID, dev mogile.DevID) error {
				nodeOf(w.m.nodes, dev).remove(fid.Path(dev))
				return nil
			})
		}
	}
	return err
}

// mixedClient does one thing after the other, now with the old tracker, now with ours.
type mixedClient struct {
	m    *mixed
	i    int
	old  *legacy.Tracker
	ours talk
	rnd  *rand.Rand
	// names numbers the keys that it alone has.
	names int
}

func (c *mixedClient) run(ctx context.Context) error {
	key := c.newKey()
	for range mixedRounds {
		var err error
		if key, err = c.change(ctx, key); err != nil {
			return err
		}
		if err := c.fight(ctx, mogile.Key(fmt.Sprint("all/", c.rnd.IntN(3))), c.coin()); err != nil {
			return err
		}
		if err := c.fight(ctx, mogile.Key(fmt.Sprint("ours/", c.rnd.IntN(3))), false); err != nil {
			return err
		}
	}
	return nil
}

func (c *mixedClient) coin() bool { return c.rnd.IntN(2) == 0 }

func (c *mixedClient) newKey() mogile.Key {
	c.names++
	return mogile.Key(fmt.Sprintf("own/%d/%d", c.i, c.names))
}

// change does something to a key that nobody else touches, and returns the next.
func (c *mixedClient) change(ctx context.Context, key mogile.Key) (mogile.Key, error) {
	fid, err := c.store(ctx, key, c.coin())
	if err != nil {
		return "", err
	}
	c.m.ledger.own(key, fid)
	switch c.rnd.IntN(4) {
	case 0:
		c.m.ledger.own(key, 0)
		return c.newKey(), c.delete(ctx, key, c.coin())
	case 1:
		to := c.newKey()
		c.m.ledger.own(key, 0)
		c.m.ledger.own(to, fid)
		return to, c.rename(ctx, key, to)
	case 2:
		return c.newKey(), nil
	}
	return key, nil // which is overwritten
}

// fight stores a key that others store at the same time, and sometimes deletes it.
func (c *mixedClient) fight(ctx context.Context, key mogile.Key, old bool) error {
	if _, err := c.store(ctx, key, old); err != nil {
		return err
	}
	if c.rnd.IntN(4) > 0 {
		return nil
	}
	return c.delete(ctx, key, c.coin())
}

// store is an upload from beginning to end.
func (c *mixedClient) store(ctx context.Context, key mogile.Key, old bool) (mogile.FID, error) {
	if !old {
		return c.storeWithOurs(ctx, key)
	}
	dev := wanted[c.rnd.IntN(len(wanted))]
	fid, err := c.old.Open(ctx, store.Upload{Domain: 1, Key: key, Devices: wanted})
	if err != nil {
		return 0, fmt.Errorf("old open %q: %w", key, err)
	}
	c.m.ledger.give(fmt.Sprint("a client of the old, ", c.i), fid)
	content := contentOf(fid)
	nodeOf(c.m.nodes, dev).put(fid.Path(dev), content)
	did := closing{key: key, fid: fid, old: true, begin: time.Now()}
	_, err = c.old.Close(ctx, store.Closing{FID: fid, Dev: dev, Domain: 1, Key: key, Length: int64(len(content))})
	did.end, did.failed = time.Now(), err != nil
	c.m.ledger.closed(did)
	if legacy.IsDeadlock(err) {
		return c.store(ctx, key, old)
	}
	if err != nil {
		return 0, fmt.Errorf("old close %q: %w", key, err)
	}
	return fid, nil
}

func (c *mixedClient) storeWithOurs(ctx context.Context, key mogile.Key) (mogile.FID, error) {
	opened, err := c.ours.OpenUpload(ctx, client.Upload{Domain: legacy.Images, Key: key})
	if err != nil {
		return 0, fmt.Errorf("open %q: %w", key, err)
	}
	c.m.ledger.give(fmt.Sprint("a client of ours, ", c.i), opened.FID)
	to, content := opened.Destinations[0], contentOf(opened.FID)
	nodeOf(c.m.nodes, to.Dev).put(opened.FID.Path(to.Dev), content)
	did := closing{key: key, fid: opened.FID, begin: time.Now()}
	err = c.ours.CloseUpload(ctx, client.Closing{Domain: legacy.Images, Key: key, FID: opened.FID, Copy: to, Size: int64(len(content))})
	did.end, did.failed = time.Now(), err != nil
	c.m.ledger.closed(did)
	if err != nil {
		return 0, fmt.Errorf("close %q: %w", key, err)
	}
	return opened.FID, nil
}

// delete takes a key that is gone already for deleted, as every client does.
func (c *mixedClient) delete(ctx context.Context, key mogile.Key, old bool) (err error) {
	if old {
		var fid mogile.FID
		fid, err = c.old.Delete(ctx, 1, key)
		if legacy.IsDeadlock(err) { // perhaps in the middle
			c.m.ledger.closed(closing{key: key, fid: fid, old: true, failed: true})
			return c.delete(ctx, key, old)
		}
	} else {
		_, err = c.ours.ask(ctx, "delete", "domain", string(legacy.Images), "key", string(key))
	}
	// A key of its own is there, unless a deletion of it ended in the middle.
	fought := old || !strings.HasPrefix(string(key), "own/")
	if fought && (errors.Is(err, store.ErrNotFound) || errors.Is(err, protocol.UnknownKey)) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("delete %q: %w", key, err)
	}
	return nil
}

func (c *mixedClient) rename(ctx context.Context, from, to mogile.Key) (err error) {
	if c.coin() {
		if err = c.old.Rename(ctx, 1, from, to); legacy.IsDeadlock(err) {
			return c.rename(ctx, from, to)
		}
	} else {
		_, err = c.ours.ask(ctx, "rename", "domain", string(legacy.Images), "from_key", string(from), "to_key", string(to))
	}
	if err != nil {
		return fmt.Errorf("rename %q: %w", from, err)
	}
	return nil
}

// settle has a tracker of ours do what is left in the queues. What somebody had in hand
// at the end would wait for its lease.
func (m *mixed) settle(t *testing.T) {
	t.Helper()
	for _, stop := range m.stop {
		stop()
	}
	for _, q := range []string{"file_to_replicate", "file_to_delete2"} {
		m.d.Do(t, "UPDATE "+q+" SET nexttry = 0, failcount = 0")
	}
	newTracker(t, open(t, m.d), map[string]int{"replicate": 2, "delete": 2})
	eventually(t, "the queues empty", func() bool {
		return m.d.Number(t, "SELECT (SELECT COUNT(*) FROM file_to_replicate) + (SELECT COUNT(*) FROM file_to_delete2)") == 0
	})
}

// check holds all tables and nodes against what clients know.
func (m *mixed) check(t *testing.T) {
	t.Helper()
	for _, wrong := range append(m.ledger.wrong, m.leases.wrong...) {
		t.Error(wrong)
	}
	var byOld, byOurs int
	for who, n := range m.leases.claims {
		if strings.HasPrefix(who, "old") {
			byOld += n
		} else {
			byOurs += n
		}
	}
	if byOld == 0 || byOurs == 0 {
		t.Errorf("claims: got %v; want some by old trackers and some by ours", m.leases.claims)
	}
	t.Logf("%d uploads; claims: %v", len(m.ledger.given), m.leases.claims)
	visible := m.visible(t)
	m.checkKeys(t, visible)
	m.checkContents(t, visible)
	if n := m.d.Number(t, "SELECT COUNT(*) FROM tempfile WHERE dmid <> 99"); n != 0 {
		t.Errorf("uploads in progress: got %d; want none", n)
	}
}

// visible is the table file, key by fid.
func (m *mixed) visible(t *testing.T) map[mogile.FID]mogile.Key {
	t.Helper()
	all := map[mogile.FID]mogile.Key{}
	rows, err := m.d.SQL.QueryContext(t.Context(), "SELECT fid, dkey, length, devcount FROM file")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var fid mogile.FID
		var key mogile.Key
		var length, devcount int
		if err := rows.Scan(&fid, &key, &length, &devcount); err != nil {
			t.Fatal(err)
		}
		if length != len(contentOf(fid)) || devcount != len(wanted) {
			t.Errorf("file %d: got length %d, devcount %d; want %d, %d", fid, length, devcount, len(contentOf(fid)), len(wanted))
		}
		all[fid] = key
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

func (m *mixed) checkKeys(t *testing.T, visible map[mogile.FID]mogile.Key) {
	t.Helper()
	found := map[mogile.Key]mogile.FID{}
	for fid, key := range visible {
		found[key] = fid
		if _, owned := m.ledger.owned[key]; !owned && !m.ledger.acknowledged(key)[fid] {
			t.Errorf("key %q: got fid %d; want one that was acknowledged", key, fid)
		}
	}
	for key, want := range m.ledger.owned {
		if got := found[key]; got != want {
			t.Errorf("key %q: got fid %d; want %d, which its only client was told", key, got, want)
		}
	}
}

// checkContents: what is visible lies on all its devices, and nothing else lies anywhere,
// but for what the reference loses.
func (m *mixed) checkContents(t *testing.T, visible map[mogile.FID]mogile.Key) {
	t.Helper()
	copies := map[mogile.FID][]string{}
	for _, row := range m.d.Dump(t, "file_to_delete", "file_to_delete2", "file_to_replicate", "file", "tempfile") {
		var fid mogile.FID
		var dev string
		if _, err := fmt.Sscanf(row, "file_on devid=%s fid=%d", &dev, &fid); err == nil {
			copies[fid] = append(copies[fid], dev)
		}
	}
	leaked := 0
	for fid := range m.ledger.given {
		_, seen := visible[fid]
		devs := slices.Sorted(slices.Values(copies[fid]))
		switch {
		case seen:
			for _, dev := range wanted {
				if got, _ := nodeOf(m.nodes, dev).get(fid.Path(dev)); got != contentOf(fid) {
					t.Errorf("fid %d on device %d: got %q; want its content", fid, dev, got)
				}
			}
			if !slices.Equal(devs, []string{"1", "2"}) {
				t.Errorf("copies of fid %d: got devices %v; want 1 and 2", fid, devs)
			}
		case len(devs) == 0 && !m.stored(fid):
		case m.ledger.mayLeak(fid, m.d.Kind == legacy.Postgres) || m.noLocks:
			leaked++
		default:
			t.Errorf("fid %d is leaked: got copies on %v; want none", fid, devs)
		}
	}
	t.Logf("%d contents lost by the reference's own races", leaked)
}

func (m *mixed) stored(fid mogile.FID) bool {
	return slices.ContainsFunc(wanted, func(dev mogile.DevID) bool {
		_, there := nodeOf(m.nodes, dev).get(fid.Path(dev))
		return there
	})
}
