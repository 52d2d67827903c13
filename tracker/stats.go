package tracker

import (
	"context"
	"fmt"
	"time"

	"github.com/mogilefs/caddy-mogilefs/tracker/job"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
	"github.com/mogilefs/caddy-mogilefs/tracker/topology"
)

// Stats is a tracker at one moment, for those who watch over it.
type Stats struct {
	// Connections is how many clients there are.
	Connections int
	// Pending is how many of their commands wait for their turn, Processing how many are carried out,
	// and Places how many may be at once.
	Pending, Processing, Places int
	// Jobs is the workers of all jobs.
	Jobs []job.Status
	// Topology is the hosts and devices, and what was seen of them.
	Topology *topology.Snapshot
	// Pool is the connections to the database; zero where that does not tell.
	Pool store.Pool
}

// Stats is that of now. It asks nobody and waits for nothing.
func (t *Tracker) Stats() Stats {
	traffic := t.lines.gate.traffic()
	var pool store.Pool
	if o, ok := t.store.(store.Observed); ok {
		pool = o.Pool()
	}
	return Stats{
		Connections: t.lines.connections(), Pending: traffic.pending, Processing: traffic.processing,
		Places: t.lines.gate.capacity(), Jobs: t.jobs.Status(), Topology: t.topology.Snapshot(), Pool: pool,
	}
}

// everDue is longer than any row waits for its next try; those that wait longer are parked.
const everDue = 30 * 24 * time.Hour

// Queues is how many files wait in each queue, by its job, without those that are parked.
type Queues map[string]int64

// Queues asks the database, which looks at all rows that wait: it takes as long as they are many.
func (t *Tracker) Queues(ctx context.Context) (Queues, error) {
	waiting := Queues{}
	for name, q := range map[string]store.QueueName{
		"replicate": store.ReplicateQueue, "delete": store.DeleteQueue, "fsck": store.FsckQueue, "rebalance": store.RebalanceQueue,
	} {
		n, err := t.store.DueWithin(ctx, q, everDue)
		if err != nil {
			return nil, fmt.Errorf("count the queue %s: %w", name, err)
		}
		waiting[name] = n
	}
	return waiting, nil
}
