package cache

// Usage is how much a cache holds.
type Usage struct {
	// Entries is how many there are, those included that are not used any more and wait to be evicted.
	Entries int64
	// Bytes is the memory that they take, and Limit how much they may.
	Bytes, Limit int64
}

// Usage is that of now.
func (l *Locations) Usage() Usage {
	limit := l.config.room()
	return Usage{Entries: l.number.Load(), Bytes: limit - l.entries.RemainingCost(), Limit: limit}
}

// Usage is that of now. Bytes counts what is under way, too.
func (c *Contents) Usage() Usage {
	limit := c.config.room()
	return Usage{
		Entries: c.number.Load(), Bytes: limit - c.kept.RemainingCost() + c.underWay.Load(),
		Limit: limit + c.config.Bytes/wayShare,
	}
}
