package job

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tally"
	"github.com/mogilefs/caddy-mogilefs/tracker/checker"
	"github.com/mogilefs/caddy-mogilefs/tracker/crew"
	"github.com/mogilefs/caddy-mogilefs/tracker/injector"
	"github.com/mogilefs/caddy-mogilefs/tracker/monitor"
	"github.com/mogilefs/caddy-mogilefs/tracker/node"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
	"github.com/mogilefs/caddy-mogilefs/tracker/topology"
)

// Name is a job's name, as operators say it.
type Name string

// The jobs.
const (
	Monitor   Name = "monitor"
	Replicate Name = "replicate"
	Delete    Name = "delete"
	// Master is what hands the rows of the queues to the workers.
	Master Name = "job_master"
	// Fsck checks files.
	Fsck Name = "fsck"
	// Reaper takes care of the files of dead devices.
	Reaper Name = "reaper"
)

// MaxWorkers is the most that operators can ask for (docs/spec/tracker-protocol.md §9).
const MaxWorkers = 500

// defaultWorkers is how many work at once when the operator says nothing. (The peer has
// one of each; ours share a process and cost little.) Nothing changes it.
var defaultWorkers = map[Name]int{Monitor: 1, Replicate: 32, Delete: 16, Fsck: 8, Reaper: 1}

// Store is what jobs do to the tracker's database.
type Store interface {
	FileByFID(ctx context.Context, fid mogile.FID) (store.File, error)
	SweepUploads(ctx context.Context, age time.Duration, limit int) (int, error)
	SetDeviceUsage(ctx context.Context, devs []mogile.Device) error
	Reap(ctx context.Context, dev mogile.DevID, limit int) (int, error)
	checker.Store
	injector.CheckStore
	injector.RebalanceStore
	store.Copies
	store.Queue
	store.Locks
}

// Nodes is what jobs say to storage nodes; package node has the contracts.
type Nodes interface {
	monitor.Nodes
	Copier
	Deleter
	Looker
}

// Copier makes copies.
type Copier interface {
	MakeDirs(ctx context.Context, dev mogile.DevID, base string, fid mogile.FID)
	Copy(ctx context.Context, args node.CopyArgs) (mogile.Checksum, error)
	Digest(ctx context.Context, url string, t mogile.HashType) (mogile.Checksum, error)
}

// Sizer says how long copies are.
type Sizer interface {
	Size(ctx context.Context, url string) (n int64, found bool, err error)
}

// Looker looks at copies.
type Looker interface {
	Sizer
	DigestForFsck(ctx context.Context, url string, t mogile.HashType) (mogile.Checksum, error)
}

// Deleter removes copies.
type Deleter interface {
	Delete(ctx context.Context, url string) error
}

// Config is what jobs work with.
type Config struct {
	Store    Store
	Topology *topology.Live
	Nodes    Nodes
	// Workers is how many of each job work at once; a job it does not name has its
	// default: 32 replicate, 16 delete, 8 fsck, 1 monitor, 1 reaper. See [CheckWorkers].
	Workers map[Name]int
	// CopiesPerDevice is how many copies are read from and written to one device at a
	// time, but of large files at most two; 0 means 8.
	CopiesPerDevice int
	// Hostname is what the settings fsck_host and rebal_host call this tracker; empty
	// means what the system calls the machine.
	Hostname string
	// Changed is called after a copy of the key's file was added or removed, so that
	// caches learn of it. Optional; nil means nobody is told.
	Changed func(domain mogile.DomainName, key mogile.Key)
	// Tally is where is counted what is done; nil means that nobody wants to know.
	Tally *tally.Tracker
	// Rand returns numbers in [0,1); nil means math/rand/v2.
	Rand   func() float64
	Logger *zap.Logger
}

// observer is what jobs ask of the monitor, which has a room of its own.
type observer interface {
	Run(ctx context.Context)
	Wake()
	Refresh(ctx context.Context) error
	Ready(ctx context.Context) error
	AllSeen(ctx context.Context) error
	Looked() bool
}

// filler queues the files of what an operator has started; package injector has them.
type filler interface {
	Run(ctx context.Context)
	Wake()
	Hold(held bool)
}

// Jobs owns the monitor and the workers of the queues.
type Jobs struct {
	monitor    observer
	replicator *replicator
	crews      map[Name]*crew.Crew
	injectors  map[store.QueueName]filler
	sweep      *sweeper
	reaper     *reaper

	ctx     context.Context // over when Close begins
	cancel  context.CancelCauseFunc
	wg      sync.WaitGroup // everything that runs, but for the
	keepers sync.WaitGroup // of claims, who go when nobody is left to have any

	mu      sync.Mutex // guards what follows
	started bool
	closed  bool
	wanted  map[Name]int // as operators said, of jobs that have no crew
}

