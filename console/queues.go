package console

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/mogilefs/caddy-mogilefs/tracker/protocol"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

// Queues is what waits for the tracker's jobs, by their names.
type Queues struct {
	Replicate Queue `json:"replicate"`
	Delete    Queue `json:"delete"`
	Fsck      Queue `json:"fsck"`
	Rebalance Queue `json:"rebalance"`
}

// Queue is how many rows a queue has.
type Queue struct {
	// Waiting rows are to be worked on, Due of them now; the others are in hand, or were
	// tried in vain: those that were so several times are Failing.
	Waiting int64 `json:"waiting"`
	Due     int64 `json:"due"`
	Failing int64 `json:"failing"`
	// Parked rows are not tried any more.
	Parked int64 `json:"parked"`
}

// Queues counts what waits. That takes the database a while when there are millions of
// rows.
func (c *Console) Queues(ctx context.Context) (q Queues, err error) {
	if c.config.Here == nil {
		return q, c.notHere()
	}
	for _, one := range []struct {
		name store.QueueName
		to   *Queue
	}{
		{store.ReplicateQueue, &q.Replicate}, {store.DeleteQueue, &q.Delete},
		{store.FsckQueue, &q.Fsck}, {store.RebalanceQueue, &q.Rebalance},
	} {
		l, err := c.config.Here.QueueLength(ctx, one.name)
		if err != nil {
			return q, asError(err)
		}
		*one.to = Queue(l)
	}
	return q, nil
}

func (c *Console) notHere() error {
	if c.config.Trackers == nil {
		return &Error{http.StatusServiceUnavailable, errNoTracker}
	}
	return &Error{http.StatusNotImplemented, errNotHere}
}

// Jobs is what the tracker of this process does.
type Jobs struct {
	Jobs     []Job    `json:"jobs"`
	Requests Requests `json:"requests"`
}

// Job is one of its jobs.
type Job struct {
	Name string `json:"job"`
	// Count is how many work at it, Desired how many should.
	Count   int `json:"count"`
	Desired int `json:"desired"`
	// Queued rows are in this process and wait for a worker; Done is how many have ever
	// been handed to one.
	Queued int64 `json:"queued"`
	Done   int64 `json:"done"`
}

// Requests is what clients ask it over the line protocol.
type Requests struct {
	UptimeSeconds int64 `json:"uptime_seconds"`
	Pending       int   `json:"pending"`
	Processing    int   `json:"processing"`
	Queries       int64 `json:"queries"`
	Connections   int   `json:"connections"`
}

// Jobs lists the jobs of the tracker of this process.
func (c *Console) Jobs(ctx context.Context) (j Jobs, err error) {
	if c.config.Here == nil {
		return j, c.notHere()
	}
	all, err := c.config.Here.Jobs(ctx)
	if err != nil {
		return j, asError(err)
	}
	for _, s := range all {
		j.Jobs = append(j.Jobs, Job{string(s.Name), s.Count, s.Desired, s.Queued, s.Sent})
	}
	t, err := c.config.Here.Traffic(ctx)
	if err != nil {
		return j, asError(err)
	}
	j.Requests = Requests{int64(t.Uptime / time.Second), t.Pending, t.Processing, t.Queries, t.Connections}
	return j, nil
}

// Want is how many are to work at a job of this process, until it ends.
type Want struct {
	Job     string `json:"job"`
	Workers *int   `json:"workers"`
}

// Want changes how many work at a job.
func (c *Console) Want(ctx context.Context, w Want) (Jobs, error) {
	switch {
	case c.config.Here == nil:
		return Jobs{}, c.notHere()
	case w.Workers == nil:
		return Jobs{}, refuse(http.StatusBadRequest, "workers are missing: say how many are to work at the job")
	}
	if err := c.config.Here.Want(ctx, w.Job, *w.Workers); err != nil {
		if errors.Is(err, ErrBadInput) {
			return Jobs{}, &Error{http.StatusBadRequest, err}
		}
		return Jobs{}, asError(err)
	}
	return c.Jobs(ctx)
}

// Released is how many rows of a queue were made due.
type Released struct {
	Count int64 `json:"count"`
}

// ReplicateNow has all that waits to be replicated tried at once, what was given up too.
func (c *Console) ReplicateNow(ctx context.Context) (Released, error) {
	v, err := c.do(ctx, "replicate_now")
	return Released{protocol.Num(v["count"])}, err
}
