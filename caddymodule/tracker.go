package caddymodule

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/caddymodule/metrics"
	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

const (
	defaultTrackerPort   = 7001
	defaultTrackerListen = "127.0.0.1:7001"
)

// Tracker configures the tracker of this process.
type Tracker struct {
	// Where MogileFS clients connect. An address that begins with `tls://` takes
	// encrypted connections only; see `tls`. The port may be left out. Default:
	// `127.0.0.1:7001`.
	Listen []string `json:"listen,omitempty"`

	// How connections to addresses with `tls://` are encrypted, and which clients
	// have to show a certificate.
	TLS *TrackerTLS `json:"tls,omitempty"`

	TrackerAccess

	// Where the metadata is kept. Default: SQLite in `data/mogilefs.db`.
	DatabaseRaw json.RawMessage `json:"database,omitempty" caddy:"namespace=mogilefs.database inline_key=engine"`

	// How many of each job run at the same time: `replicate` (default 32),
	// `delete` (default 16) and `fsck` (default 8). The job `queryworker` is answering clients: how many
	// of their requests are carried out at the same time (default 256).
	Workers map[string]int `json:"workers,omitempty"`

	// The tunables of mogilefsd.conf, by their names there:
	//
	//   - `min_free_space`: a device with less free space gets no new files; a
	//     number is MiB, a size such as `100MiB` works too, 0 means none. Default:
	//     100.
	//   - `default_mindevcount`: copies of files whose class does not say.
	//     Default: 2.
	//   - `copies_per_device`, which only this tracker has: how many copies
	//     replication and rebalance read from and write to one device at a time; of
	//     files of 1 MiB and more at most two. Default: 8.
	//   - `node_timeout`, `conn_timeout`: how long to wait for an answer and
	//     for a connection of a storage node; a number is seconds. Default: 2.
	//   - `local_network`: an address or a network of the network zone that this
	//     tracker is in. Clients are told the devices of their own zone first then,
	//     as with the plugin ZoneLocal. Default: zones make no difference.
	//   - `mogstored_stream_port`: the side channel's port on every node.
	//     Default: 7501.
	Settings map[string]string `json:"settings,omitempty"`

	config  tracker.Config
	tallies *metrics.Tallies
	db      Database
	changes *changes
	key     string // tells this tracker from one with other settings
	shared  *shared[*tracker.Tracker]
	live    *liveParts
}

// provision checks the settings and takes a reference to the tracker, so that it
// lives on over a reload that leaves this config as it was.
func (t *Tracker) provision(ctx caddy.Context, r *refs, to *metrics.Tallies) error {
	t.tallies = to
	if len(t.Listen) == 0 {
		t.Listen = []string{defaultTrackerListen}
	}
	for _, addr := range t.Listen {
		if _, err := parseListen(plainAddress(addr), defaultTrackerPort); err != nil {
			return fmt.Errorf("listen on %s: %w", addr, err)
		}
	}
	if err := t.TrackerAccess.provision(); err != nil {
		return err
	}
	if err := t.provisionTLS(ctx); err != nil {
		return fmt.Errorf("tls: %w", err)
	}
	if err := t.loadDatabase(ctx); err != nil {
		return err
	}
	if err := t.loadSettings(); err != nil {
		return err
	}
	t.config.Workers = t.Workers
	if err := t.config.Validate(); err != nil {
		return err
	}
	return t.reference(r)
}

func (t *Tracker) loadDatabase(ctx caddy.Context) error {
	if t.DatabaseRaw == nil {
		t.DatabaseRaw = caddyconfig.JSONModuleObject(new(SQLite), "engine", "sqlite", nil)
	}
	mod, err := ctx.LoadModule(t, "DatabaseRaw")
	if err != nil {
		return fmt.Errorf("database: %w", err)
	}
	t.db = mod.(Database)
	return nil
}

