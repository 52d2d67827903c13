//go:build race

package edge_test

// raceAllocations is for what the race detector makes pools forget.
const raceAllocations = 2
