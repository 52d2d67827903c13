package live

import (
	"context"
	"time"

	"github.com/mogilefs/caddy-mogilefs/console"
)

// run looks until Close.
func (l *Live) run() {
	k := &looker{live: l, journal: journal{since: map[string]Lasting{}}}
	for l.ctx.Err() == nil {
		k.look()
		wait := time.NewTimer(l.interval())
		select {
		case <-wait.C:
		case <-l.woken:
		case <-l.ctx.Done():
		}
		wait.Stop()
	}
}

func (l *Live) interval() time.Duration {
	if l.watched() {
		return lookEvery
	}
	return sampleEvery
}

func (l *Live) watched() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.watchers > 0
}

// looker is what the loop remembers from one look to the next.
type looker struct {
	live    *Live
	last    State // with what is known still, when the trackers are away
	journal journal
	counted pace
	sampled time.Time
}

// pace says when to count again.
type pace struct{ due time.Time }

// took says how long counting took, which began at a time.
func (p *pace) took(begin time.Time, every time.Duration) {
	p.due = begin.Add(max(every, maxShare*time.Since(begin)))
}

// look looks once.
func (k *looker) look() {
	source := k.live.source()
	if source == nil {
		return
	}
	ctx, cancel := context.WithTimeout(k.live.ctx, lookTime)
	defer cancel()
	s := &k.last
	s.Process = source.Process()
	t, trouble := source.Topology(ctx)
	if trouble == nil {
		sums := t.Sums()
		s.Topology, s.Cluster = &t, &sums
		if k.live.stale.Swap(false) || !time.Now().Before(k.counted.due) {
			trouble = k.count(ctx, source)
		}
	}
	if k.live.ctx.Err() != nil {
		return
	}
	found := console.Find(console.Facts{
		Trouble: trouble, Topology: s.Topology, Queues: s.Queues, Fsck: s.Fsck, Growing: k.live.growing(),
	})
	s.Health = console.HealthOf(found)
	s.Problems, s.Past = k.journal.enter(found, time.Now())
	k.live.publish(*s)
}

// count looks at what the database has to be asked for.
func (k *looker) count(ctx context.Context, source Source) error {
	begin, every := time.Now(), sampleEvery
	if k.live.watched() {
		every = countEvery
	}
	defer func() { k.counted.took(begin, every) }()
	s := &k.last
	if s.Process.Tracker {
		q, err := source.Queues(ctx)
		if err != nil {
			return err
		}
		j, err := source.Jobs(ctx)
		if err != nil {
			return err
		}
		s.Queues, s.Jobs = &q, &j
		k.sample(q)
	}
	f, err := source.Fsck(ctx)
	switch {
	case err == nil:
		f.Now = 0 // changes always, and says nothing
		s.Fsck = &f
	case !console.IsUntold(err):
		return err
	}
	r, err := source.Rebalance(ctx)
	switch {
	case err == nil:
		s.Rebal = &r
	case !console.IsUntold(err):
		return err
	}
	return nil
}

func (k *looker) sample(q console.Queues) {
	now := time.Now()
	if now.Sub(k.sampled) < sampleEvery {
		return
	}
	k.sampled = now
	k.live.add(Sample{
		Time: now.Unix(), Replicate: q.Replicate.Waiting + q.Replicate.Parked, Delete: q.Delete.Waiting + q.Delete.Parked,
		Fsck: q.Fsck.Waiting, Rebalance: q.Rebalance.Waiting,
	})
}
