package console

import (
	"context"

	"golang.org/x/sync/errgroup"

	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// Health is all of an installation in a word.
type Health string

// What it can be.
const (
	OK      Health = "ok"
	Ailing  Health = "warning"
	Broken  Health = "critical"
	Unknown Health = "unknown"
)

// Status is an installation at a glance.
type Status struct {
	Health Health `json:"health"`
	// Problems is the worst first.
	Problems []Problem `json:"problems"`
	Cluster  *Cluster  `json:"cluster"` // null when no tracker answers
	Process  Process   `json:"process"`
}

// Cluster is sums over hosts and devices that are not given up.
type Cluster struct {
	Hosts   Sum   `json:"hosts"`
	Devices Sum   `json:"devices"`
	MBTotal int64 `json:"mb_total"`
	MBUsed  int64 `json:"mb_used"`
	Domains int   `json:"domains"`
	Takes   int   `json:"devices_taking_files"`
}

// Sum is how many there are, and how many of them can be used.
type Sum struct {
	All int `json:"all"`
	Up  int `json:"up"`
}

// Process is what this process is.
type Process struct {
	Version string `json:"version"`
	// Tracker says that it is one; Trackers is where those are that it asks otherwise.
	Tracker  bool     `json:"tracker"`
	Trackers []string `json:"trackers"`
	Storage  []string `json:"storage"`
	Edges    int      `json:"edges"`
}

// Process says what this process is.
func (c *Console) Process() Process {
	return Process{
		Version: c.config.Version, Tracker: c.config.Here != nil, Trackers: append([]string{}, c.config.Addresses...),
		Storage: append([]string{}, c.config.Storage...), Edges: c.config.Edges,
	}
}

// Status looks at everything. It has no error: that no tracker answers is a problem like
// others.
func (c *Console) Status(ctx context.Context) Status {
	f := c.Facts(ctx)
	s := Status{Problems: Find(f), Process: c.Process()}
	s.Health = HealthOf(s.Problems)
	if f.Topology != nil {
		sums := f.Topology.Sums()
		s.Cluster = &sums
	}
	if c.config.Trackers == nil {
		s.Health = Unknown
	}
	return s
}

// Facts asks for all that [Find] wants to know. What a tracker does not tell is left out.
func (c *Console) Facts(ctx context.Context) Facts {
	var f Facts
	var group errgroup.Group
	group.Go(func() error { return told(&f.Topology, c.Topology, ctx) })
	group.Go(func() error { return told(&f.Queues, c.Queues, ctx) })
	group.Go(func() error { return told(&f.Fsck, c.Fsck, ctx) })
	f.Trouble = group.Wait()
	return f
}

// told puts what is told into to.
func told[T any](to **T, ask func(context.Context) (T, error), ctx context.Context) error {
	answer, err := ask(ctx)
	switch {
	case err == nil:
		*to = &answer
	case IsUntold(err):
		return nil
	}
	return err
}

// HealthOf sums problems up.
func HealthOf(problems []Problem) Health {
	switch {
	case len(problems) == 0:
		return OK
	case problems[0].Severity == Critical:
		return Broken
	}
	return Ailing
}

// Sums counts what there is.
func (t Topology) Sums() Cluster {
	c := Cluster{Domains: len(t.Domains)}
	for _, h := range t.Hosts {
		if h.Status == mogile.HostDead {
			continue
		}
		c.Hosts.All++
		up := false
		for _, d := range h.Devices {
			if d.Status.Lost() {
				continue
			}
			c.Devices.All++
			c.MBTotal += d.MBTotal
			c.MBUsed += d.MBUsed
			if h.Status.Readable() && d.Status.Readable() && (d.Observed == writeable || d.Observed == readable) {
				c.Devices.Up++
				up = true
			}
			if d.takesFiles(h) {
				c.Takes++
			}
		}
		if up || h.Reachable != nil && *h.Reachable && h.Status.Readable() && len(h.Devices) == 0 {
			c.Hosts.Up++
		}
	}
	return c
}
