//go:build race

package simulation

// The race detector makes SQLite, which is all Go here, many times slower. What is about
// the simulation itself is then left to the run without.
const (
	usualSeeds = 10
	replays    = 2
)
