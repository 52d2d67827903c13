package job

import (
	"context"
	"fmt"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/checker"
	"github.com/mogilefs/caddy-mogilefs/tracker/crew"
	"github.com/mogilefs/caddy-mogilefs/tracker/policy"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
	"github.com/mogilefs/caddy-mogilefs/tracker/topology"
)

// inspector has files checked, row by row.
type inspector struct {
	checker *checker.Checker
	store   checker.Store
	rand    func() float64
	log     *zap.Logger
}

// newInspector is told whom to wake when there is something to replicate.
func newInspector(config Config, wake func()) *inspector {
	log := config.Logger.With(zap.String("job", string(Fsck)))
	lock := func(ctx context.Context, fid mogile.FID) (func(), error) {
		return config.Store.Lock(ctx, lockOf(fid), lockWait)
	}
	return &inspector{
		checker: checker.New(checker.Config{
			Store: config.Store, Topology: config.Topology, Nodes: config.Nodes,
			Lock: lock, Content: content, Changed: config.Changed, Wake: wake,
			Rand: config.Rand, Logger: log,
		}),
		store: config.Store, rand: config.Rand, log: log,
	}
}

// content reports whether a class's policy is content with copies on some devices.
func content(snap *topology.Snapshot, class mogile.Class, on []mogile.DevID) (bool, error) {
	p, err := policy.Parse(class.Policy)
	if err != nil {
		return false, err
	}
	return p.Decide(facts(snap, class, on, nil, nil)).Verdict == policy.AllGood, nil
}

// queue is the files to be checked.
func (i *inspector) queue() crew.Source {
	return crew.Source{
		Queue: store.FsckQueue, Do: i.do,
		Load: func(ctx context.Context, fids []mogile.FID) (map[mogile.FID]store.Known, error) {
			return i.store.LoadFiles(ctx, fids...)
		},
	}
}

// do checks one file. What can't be checked now is tried again, ever more rarely. (The peer
// tries again every quarter of an hour, for ever.)
func (i *inspector) do(ctx context.Context, w crew.Work) (crew.Outcome, error) {
	file := w.Known
	if !w.Fresh() {
		known, err := i.store.LoadFiles(ctx, w.FID)
		if err != nil {
			return crew.Outcome{}, fmt.Errorf("fsck: %w", err)
		}
		file = known[w.FID]
	}
	if file.FID == 0 { // no visible file
		return crew.Outcome{Fate: crew.Finished}, nil
	}
	stalled, err := i.checker.Check(ctx, w.Item, file)
	switch {
	case err != nil:
		return crew.Outcome{}, fmt.Errorf("fsck: %w", err)
	case stalled != "":
		out := crew.Outcome{Fate: crew.Postponed, Delay: crew.Backoff(w.FailCount, i.rand)}
		i.log.Info("file is not checked", zap.Stringer("fid", w.FID), zap.String("because", string(stalled)),
			zap.Duration("again in", out.Delay))
		return out, nil
	}
	return crew.Outcome{Fate: crew.Finished}, nil
}
