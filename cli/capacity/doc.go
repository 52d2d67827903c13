// Package capacity is caddy mogilefs capacity: what an installation of some size needs, from
// constants that were measured (docs/scale.md).
//
// A call walks through it so: command.go turns options into [Needs], [Of] in model.go turns
// these into [Figures], a pure function with the constants of costs.go, and table.go writes
// them. Nobody is asked anything.
package capacity
