package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/caddymodule/metrics"
	"github.com/mogilefs/caddy-mogilefs/tracker"
)

func init() {
	caddy.RegisterModule(new(App))
	caddy.RegisterModule(new(SQLite))
	caddy.RegisterModule(new(MySQL))
	caddy.RegisterModule(new(Postgres))
	caddy.RegisterModule(new(Handler))
	caddy.RegisterModule(new(Admin))
	caddy.RegisterModule(new(StorageHandler))
	caddy.RegisterModule(new(Dashboard))
}

// App is MogileFS in this process: a tracker, storage nodes, and the domains and
// classes that should exist. Each part is optional; an edge in front of other
// machines needs none of them.
type App struct {
	// The tracker: metadata, the line protocol that MogileFS clients speak, and
	// the jobs that keep every file at its number of copies. Without it this
	// process is no tracker.
	Tracker *Tracker `json:"tracker,omitempty"`

	// The storage nodes, by the names that their hosts have in the tracker.
	Storage map[string]*StorageNode `json:"storage,omitempty"`

	// Domains that must exist, by name. They are created or changed when the
	// tracker's database differs, and never deleted.
	Domains map[string]*Domain `json:"domains,omitempty"`

	ctx     caddy.Context // for Start, which is given none
	log     *zap.Logger
	wanted  tracker.Declaration
	site    site
	onStart []func()
	refs    refs // held from Provision to Cleanup
	started refs // held from Start to Stop

	tallies  *metrics.Tallies
	queues   *metrics.Queues // nil without a tracker
	counting sync.WaitGroup  // the goroutine of queues
}

// CaddyModule returns the Caddy module information.
func (*App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "mogilefs",
		New: func() caddy.Module { return new(App) },
	}
}

// Provision sets up the app without touching a disk, a database or a port.
func (a *App) Provision(ctx caddy.Context) error {
	a.ctx, a.log = ctx, ctx.Logger()
	var err error
	if a.tallies, err = talliesOf(&a.refs); err != nil {
		return err
	}
	if a.Tracker != nil {
		if err := a.Tracker.provision(ctx, &a.refs, a.tallies); err != nil {
			return fmt.Errorf("tracker: %w", err)
		}
	}
	for _, name := range a.nodeNames() {
		if err := a.Storage[name].provision(ctx, name, &a.refs, a.tallies); err != nil {
			return fmt.Errorf("storage %s: %w", name, err)
		}
		if err := a.Storage[name].fenced(a.Tracker, a.log.Named("storage").With(zap.String("node", name))); err != nil {
			return fmt.Errorf("storage %s: %w", name, err)
		}
	}
	if a.wanted, err = a.declaration(); err != nil {
		return err
	}
	return a.provisionMetrics(ctx)
}

// Validate refuses what can't work together.
func (a *App) Validate() error {
	if a.Tracker == nil && len(a.Domains) > 0 {
		return errors.New("domains are declared, but there is no tracker in this process to declare them to: add a tracker block")
	}
	if err := a.wanted.Validate(); err != nil {
		return err
	}
	taken := owners{}
	if a.Tracker != nil {
		for _, addr := range a.Tracker.Listen {
			if err := taken.port("tracker", plainAddress(addr), defaultTrackerPort); err != nil {
				return err
			}
		}
	}
	for _, name := range a.nodeNames() {
		if err := a.Storage[name].conflict(name, a.Tracker != nil, taken); err != nil {
			return err
		}
	}
	return nil
}

// owners says who has what only one may have.
type owners map[string]string

func (o owners) take(who, what string) error {
	if other, taken := o[what]; taken {
		return fmt.Errorf("%s belongs to both %s and %s: give one of them another", what, other, who)
	}
	o[what] = who
	return nil
}

// port is needed because the system lets one process open a port twice, and then
// deals the connections out between the two.
func (o owners) port(who, addr string, port uint) error {
	parsed, err := parseListen(addr, port)
	if err != nil {
		return err
	}
	return o.take(who, "listening address "+parsed.String())
}

// Start opens what no earlier config had opened, applies the declared setup, and
// listens.
//
// Order: storage nodes first, so that the tracker's first look at its devices
// finds them; then the tracker, the declarations, and last the tracker's port, so
// that the first client finds everything in place.
func (a *App) Start() error {
	ctx := context.Background()
	a.warnOfHosts(a.ctx)
	for _, name := range a.nodeNames() {
		if err := a.Storage[name].start(ctx, a.log.Named("storage").With(zap.String("node", name)), &a.started); err != nil {
			return a.abort(fmt.Errorf("storage %s: %w", name, err))
		}
	}
	if a.Tracker != nil {
		disks := a.disks()
		a.started.onRelease(a.Tracker.live.disks.use(&disks))
		if err := a.startTracker(ctx); err != nil {
			return a.abort(err)
		}
	}
	for _, start := range a.onStart {
		start()
	}
	return nil
}

func (a *App) startTracker(ctx context.Context) error {
	t, err := a.Tracker.shared.start(ctx, a.log.Named("tracker"), &a.started)
	if err != nil {
		return fmt.Errorf("tracker: %w", err)
	}
	if err := a.declare(ctx, t); err != nil {
		return fmt.Errorf("declared setup: %w", err)
	}
	a.keepQueues(&a.started)
	if err := a.Tracker.listen(ctx, t, &a.started); err != nil {
		return fmt.Errorf("tracker: %w", err)
	}
	return nil
}

// declare applies the declared setup. That it can't be looked at is no reason to refuse
// a config that declares what the one before it had: while the database is away, sites
// and certificates have to be changed, too.
func (a *App) declare(ctx context.Context, t *tracker.Tracker) error {
	err := t.Declare(ctx, a.wanted)
	if err != nil && t.HasDeclared(a.wanted) {
		a.log.Warn("declared setup was not compared with the database; it is unchanged since it was applied", zap.Error(err))
		return nil
	}
	return err
}

// abort undoes a Start that failed half-way; Caddy calls Stop only on apps whose
// Start succeeded.
func (a *App) abort(err error) error {
	return errors.Join(err, a.started.release())
}

// Stop gives up the listeners. Whoever else uses them goes on.
func (a *App) Stop() error { return a.started.release() }

// Cleanup gives up the long-lived parts.
func (a *App) Cleanup() error { return a.refs.release() }

func (a *App) nodeNames() []string { return slices.Sorted(maps.Keys(a.Storage)) }

// declaration is what the config wants the tracker's database to hold.
func (a *App) declaration() (tracker.Declaration, error) {
	var d tracker.Declaration
	for _, name := range slices.Sorted(maps.Keys(a.Domains)) {
		domain, err := a.Domains[name].declaration(name)
		if err != nil {
			return d, err
		}
		d.Domains = append(d.Domains, domain)
	}
	for _, name := range a.nodeNames() {
		if n := a.Storage[name]; n.Register {
			n.declare(name, &d)
		}
	}
	return d, nil
}

var (
	_ caddy.App          = (*App)(nil)
	_ caddy.Provisioner  = (*App)(nil)
	_ caddy.Validator    = (*App)(nil)
	_ caddy.CleanerUpper = (*App)(nil)
)
