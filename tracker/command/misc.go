package command

import "context"

func (c *Commands) noop(context.Context, *call) error { return nil }

// refresh is for those who changed the database behind our back, and for those
// who want to know what the devices are like now.
func (c *Commands) refresh(ctx context.Context, _ *call) error { return c.jobs.Refresh(ctx) }
