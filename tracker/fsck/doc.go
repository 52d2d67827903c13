// Package fsck says what the settings of a check of all files mean, and how an operator's
// word changes them. Settings in, changes out.
//
// fsck_start comes in: the command hands over all settings as they are, and [Start] says
// which to set and which to unset. From then on the setting fsck_host names the tracker
// that queues the files to be checked; [Read] tells it how far it has come. What the
// checks find is logged under a [Code], and counted in settings that [Read] reads too.
//
// What it does not do: no I/O, no clock. It checks no file and knows no database. The
// fields are those of docs/spec/schema.md §6, the rules those of docs/spec/jobs.md §7.4.
package fsck