// reference takes the tracker, its live parts and its change hub out of the pool.
//
// The hub is known by the database alone: while a reload that changes the
// tracker's settings has two trackers running side by side, a change made through
// either reaches the caches of both configs.
func (t *Tracker) reference(r *refs) error {
	var err error
	t.changes, err = load(r, poolKey{"changes", t.db.Identity()}, func() (*changes, error) { return new(changes), nil })
	if err != nil {
		return err
	}
	settings, err := json.Marshal([]any{t.db, t.Workers, t.Settings})
	if err != nil {
		return err
	}
	// The database's part may hold a password, and keys may be shown.
	t.key = fmt.Sprintf("%s %x", t.db.Identity(), sha256.Sum256(settings))
	t.live, err = load(r, poolKey{"live", t.key}, func() (*liveParts, error) { return new(liveParts), nil })
	if err != nil {
		return err
	}
	t.shared, err = load(r, poolKey{"tracker", t.key}, func() (*shared[*tracker.Tracker], error) {
		return newShared(t.build), nil
	})
	return err
}

// build opens the database, waits for it if it has to, and starts the tracker on it.
func (t *Tracker) build(ctx context.Context, log *zap.Logger) (*tracker.Tracker, error) {
	st, err := tracker.Await(ctx, log, func(ctx context.Context) (store.Store, error) { return t.db.Open(ctx, log) })
	if err != nil {
		return nil, err
	}
	watch(st, &t.tallies.Database)
	config := t.config
	config.Store, config.Changed, config.Access, config.Logger = st, t.changes.tell, t.live.access.get, log
	config.Tally, config.Disks = &t.tallies.Tracker, t.live
	built, err := tracker.New(config)
	if err != nil {
		return nil, errors.Join(err, st.Close())
	}
	return built, nil
}

// listen opens the ports that no earlier config of the same tracker had opened, and has
// this config decide who comes in through them.
func (t *Tracker) listen(ctx context.Context, built *tracker.Tracker, r *refs) error {
	log := t.shared.log.Logger
	t.warnOfAccess(log)
	r.onRelease(t.live.access.use(t.access(log)))
	if t.TLS != nil {
		if err := t.TLS.manage(); err != nil {
			return fmt.Errorf("tls: %w", err)
		}
		r.onRelease(t.live.tls.use(t.TLS.config))
	}
	for _, addr := range t.Listen {
		on := listenOn{addr: addr, port: defaultTrackerPort, owner: "tracker " + t.key, log: log, tls: t.live.tls.get}
		if err := listenShared(ctx, r, on, built.Serve); err != nil {
			return fmt.Errorf("listen on %s: %w", addr, err)
		}
	}
	return nil
}

// plainAddress is where an address is, whatever is spoken there.
func plainAddress(addr string) string { return strings.TrimPrefix(addr, tlsPrefix) }

// liveParts is what a tracker has of the configs that run, so that a reload changes it while
// the tracker and its clients go on: how clients come in, and which disks are here.
type liveParts struct {
	access newest[tracker.Access]
	tls    newest[tls.Config]
	disks  newest[localDisks]
}

// Destruct has nothing to close: every config took its own along.
func (l *liveParts) Destruct() error { return nil }

// Size looks at the disks that are here now.
func (l *liveParts) Size(url string) (n int64, here bool, err error) {
	if disks := l.disks.get(); disks != nil {
		return disks.Size(url)
	}
	return 0, false, nil
}

// changes tells every cache of this process that a key means something else now.
type changes struct {
	mu        sync.RWMutex // guards listeners
	listeners map[*func(mogile.DomainName, mogile.Key)]struct{}
}

// tell calls all listeners; they must be quick and must not call back.
func (c *changes) tell(domain mogile.DomainName, key mogile.Key) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	for f := range c.listeners {
		(*f)(domain, key)
	}
}

// listen has f called at every change until stop is called.
func (c *changes) listen(f func(mogile.DomainName, mogile.Key)) (stop func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.listeners == nil {
		c.listeners = map[*func(mogile.DomainName, mogile.Key)]struct{}{}
	}
	c.listeners[&f] = struct{}{}
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.listeners, &f)
	}
}

// Destruct has nothing to close: every listener removed itself.
func (c *changes) Destruct() error { return nil }
