package command

import (
	"context"
	"time"

	"github.com/mogilefs/caddy-mogilefs/tracker/protocol"
)

const (
	defaultSleep = 10
	// maxSleep is when the peer's watchdog would begin the command anew.
	maxSleep = 30
)

func (c *Commands) noop(context.Context, *call) error { return nil }

// refresh is for those who changed the database behind our back, and for those
// who want to know what the devices are like now.
func (c *Commands) refresh(ctx context.Context, _ *call) error { return c.jobs.Refresh(ctx) }

// sleep takes a worker out of service for some seconds.
func (c *Commands) sleep(ctx context.Context, in *call) error {
	seconds := int64(defaultSleep)
	if in.truthy("duration") {
		seconds = min(max(in.num("duration"), 0), maxSleep)
	}
	timer := time.NewTimer(time.Duration(seconds) * time.Second)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return protocol.Fail(protocol.Failure)
	}
}

// test fails when it is told to.
func (c *Commands) test(_ context.Context, in *call) error {
	if in.truthy("crash") {
		return protocol.Fail(protocol.Failure)
	}
	return nil
}

// editFile refuses. To change a content in place would break what everybody relies on:
// that the bytes of a fid are always the same. (The peer can't either, unless it has a
// memcache.)
func (c *Commands) editFile(ctx context.Context, in *call) error {
	if _, err := c.find(ctx, c.topology.Snapshot(), in.domain(), in.key()); err != nil {
		return err
	}
	return protocol.Failf(protocol.Failure, "Files are not edited in place; upload the new content under the same name")
}
