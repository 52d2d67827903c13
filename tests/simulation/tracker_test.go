package simulation

import (
	"cmp"
	"context"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/command"
	"github.com/mogilefs/caddy-mogilefs/tracker/job"
	"github.com/mogilefs/caddy-mogilefs/tracker/policy"
	"github.com/mogilefs/caddy-mogilefs/tracker/protocol"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
	"github.com/mogilefs/caddy-mogilefs/tracker/topology"
)

// tracker is one life of a tracker: from its start to its end, or its crash.
type tracker struct {
	*actor
	sim *sim
	// life is over when it is killed.
	life  context.Context
	begun bool // set before anything of it runs

	live     *topology.Live
	jobs     *job.Jobs
	commands *command.Commands
	closed   chan struct{} // closed when all its goroutines are gone

	mu    sync.Mutex
	locks map[int]func()         // guarded by mu: what gives them back
	next  int                    // guarded by mu
	asked map[*machine]*exchange // guarded by mu: what is under way
	// put is what it had nodes store and has not recorded yet. Steps touch it.
	put map[place]bool
	// saw is when it has last looked at a place, if it was answered, and what lay there was
	// right. What it saw before it locked the file does not count. Guarded by mu.
	saw map[place]time.Time
}

// start begins a life. The clients' part of a tracker is its commands; they are called
// without a connection.
func (s *sim) start(name string) *tracker {
	life, end := context.WithCancel(context.Background())
	t := &tracker{
		actor: &actor{name: name, dead: make(chan struct{})}, sim: s, life: life,
		closed: make(chan struct{}), locks: map[int]func(){}, saw: map[place]time.Time{}, asked: map[*machine]*exchange{}, put: map[place]bool{},
	}
	t.kill = sync.OnceFunc(func() { t.die(end) })
	var st store.Store = &trackerStore{real: s.store, t: t}
	var nodes allNodes = &trackerNodes{t}
	if s.mutate != nil {
		st, nodes = s.mutate(t)
	}
	t.live = topology.New(st, topology.Config{MinFreeMB: 100})
	if err := t.live.Reload(context.Background()); err != nil {
		s.t.Fatal(err)
	}
	chance := s.chance()
	t.jobs = job.New(job.Config{
		Store: st, Topology: t.live, Nodes: nodes, Workers: s.workers, Rand: chance, Logger: s.logger(name), Hostname: name,
	})
	t.commands = command.New(command.Config{
		Store: st, Topology: t.live, Nodes: nodes, Jobs: lobby{t.jobs, t}, Rand: chance, Logger: s.logger(name), Hostname: name,
		ValidPolicy: func(_ context.Context, p string) error { _, err := policy.Parse(p); return err },
	})
	t.begun = true
	t.jobs.Start()
	return t
}

func (s *sim) logger(name string) *zap.Logger {
	if s.log == nil {
		return zap.NewNop()
	}
	return s.log.Named(name)
}

// chance is random numbers for one life of a tracker. Who asks at the same moment is told the
// same, whatever the order.
func (s *sim) chance() func() float64 {
	seed := s.rng.Uint64()
	return func() float64 {
		return rand.New(rand.NewPCG(seed, uint64(time.Now().UnixNano()))).Float64()
	}
}

func (t *tracker) take(ctx context.Context, st step) error {
	return t.sim.clock.take(ctx, t.actor, st)
}

// die ends a life at once: no step of it has an effect any more. Its goroutines are told,
// and then waited for by nobody but the end of the test.
func (t *tracker) die(end context.CancelFunc) {
	close(t.dead)
	for at := range t.put {
		t.sim.cluster.unclean[at] = t.name + " crashed before it recorded the copy"
	}
	t.giveBack(nil)
	end()
	go t.close()
}

// loseLocks is what the end of a connection to a database server does: who holds them does not
// know.
func (t *tracker) loseLocks() { t.giveBack(map[int]func(){}) }

// giveBack gives all locks back, of which left are left.
func (t *tracker) giveBack(left map[int]func()) {
	t.mu.Lock()
	locks := t.locks
	t.locks = left
	t.mu.Unlock()
	for _, id := range slices.Sorted(maps.Keys(locks)) {
		locks[id]()
	}
}

