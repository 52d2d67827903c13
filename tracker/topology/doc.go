// Package topology is what a tracker knows of its cluster at one moment: hosts,
// devices, domains, classes and settings as the database has them, joined with
// what monitoring saw of hosts and devices.
//
// A [Live] publishes an immutable [Snapshot]. A command takes one snapshot when
// it begins and asks only that: no lock, no database, and no answer that mixes
// two moments. [Live.Reload] reads the database anew, [Live.Observe] adds what the
// monitor saw; each publishes the next snapshot.
//
// It decides nothing and talks to nobody but the store; when to reload and whom to
// probe is the monitor's business (package job).
package topology