// errClosed is the cause of death of what is under way when Close begins.
var errClosed = errors.New("jobs are closed")

// New allocates the jobs; nothing runs until [Jobs.Start].
func New(config Config) *Jobs {
	if config.Changed == nil {
		config.Changed = func(mogile.DomainName, mogile.Key) {}
	}
	if config.Rand == nil {
		config.Rand = rand.Float64
	}
	if config.Tally == nil {
		config.Tally = new(tally.Tracker)
	}
	seer := monitor.New(monitor.Config{
		Store: config.Store, Topology: config.Topology, Nodes: config.Nodes,
		Logger: config.Logger.With(zap.String("job", string(Monitor))),
	})
	j := &Jobs{monitor: seer, wanted: map[Name]int{Monitor: 1, Master: 1}}
	j.replicator = newReplicator(config, j.wg.Go)
	j.ctx, j.cancel = context.WithCancelCause(context.Background())
	hands := new(crew.Hands)
	j.crews = map[Name]*crew.Crew{
		Replicate: newCrew(config, hands, Replicate, j.replicator.queue(config.Store), j.replicator.moves()),
		Delete:    newCrew(config, hands, Delete, newRemover(config, j.wg.Go).queue()),
	}
	j.reaper = newReaper(config, j.crews[Replicate].Wake)
	j.crews[Fsck] = newCrew(config, hands, Fsck, newInspector(config, j.crews[Replicate].Wake).queue())
	fills := func(q store.QueueName) injector.Config {
		return injector.Config{
			Topology: config.Topology, Hostname: config.Hostname, Logger: config.Logger, Queued: func() { j.wakeCrews(q) },
		}
	}
	j.injectors = map[store.QueueName]filler{
		store.FsckQueue:      injector.NewCheck(config.Store, fills(store.FsckQueue)),
		store.RebalanceQueue: injector.NewRebalance(config.Store, config.Rand, fills(store.RebalanceQueue)),
	}
	j.sweep = &sweeper{store: config.Store, crew: j.crews[Delete], log: config.Logger}
	return j
}

// newCrew has the workers of a job for the rows of some queues.
func newCrew(config Config, hands *crew.Hands, name Name, sources ...crew.Source) *crew.Crew {
	return crew.New(crew.Config{
		Store: config.Store, Workers: workers(config, name), Hands: hands, Urgent: name == Replicate, Rand: config.Rand,
		Worked: func(result string, took time.Duration) {
			config.Tally.Jobs.At(tally.Job{Name: string(name), Result: result}).Observe(took)
		},
		Logger: config.Logger.With(zap.String("job", string(name))),
	}, sources...)
}

// workers is how many of a job there are at the beginning.
func workers(config Config, name Name) int {
	if n, ok := config.Workers[name]; ok {
		return n
	}
	return defaultWorkers[name]
}

// Start begins all work. The queues are left alone until all devices were seen, or had
// their time.
func (j *Jobs) Start() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.started || j.closed {
		return
	}
	j.started = true
	j.wg.Go(func() { j.monitor.Run(j.ctx) })
	for _, c := range j.crews {
		j.keepers.Go(c.Keep)
		c.Employ(j.ctx, &j.wg)
		j.wg.Go(func() { j.afterAllSeen(c.Run) })
	}
	j.wg.Go(func() { j.afterAllSeen(j.sweep.run) })
	j.wg.Go(func() { j.afterAllSeen(j.reaper.run) })
	for _, i := range j.injectors {
		j.wg.Go(func() { j.afterAllSeen(i.Run) })
	}
}

func (j *Jobs) afterAllSeen(run func(context.Context)) {
	if j.monitor.AllSeen(j.ctx) == nil {
		run(j.ctx)
	}
}

// Close stops all work and waits for it. What was claimed but not done is given back
// to the queues. Calling it twice is harmless.
func (j *Jobs) Close() {
	j.mu.Lock()
	first := !j.closed
	j.closed = true
	j.mu.Unlock()
	j.cancel(errClosed)
	j.wg.Wait()
	if first {
		for _, c := range j.crews {
			c.Release()
		}
	}
	j.keepers.Wait()
}

// Wake says that a queue has got work, or that who fills it has. It never waits; saying it
// often at once is saying it once.
func (j *Jobs) Wake(q store.QueueName) {
	if i := j.injectors[q]; i != nil {
		i.Wake()
	}
	j.wakeCrews(q)
}

