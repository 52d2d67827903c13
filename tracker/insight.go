package tracker

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/job"
	"github.com/mogilefs/caddy-mogilefs/tracker/protocol"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

// What a process shows of its own tracker, beside what the protocol has words for.

// Do carries out a command of the line protocol. A refusal is a [*protocol.Error].
func (t *Tracker) Do(ctx context.Context, command string, args protocol.Pairs) (protocol.Values, error) {
	req := protocol.Parse(bytes.TrimRight(protocol.AppendRequest(nil, command, args), "\r\n"))
	return protocol.ParseReply(t.commands.Run(ctx, req, netip.Addr{}).Append(nil, req))
}

// HostsReachable is what the monitor last saw of each host; one that it has not looked at
// is missing.
func (t *Tracker) HostsReachable() map[mogile.HostID]bool {
	seen := map[mogile.HostID]bool{}
	for _, d := range t.topology.Snapshot().Devices() {
		if d.HostReachable || d.Seen.State != "" {
			seen[d.Host] = d.HostReachable
		}
	}
	return seen
}

// Traffic is what clients have asked and ask of the tracker.
type Traffic struct {
	// Uptime is since the tracker began.
	Uptime time.Duration
	// Pending requests wait for one of the Processing to finish; Queries came in all.
	Pending, Processing int
	Queries             int64
	Connections         int
}

// Traffic counts requests that came over the line protocol.
func (t *Tracker) Traffic() Traffic {
	now := t.lines.gate.traffic()
	return Traffic{
		Uptime: time.Since(t.lines.started), Pending: now.pending, Processing: now.processing, Queries: now.queries,
		Connections: t.lines.connections(),
	}
}

// Jobs lists the jobs by name, that of answering clients among them.
func (t *Tracker) Jobs() []job.Status { return t.lines.jobs() }

func (s *lineServer) jobs() []job.Status {
	places := s.gate.capacity()
	jobs := append(s.staff.Status(), job.Status{Name: queryWorker, Count: places, Desired: places})
	slices.SortFunc(jobs, func(a, b job.Status) int { return strings.Compare(string(a.Name), string(b.Name)) })
	return jobs
}

// Want changes how many of a job work at once, as !want does: until the end of the process.
// The error says which jobs and numbers there are.
func (t *Tracker) Want(name string, n int) error {
	switch {
	case job.Name(name) != queryWorker && !slices.Contains(job.Names(), job.Name(name)):
		return fmt.Errorf("no job is called %q: there are %s", name, jobList())
	case n < 0 || n > job.MaxWorkers:
		return fmt.Errorf("%d workers for %s: want 0 to %d", n, name, job.MaxWorkers)
	}
	t.lines.employ(job.Name(name), n)
	return nil
}

// employ changes the number of workers of a job that there is.
func (s *lineServer) employ(name job.Name, n int) {
	if name == queryWorker {
		s.gate.resize(n)
		return
	}
	s.staff.Want(name, n)
}

// QueueLength is how many rows a queue has.
type QueueLength struct {
	// Waiting rows are to be worked on, Due of them now. The others are in hand, or were
	// tried in vain; so many times that they are not due for long, Failing of them.
	Waiting, Due, Failing int64
	// Parked rows are due never: somebody has to look at them.
	Parked int64
}

// longestClaim is beyond the lease of every job: a row that is due later than that is in
// nobody's hands, but was tried in vain and has to wait.
const longestClaim = 20 * time.Minute

// QueueLength counts the rows of a queue. That takes the database a while when there are
// millions.
func (t *Tracker) QueueLength(ctx context.Context, q store.QueueName) (l QueueLength, err error) {
	counts := map[time.Duration]int64{0: 0, longestClaim: 0, math.MaxInt64: 0}
	for within := range counts {
		if counts[within], err = t.store.DueWithin(ctx, q, within); err != nil {
			return l, err
		}
	}
	l.Parked, err = t.store.Parked(ctx, q)
	l.Waiting, l.Due = counts[math.MaxInt64], counts[0]
	l.Failing = max(l.Waiting-counts[longestClaim], 0) // they are of three moments
	return l, err
}
