// Package injector fills the queues of work that an operator starts and that goes through
// many files, as much at a time as the settings say (docs/spec/jobs.md §7.4 and §8.4).
//
// rebalance_start puts a tracker's name into the settings. On that tracker [Rebalance] makes a
// pass each second: it sets the device that files are taken from to drain, queues its
// next files, and writes down how far it has come, so that a tracker that dies is taken over
// from by another at the very place. When the device has no more, it becomes what it was.
// [Check] does the same for fsck_start, with all files by their fids.
//
// What it does not do: move anything (package job), check anything (package checker), or
// decide what is moved and where to (package rebalance).
package injector
