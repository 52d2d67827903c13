// Package doctor is caddy mogilefs doctor: it looks at a configuration and at a running
// cluster, says of each thing how it is, and what to do where it is not well.
//
// A call walks through it so: with --config the caller's [Reader] turns the file into a
// [Plan]; planned.go judges what it says, database.go what its database says of itself, and
// disks.go what its device directories are like on this machine. With --trackers, or without
// --config, gather.go asks trackers and storage nodes over their old protocols for what
// cluster.go then judges. Each judgement is a [Finding]; command.go writes them, and turns the
// worst into the exit code.
//
// The judges are pure functions of facts. Nothing is repaired here, and nothing is changed
// but for an empty file that is written to each device directory of the configuration, and
// removed.
package doctor
