package tracker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tally"
	"github.com/mogilefs/caddy-mogilefs/tracker/command"
	"github.com/mogilefs/caddy-mogilefs/tracker/job"
	"github.com/mogilefs/caddy-mogilefs/tracker/node"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
	"github.com/mogilefs/caddy-mogilefs/tracker/topology"
)

const (
	defaultMinFreeMB = 100 // min_free_space of docs/spec/storage-node.md §6
	// startTime is how long New waits for a database that does not answer.
	startTime = 30 * time.Second
	// maxMinDevCount is what the column class.mindevcount holds.
	maxMinDevCount = 255
)

// Config is what an operator can say about a tracker.
type Config struct {
	// Store is the database. The tracker owns it: Close closes it.
	Store store.Store
	// Workers is how many of a job work at once: replicate (32 by default), delete
	// (16) and fsck (8). A job that is not named has its default; 0 stops it. The job queryworker
	// (256) is how many requests of clients are carried out at once.
	Workers map[string]int
	// CopiesPerDevice is how many copies are read from and written to one device at a
	// time by replication and rebalance, but of files of 1 MiB and more at most two; 0
	// means 8.
	CopiesPerDevice int
	// Access is asked for every connection and every request, so it can change while
	// the tracker runs; what it returns must not, and is not nil. Optional; nil means
	// the zero Access.
	Access func() *Access
	// DefaultMinDevCount is the mindevcount of domains' implicit default class; 0
	// means 2.
	DefaultMinDevCount int
	// MinFreeMB is how many MiB must be free on a device that takes new files; 0
	// means 100, less than 0 that none need be.
	MinFreeMB int64
	// LocalNetwork is a network in the zone that this tracker is in. Clients are told the
	// devices of their own zone first then. Optional; the zero Prefix means that zones
	// make no difference.
	LocalNetwork netip.Prefix
	// ConnTimeout bounds connecting to storage nodes, NodeTimeout each wait for their
	// answers, and all waiting of a get_paths; 0 means 2 s.
	ConnTimeout, NodeTimeout time.Duration
	// MgmtPort is the side channel's port on all storage nodes; 0 means 7501.
	MgmtPort uint16
	// Hostname is what the database calls this tracker when it runs a check or a
	// rebalance. Optional; empty means what the system calls the machine, as peers do.
	Hostname string
	// Disks is the storage nodes of this process, whose files are looked at without
	// asking. Optional; nil means that all nodes are elsewhere.
	Disks node.Disks
	// Changed is called when what a key means, or where its copies are, has changed
	// through this tracker. Optional; nil means nobody is told.
	Changed func(domain mogile.DomainName, key mogile.Key)
	// Tally is where is counted what is done; nil means that nobody wants to know.
	Tally  *tally.Tracker
	Logger *zap.Logger
}

// Validate names the first field that can't be, and what it can. It does not ask for
// what only New needs: the store and the logger.
func (c Config) Validate() error {
	for name, n := range c.Workers {
		if err := checkWorkers(job.Name(name), n); err != nil {
			return fmt.Errorf("workers: %w", err)
		}
	}
	switch {
	case c.CopiesPerDevice < 0 || c.CopiesPerDevice > job.MaxWorkers:
		return fmt.Errorf("%d copies per device: want 1 to %d, or 0 for the default", c.CopiesPerDevice, job.MaxWorkers)
	case c.DefaultMinDevCount < 0 || c.DefaultMinDevCount > maxMinDevCount:
		return fmt.Errorf("default mindevcount is %d: want 1 to %d, or 0 for the default", c.DefaultMinDevCount, maxMinDevCount)
	case c.ConnTimeout < 0:
		return fmt.Errorf("conn timeout is %v: want more than 0, or 0 for the default", c.ConnTimeout)
	case c.NodeTimeout < 0:
		return fmt.Errorf("node timeout is %v: want more than 0, or 0 for the default", c.NodeTimeout)
	}
	return nil
}

func checkWorkers(name job.Name, n int) error {
	if name != queryWorker {
		return job.CheckWorkers(name, n)
	}
	if n < 1 || n > job.MaxWorkers {
		return fmt.Errorf("%d workers for %s: want 1 to %d", n, name, job.MaxWorkers)
	}
	return nil
}

