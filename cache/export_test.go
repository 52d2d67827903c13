package cache

// UnderWay is how much memory counts as under way.
func (c *Contents) UnderWay() int64 { return c.underWay.Load() }