func (j *Jobs) wakeCrews(q store.QueueName) {
	for _, c := range j.crews {
		if c.WorksFrom(q) {
			c.Wake()
		}
	}
}

// Refresh has the monitor look at everything; see [monitor.Monitor.Refresh].
func (j *Jobs) Refresh(ctx context.Context) error { return j.monitor.Refresh(ctx) }

// Ready waits until clients can be answered; see [monitor.Monitor.Ready].
func (j *Jobs) Ready(ctx context.Context) error { return j.monitor.Ready(ctx) }

// Looked reports whether a first round is over, which is when clients are answered.
func (j *Jobs) Looked() bool { return j.monitor.Looked() }

// Status is a job's name and workers.
type Status struct {
	Name Name
	// Count is how many there are, Desired how many there should be.
	Count, Desired int
	// Queued is how many rows were claimed and wait for a worker, Sent how many have
	// ever been handed to one.
	Queued, Sent int64
}

// Status lists all jobs by name: those that do something, and those that operators want
// to.
func (j *Jobs) Status() []Status {
	var all []Status
	for name, c := range j.crews {
		s := c.Status()
		all = append(all, Status{Name: name, Count: s.Count, Desired: s.Desired, Queued: s.Queued, Sent: s.Sent})
	}
	all = append(all, j.reaper.status())
	j.mu.Lock()
	defer j.mu.Unlock()
	for name, n := range j.wanted {
		all = append(all, Status{Name: name, Count: j.countLocked(name), Desired: n})
	}
	slices.SortFunc(all, func(a, b Status) int { return strings.Compare(string(a.Name), string(b.Name)) })
	return all
}

// countLocked is how many there are of a job that has no crew.
func (j *Jobs) countLocked(name Name) int {
	if name == Monitor || name == Master {
		return j.wanted[name]
	}
	return 0
}

// CheckWorkers says why a config can't ask for so many workers of a job.
func CheckWorkers(name Name, n int) error {
	switch _, known := defaultWorkers[name]; {
	case !known:
		names := slices.Sorted(maps.Keys(defaultWorkers))
		return fmt.Errorf("no job is called %q: there are %v", name, names)
	case name == Monitor && n != 1:
		return fmt.Errorf("%d workers for %s: there must be exactly 1", n, name)
	case name == Reaper && (n < 0 || n > 1):
		return fmt.Errorf("%d workers for %s: want 0 or 1", n, name)
	case n < 0 || n > MaxWorkers:
		return fmt.Errorf("%d workers for %s: want 0 to %d", n, name, MaxWorkers)
	}
	return nil
}

// Names is the jobs that operators know, without the one that answers requests.
func Names() []Name { return []Name{Delete, Fsck, Master, Monitor, Reaper, Replicate} }

// Want changes how many of a job work at once, which is remembered until the end of the
// process. Surplus workers go when they have done what they have in hand.
//
// There is always one monitor, as a tracker without knows nothing. There is one master
// or none: without it the queues are left alone. There is one reaper or none. n must be 0
// to [MaxWorkers], and the name one of [Names].
func (j *Jobs) Want(name Name, n int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	switch c := j.crews[name]; {
	case c != nil:
		c.Want(n)
		if j.started && !j.closed {
			c.Employ(j.ctx, &j.wg)
		}
	case name == Monitor:
	case name == Reaper:
		j.reaper.desire(n)
	case name == Master:
		j.wanted[name] = min(n, 1)
		for _, c := range j.crews {
			c.Hold(n == 0)
		}
		for _, i := range j.injectors {
			i.Hold(n == 0)
		}
	default:
		j.wanted[name] = n
	}
}

// wakeWords is what operators may say to have a job look for work now; the second is
// what the peer's processes say to each other.
var wakeWords = []string{"wake", ":wake_up"}

// Tell passes an operator's words on and returns to how many workers. Words that mean
// nothing to them are heard all the same.
func (j *Jobs) Tell(name Name, text string) int {
	wake := slices.Contains(wakeWords, strings.TrimSpace(text))
	c := j.crews[name]
	switch {
	case wake && c != nil:
		c.Wake()
	case wake && name == Monitor:
		j.monitor.Wake()
	case wake && name == Reaper:
		j.reaper.wake()
	case wake && name == Master:
		for _, i := range j.injectors {
			i.Wake()
		}
		for _, c := range j.crews {
			c.Wake()
		}
	}
	switch {
	case c != nil:
		return c.Status().Count
	case name == Reaper:
		return j.reaper.count()
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.countLocked(name)
}
