// Package metrics shows Prometheus what the process has counted and how things stand.
//
// Every config of Caddy's has a registry of its own, and so a [Collector] of its own, which is thrown
// away with it. What it shows is not: the [Tallies] are one for the whole process, and outlive reloads;
// how things stand is looked up at each scrape. So no counter begins anew at a reload, and no device or
// host that has gone stays on show.
//
// Nothing here is counted, and no question is asked of a database while a scrape waits: the length of
// the queues is what [Queues] found a moment ago. docs/metrics.md explains every name.
package metrics
