package tally

// Cache is what caches of one kind count.
type Cache struct {
	// Hits is how many look-ups were answered from memory, Misses how many were not; Stale is those
	// of the Misses that were answered with what was remembered all the same, as loading failed.
	Hits, Stale, Misses Counter
	// Loads is how often what was not there was fetched for those who asked, LoadErrors how often
	// that failed.
	Loads, LoadErrors Counter
	// Evictions is how many entries made room for others.
	Evictions Counter
}
