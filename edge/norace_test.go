//go:build !race

package edge_test

const raceAllocations = 0
