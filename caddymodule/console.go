package caddymodule

import (
	"cmp"
	"context"
	"fmt"
	"runtime/debug"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/console"
	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker"
	"github.com/mogilefs/caddy-mogilefs/tracker/client"
	"github.com/mogilefs/caddy-mogilefs/tracker/job"
	"github.com/mogilefs/caddy-mogilefs/tracker/protocol"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

// site is what the handlers of a config tell its app, for the admin API and the dashboard.
// Caddy provisions one module after the other, and nothing is asked before all are.
type site struct {
	edges int
	// remote is the trackers that the first handler with remote ones asks.
	remote    *shared[*client.Client]
	addresses []string
}

// sees notes the trackers of other processes that a handler asks.
func (s *site) sees(remote *shared[*client.Client], addresses []string) {
	if s.remote == nil {
		s.remote, s.addresses = remote, addresses
	}
}

// console makes what answers for this config. The caller closes it.
func (a *App) console() *console.Console {
	c := console.Config{Storage: a.nodeNames(), Edges: a.site.edges, Version: version(), Purge: forget}
	switch {
	case a.Tracker != nil:
		here := localConsole{a.Tracker.shared}
		c.Trackers, c.Here = here, here
	case a.site.remote != nil:
		c.Trackers, c.Addresses = remoteConsole{a.site.remote}, a.site.addresses
	}
	return console.New(c)
}

// version is that of this plugin in the program.
func version() string {
	const path = "github.com/mogilefs/caddy-mogilefs"
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, dep := range info.Deps {
		if dep.Path == path {
			return dep.Version
		}
	}
	return cmp.Or(info.Main.Version, "unknown")
}

// localConsole is the tracker of this process as a console sees it.
type localConsole struct {
	shared *shared[*tracker.Tracker]
}

// remoteConsole is trackers of other processes.
type remoteConsole struct {
	shared *shared[*client.Client]
}

var (
	_ console.Trackers = localConsole{}
	_ console.Here     = localConsole{}
	_ console.Trackers = remoteConsole{}
)

// holding calls f with a part, which no reload closes meanwhile.
func holding[P interface{ Close() error }, T any](ctx context.Context, s *shared[P], f func(P) (T, error)) (T, error) {
	s.hold()
	defer func() {
		if err := s.letGo(); err != nil {
			s.log.Error("close what an earlier config had", zap.Error(err))
		}
	}()
	part, err := s.get(ctx)
	if err != nil {
		var zero T
		return zero, err
	}
	return f(part)
}

// Do carries out a command.
func (c localConsole) Do(ctx context.Context, command string, args protocol.Pairs) (protocol.Values, error) {
	return holding(ctx, c.shared, func(t *tracker.Tracker) (protocol.Values, error) { return t.Do(ctx, command, args) })
}

// HostsReachable is what the monitor saw.
func (c localConsole) HostsReachable(ctx context.Context) (map[mogile.HostID]bool, error) {
	return holding(ctx, c.shared, func(t *tracker.Tracker) (map[mogile.HostID]bool, error) { return t.HostsReachable(), nil })
}

// Traffic counts requests.
func (c localConsole) Traffic(ctx context.Context) (tracker.Traffic, error) {
	return holding(ctx, c.shared, func(t *tracker.Tracker) (tracker.Traffic, error) { return t.Traffic(), nil })
}

// Jobs lists the jobs.
func (c localConsole) Jobs(ctx context.Context) ([]job.Status, error) {
	return holding(ctx, c.shared, func(t *tracker.Tracker) ([]job.Status, error) { return t.Jobs(), nil })
}

// QueueLength counts the rows of a queue.
func (c localConsole) QueueLength(ctx context.Context, q store.QueueName) (tracker.QueueLength, error) {
	return holding(ctx, c.shared, func(t *tracker.Tracker) (tracker.QueueLength, error) { return t.QueueLength(ctx, q) })
}

// Want changes how many work at a job.
func (c localConsole) Want(ctx context.Context, name string, n int) error {
	_, err := holding(ctx, c.shared, func(t *tracker.Tracker) (struct{}, error) {
		if err := t.Want(name, n); err != nil {
			return struct{}{}, fmt.Errorf("%w: %w", console.ErrBadInput, err)
		}
		return struct{}{}, nil
	})
	return err
}

// Do has a tracker carry out a command.
func (c remoteConsole) Do(ctx context.Context, command string, args protocol.Pairs) (protocol.Values, error) {
	return holding(ctx, c.shared, func(t *client.Client) (protocol.Values, error) { return t.Do(ctx, command, args) })
}
