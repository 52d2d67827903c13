package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/mogilefs/caddy-mogilefs/cache"
	"github.com/mogilefs/caddy-mogilefs/edge/health"
	"github.com/mogilefs/caddy-mogilefs/storage"
	"github.com/mogilefs/caddy-mogilefs/tally"
	"github.com/mogilefs/caddy-mogilefs/tracker"
)

// prefix begins every name.
const prefix = "caddy_mogilefs_"

// Tallies is what the whole process counts. The zero value is ready.
type Tallies struct {
	Edge                tally.Edge
	Locations, Contents tally.Cache
	Tracker             tally.Tracker
	Database            tally.Database
	Storage             tally.Storage
}

// View is how things stand.
type View struct {
	// HasTracker is whether the config has a tracker, and Tracker what that is like; nil when it has not opened
	// its database yet.
	HasTracker bool
	Tracker    *tracker.Stats
	// Locations and Contents are the caches of the process.
	Locations, Contents []cache.Usage
	// Storage is the devices of the config's storage nodes, by the node's name.
	Storage map[string][]storage.DeviceStats
	// Nodes is what the edges of the process know of storage nodes.
	Nodes []health.NodeStatus
}

// Collector is what a config registers.
type Collector struct {
	tallies *Tallies
	look    func() View
	queues  *Queues

	descs    []*prometheus.Desc
	edge     edgeFamilies
	cache    cacheFamilies
	tracker  trackerFamilies
	topology topologyFamilies
	storage  storageFamilies
}

var _ prometheus.Collector = (*Collector)(nil)

// New returns a Collector that looks at things with look. queues may be nil: then their length is not shown.
func New(t *Tallies, look func() View, queues *Queues) *Collector {
	c := &Collector{tallies: t, look: look, queues: queues}
	c.edge = newEdgeFamilies(c.family)
	c.cache = newCacheFamilies(c.family)
	c.tracker = newTrackerFamilies(c.family)
	c.topology = newTopologyFamilies(c.family)
	c.storage = newStorageFamilies(c.family)
	return c
}

// family declares the metrics of a name.
func (c *Collector) family(name, help string, labels ...string) *prometheus.Desc {
	desc := prometheus.NewDesc(prefix+name, help, labels, nil)
	c.descs = append(c.descs, desc)
	return desc
}

// Describe implements [prometheus.Collector].
func (c *Collector) Describe(descs chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		descs <- d
	}
}

// Collect implements [prometheus.Collector].
func (c *Collector) Collect(metrics chan<- prometheus.Metric) {
	v, out := c.look(), sink(metrics)
	c.edge.show(out, &c.tallies.Edge, v.Nodes)
	c.cache.show(out, "location", &c.tallies.Locations, v.Locations)
	c.cache.show(out, "content", &c.tallies.Contents, v.Contents)
	c.storage.show(out, &c.tallies.Storage, v.Storage)
	c.tracker.show(out, c.tallies, v.Tracker)
	if v.HasTracker {
		out.is(c.tracker.running, v.Tracker != nil)
	}
	if v.Tracker != nil {
		c.topology.show(out, v.Tracker.Topology)
		if c.queues != nil {
			c.tracker.showQueues(out, c.queues.last())
		}
	}
}

// sink is where metrics go.
type sink chan<- prometheus.Metric

func (s sink) count(d *prometheus.Desc, n int64, labels ...string) {
	s <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
}

func (s sink) gauge(d *prometheus.Desc, v float64, labels ...string) {
	s <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}

func (s sink) is(d *prometheus.Desc, yes bool, labels ...string) {
	v := 0.0
	if yes {
		v = 1
	}
	s.gauge(d, v, labels...)
}

func (s sink) durations(d *prometheus.Desc, r tally.Reading, labels ...string) {
	s <- prometheus.MustNewConstHistogram(d, r.Count, r.Sum.Seconds(), r.UpTo, labels...)
}

// declare is [Collector.family].
type declare func(name, help string, labels ...string) *prometheus.Desc