// minFreeMB translates to a convention where 0 means none.
func (c Config) minFreeMB() int64 {
	if c.MinFreeMB == 0 {
		return defaultMinFreeMB
	}
	return max(c.MinFreeMB, 0)
}

// Tracker is a running tracker.
type Tracker struct {
	store    store.Store
	topology *topology.Live
	nodes    *node.Client
	jobs     *job.Jobs
	commands *command.Commands
	lines    *lineServer
	declared atomic.Pointer[Declaration] // the last that was applied; nil: none
	log      *zap.Logger

	closing  sync.Once
	closeErr error // set by closing
}

// New reads the topology and starts the jobs. It does not listen; see [Tracker.Serve].
// On an error the store is not closed.
func New(config Config) (*Tracker, error) {
	if err := config.Validate(); err != nil {
		return nil, fmt.Errorf("tracker: %w", err)
	}
	if config.Store == nil || config.Logger == nil {
		return nil, errors.New("tracker: store or logger is missing")
	}
	live := topology.New(config.Store, topology.Config{
		DefaultMinDevCount: config.DefaultMinDevCount, MinFreeMB: config.minFreeMB(), Local: config.LocalNetwork.Addr(),
	})
	ctx, cancel := context.WithTimeout(context.Background(), startTime)
	defer cancel()
	if err := live.Reload(ctx); err != nil {
		return nil, fmt.Errorf("tracker: %w", err)
	}
	if config.Access == nil {
		local := new(Access)
		config.Access = func() *Access { return local }
	}
	if config.Tally == nil {
		config.Tally = new(tally.Tracker)
	}
	watchers := newWatchers()
	config.Logger = watchers.tap(config.Logger)
	t := &Tracker{store: config.Store, topology: live, log: config.Logger}
	t.nodes = node.New(node.Config{
		ConnTimeout: config.ConnTimeout, NodeTimeout: config.NodeTimeout, Management: config.MgmtPort, Disks: config.Disks,
		SkipMKCOL: func() bool { return isOn(live.Snapshot().Setting("skip_mkcol")) },
	})
	t.jobs = job.New(job.Config{
		Store: config.Store, Topology: live, Nodes: t.nodes,
		Workers: workers(config.Workers), CopiesPerDevice: config.CopiesPerDevice, Hostname: config.Hostname,
		Changed: config.Changed, Tally: config.Tally, Logger: config.Logger,
	})
	t.commands = command.New(command.Config{
		Store: config.Store, Topology: live, Nodes: t.nodes, Jobs: t.jobs,
		Changed: config.Changed, ValidPolicy: validPolicy(live), Logger: config.Logger,
		Hostname: config.Hostname, NodeTimeout: config.NodeTimeout,
	})
	t.lines = newLineServer(lineConfig{
		commands: t.commands, staff: t.jobs, watchers: watchers, access: config.Access,
		log: config.Logger, tally: config.Tally, limits: limits{commands: config.Workers[string(queryWorker)]},
	})
	t.jobs.Start()
	return t, nil
}

func workers(named map[string]int) map[job.Name]int {
	typed := make(map[job.Name]int, len(named))
	for name, n := range named {
		if job.Name(name) != queryWorker {
			typed[job.Name(name)] = n
		}
	}
	return typed
}

// isOn reads a boolean setting, which is stored as 0 or 1.
func isOn(setting string) bool { return setting != "" && setting != "0" }

// Serve answers clients of the listener until it or the tracker is closed, which is not
// an error. It may be called for any number of listeners.
func (t *Tracker) Serve(ln net.Listener) error { return t.lines.Serve(ln) }

// Commands are the commands as typed calls.
func (t *Tracker) Commands() *command.Commands { return t.commands }

// Close stops answering, then working, then closes the store. Calling it twice is
// harmless.
func (t *Tracker) Close() error {
	t.closing.Do(func() {
		t.lines.Close()
		t.jobs.Close()
		t.nodes.Close()
		if err := t.store.Close(); err != nil {
			t.closeErr = fmt.Errorf("close tracker: %w", err)
		}
	})
	return t.closeErr
}
