// Package legacy makes databases as a MogileFS installation leaves them, and plays the
// tracker that worked there: for tests of taking such a database over, of working beside
// such a tracker, and of going back to it.
//
// A [Variant] says which database: its version, its age, its character sets. [New] makes
// it on a private server, to the letter of docs/spec/schema.md and with rows in every
// table (files.go, rows.go), and returns the [Database], which a test then opens with the
// store that is to take it over. [Database.Tracker] connects an old [Tracker]: each of
// its methods is one thing that the reference does, in the reference's statements and
// their order, each committed by itself (docs/spec/schema.md §4, §5 and §7). Its races
// are the reference's, too.
//
// It was written from the specification alone. What it does not do: talk to storage
// nodes, or speak the line protocol. Whoever plays with it says what was stored.
package legacy
