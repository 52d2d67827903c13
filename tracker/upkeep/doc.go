// Package upkeep is the commands by which operators keep an installation in order: its
// settings, the checks of all files and their log, the rebalance of devices, and what
// waits to be replicated (docs/spec/tracker-protocol.md §8).
//
// A fsck_start walks through it like this: package command hands the request to
// [Upkeep.Run]; that reads the database's clock, the highest fid and the end of the log,
// and lets package fsck decide, within one transaction of the store, which settings
// change. The job that does the work finds its orders there, on whichever tracker.
//
// Errors are [*protocol.Error] where the protocol has a code for them; all others are
// internal. What it does not do: check or move a file, or answer for the cluster's hosts,
// devices and domains, which is for package command.
package upkeep
