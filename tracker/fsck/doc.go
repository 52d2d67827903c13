// Package fsck decides what a check of files finds and does, and says what the settings of
// a check of all files mean. Facts in, answer out.
//
// A check comes to a file: the job looks at each copy, and hands what it saw to [Judge] as
// [Evidence]. The [Verdict] says what to log, under which [Code]s, which copies to forget,
// and which bytes to delete; or that all devices have to be searched first, and then the
// job asks once more.
//
// fsck_start comes in: the command hands over all settings as they are, and [Start] says
// which to set and which to unset. From then on the setting fsck_host names the tracker
// that queues the files to be checked; [Read] tells it how far it has come, [Advance],
// [End] and [TakeOver] say what it may change then. What the checks find is counted in
// settings that [Read] reads too.
//
// What it does not do: no I/O, no clock. It knows no node and no database. The fields are
// those of docs/spec/schema.md §6, the rules those of docs/spec/jobs.md §7.
package fsck
