package edge

import (
	"context"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/mogile"
)

func (e *Edge) setAllAside(copies []mogile.Copy, fid mogile.FID) {
	for _, c := range copies {
		e.log.Warn("copy gave wrong bytes", zap.Uint64("fid", uint64(fid)), zap.Uint32("dev", uint32(c.Dev)), zap.String("url", c.URL))
		e.setAside(c, fid)
	}
}

// setAside leaves a copy that is not the file aside for a while, and has the tracker see to
// it.
func (e *Edge) setAside(c mogile.Copy, fid mogile.FID) {
	if !e.health.SetAside(c.URL) {
		return
	}
	e.background.Start(func(ctx context.Context) {
		ctx, cancel := e.trackerContext(ctx)
		defer cancel()
		if err := e.config.Tracker.Repair(ctx, fid); err != nil {
			e.log.Warn("report a wrong copy", zap.Uint64("fid", uint64(fid)), zap.Error(err))
		}
	})
}
