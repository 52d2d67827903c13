// Package live watches an installation over time for those who look at its dashboard: it
// keeps samples of the queues, says since when a problem is there and which have passed,
// and tells all who watch when something has changed.
//
// It walks like this: [Live.Start] begins a loop (loop.go), which looks at hosts and devices
// every second while somebody watches, and every ten seconds otherwise; at queues, fsck and
// rebalance less often, the less the longer the database takes to count (pace). What it saw is a
// [State], encoded once. [Live.Stream] writes it to a watcher as server-sent events; a slow
// one misses states, and is never waited for.
//
// All of it is bounded: samples, problems that have passed, watchers. It changes nothing,
// and asks only what package console asks.
package live