func (t *tracker) close() {
	t.jobs.Close()
	close(t.closed)
}

// looksAt has it know from now on what lies at a place, or that it does not.
func (t *tracker) looksAt(d *disk, fid mogile.FID, err error) {
	truth := t.sim.ledger.content(fid)
	t.mu.Lock()
	defer t.mu.Unlock()
	if err == nil && string(d.files[fid]) == truth {
		t.saw[place{fid, d.dev}] = time.Now()
	} else {
		delete(t.saw, place{fid, d.dev})
	}
}

// holds has a lock given back when the tracker dies, if not before.
func (t *tracker) holds(name string, release func()) (func(), error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	maps.DeleteFunc(t.saw, func(at place, _ time.Time) bool { return strings.HasPrefix(name, "mgfs:fid:"+at.fid.String()+":") })
	if t.locks == nil {
		release()
		return nil, errCrashed
	}
	id := t.next
	t.next++
	t.locks[id] = release
	return func() {
		t.mu.Lock()
		release := t.locks[id]
		delete(t.locks, id)
		t.mu.Unlock()
		if release != nil {
			release()
		}
	}, nil
}

// lobby is where visitors wait for a tracker to have looked at its devices. Its door opens
// for all at once, and who is quicker would be chance: so they go in one by one.
type lobby struct {
	*job.Jobs
	t *tracker
}

func (l lobby) Ready(ctx context.Context) error {
	if l.Jobs.Looked() {
		return l.Jobs.Ready(ctx)
	}
	return l.enter(ctx, l.Jobs.Ready(ctx))
}

func (l lobby) Refresh(ctx context.Context) error { return l.enter(ctx, l.Jobs.Refresh(ctx)) }

func (l lobby) enter(ctx context.Context, err error) error {
	who, _ := ctx.Value(visitor{}).(string)
	return cmp.Or(l.t.take(ctx, step{key: "enters " + who, single: true}), err)
}

// visitor is the key of the name of whom a tracker serves.
type visitor struct{}

// visiting is the context in which an actor is served.
func (a *actor) visiting() context.Context {
	return context.WithValue(context.Background(), visitor{}, a.name)
}

// exchange is a question about the disks of a host.
type exchange struct {
	over chan struct{} // closed when what follows is known
	err  error
	luck uint64
}

// join is the exchange with a host that has not come to its answer, or a new one, which its
// first has to bring to its end.
func (t *tracker) join(m *machine) (x *exchange, first bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if x = t.asked[m]; x == nil {
		x, first = &exchange{over: make(chan struct{})}, true
		t.asked[m] = x
	}
	return x, first
}

func (t *tracker) leave(m *machine) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.asked, m)
}

// order has a tracker carry out an operator's line, and returns what went wrong.
func (t *tracker) order(ctx context.Context, line string) (string, error) {
	r := t.commands.Run(ctx, protocol.Parse([]byte(line)), netip.Addr{})
	if r.Err != nil {
		return "", r.Err
	}
	return r.Pairs.String(), nil
}

// putBy remembers what a tracker had stored, until it says so to the store.
func (s *sim) putBy(t *tracker, at place) { t.put[at] = true }

// forgotten is told before a row of a copy goes. Bytes that are not right, or can't be
// reached, may stay behind then.
func (s *sim) forgotten(fid mogile.FID, dev mogile.DevID) {
	d := s.cluster.disks[dev]
	if body, there := d.files[fid]; there && string(body) != s.ledger.content(fid) {
		s.cluster.unclean[place{fid, dev}] = "what was forgotten was not right"
	}
}

// allNodes is all that trackers say to nodes.
type allNodes interface {
	job.Nodes
	command.Nodes
}

// escaped is a text as the value of an argument.
func escaped(text string) string {
	var b strings.Builder
	for _, c := range []byte(text) {
		b.WriteString("%" + string("0123456789ABCDEF"[c>>4]) + string("0123456789ABCDEF"[c&15]))
	}
	return b.String()
}
