package caddymodule

import (
	"context"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/mogilefs/caddy-mogilefs/caddymodule/metrics"
	"github.com/mogilefs/caddy-mogilefs/storage"
	"github.com/mogilefs/caddy-mogilefs/tally"
	"github.com/mogilefs/caddy-mogilefs/tracker"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

// pooledTallies is what the process counts, which goes on over reloads.
type pooledTallies struct{ metrics.Tallies }

var _ caddy.Destructor = (*pooledTallies)(nil)

// Destruct has nothing to close.
func (*pooledTallies) Destruct() error { return nil }

// talliesOf finds or makes the one count of the process.
func talliesOf(r *refs) (*metrics.Tallies, error) {
	t, err := load(r, poolKey{kind: "tallies"}, func() (*pooledTallies, error) { return new(pooledTallies), nil })
	if err != nil {
		return nil, err
	}
	return &t.Tallies, nil
}

// provisionMetrics enters what the process counts, and how the parts of this config are, in the registry
// that is the config's.
func (a *App) provisionMetrics(ctx caddy.Context) error {
	if a.Tracker != nil {
		a.queues = metrics.NewQueues(a.countQueues, a.log.Named("tracker"))
	}
	return ctx.GetMetricsRegistry().Register(metrics.New(a.tallies, a.view, a.queues))
}

// opened is a part that is open, or the zero T.
func opened[T interface{ Close() error }](s *shared[T]) (value T, ok bool) {
	select {
	case <-s.ready:
		return s.value, true
	default:
		return value, false
	}
}

// view is how the parts are now.
func (a *App) view() metrics.View {
	v := metrics.View{Storage: map[string][]storage.DeviceStats{}}
	if v.HasTracker = a.Tracker != nil; v.HasTracker {
		if t, ok := opened(a.Tracker.shared); ok {
			now := t.Stats()
			v.Tracker = &now
		}
	}
	for name, n := range a.Storage {
		if node, ok := opened(n.shared); ok {
			v.Storage[name] = node.Stats()
		}
	}
	pool.Range(func(_, value any) bool {
		switch p := value.(type) {
		case *pooledLocations:
			v.Locations = append(v.Locations, p.Usage())
		case pooledContents:
			v.Contents = append(v.Contents, p.Usage())
		case *pooledBoard:
			v.Nodes = p.Status()
		}
		return true
	})
	return v
}

func (a *App) countQueues(ctx context.Context) (tracker.Queues, error) {
	t, err := a.Tracker.shared.get(ctx)
	if err != nil {
		return nil, err
	}
	return t.Queues(ctx)
}

// keepQueues counts the queues for those who scrape, until r is released.
func (a *App) keepQueues(r *refs) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	a.counting.Go(func() {
		defer close(ended)
		a.queues.Run(ctx)
	})
	r.onRelease(func() {
		cancel()
		<-ended
	})
}

// watch has accesses to a database counted, and shown in traces.
func watch(st store.Store, to *tally.Database) {
	o, ok := st.(store.Observed)
	if !ok {
		return
	}
	o.Observe(func(ctx context.Context, kind string) func(error) {
		began := time.Now()
		_, end := startSpan(ctx, "database "+kind)
		return func(trouble error) {
			end(trouble)
			to.Accesses.At(tally.Access{Kind: kind, Failed: trouble != nil}).Observe(time.Since(began))
		}
	})
}
