// Package simulation lets a whole installation live through bad days in a second each: the
// real jobs, policies, topology, commands and store (SQLite in memory), with storage nodes,
// clients, operators and a clock of its own. Everything that is left to chance comes from a
// seed.
//
// A day goes like this. Two trackers on one store work for clients who upload, overwrite,
// rename and delete, while disks die, fill and lie, hosts stall and refuse, trackers are
// killed between any two of their steps, and operators change states, classes and devices
// and start and stop checks and rebalances. Then no more goes wrong, operators set right
// what they know of, and the jobs get time. What must hold then is in invariants_test.go.
//
// Every call of a tracker to its store or to a node is a step. A step waits until the one
// goroutine that drives the day picks it, and it picks one at a time, when everybody else
// waits: so the seed decides who comes when, and a day can be replayed. docs/simulation.md
// tells how. What it does not do: sockets, HTTP, SQL servers, or two statements at once in
// one database; those have tests of their own.
package simulation
