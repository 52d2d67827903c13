package job

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/tracker/crew"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

// The sweeping of uploads that nobody closed (docs/spec/jobs.md §5.2).
const (
	sweepLock  = "mgfs:tempfiles"
	uploadAge  = 3600 * time.Second // clients rely on having an hour
	sweepBatch = 50
	sweepEvery = time.Minute // nobody waits for it
)

// sweepStore is what the sweeper changes.
type sweepStore interface {
	SweepUploads(ctx context.Context, age time.Duration, limit int) (int, error)
	store.Locks
}

// sweeper hands the remains of abandoned uploads to the delete job, and is part of it:
// without workers there it does nothing.
type sweeper struct {
	store sweepStore
	crew  *crew.Crew
	log   *zap.Logger
}

func (s *sweeper) run(ctx context.Context) {
	ticker := time.NewTicker(sweepEvery)
	defer ticker.Stop()
	for ctx.Err() == nil {
		if s.crew.Active() {
			if err := s.sweep(ctx); err != nil && ctx.Err() == nil {
				s.log.Error("abandoned uploads stay", zap.Error(err))
			}
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
		}
	}
}

// sweep goes on until no old upload is left. Another tracker at it is no error.
func (s *sweeper) sweep(ctx context.Context) error {
	release, err := s.store.Lock(ctx, sweepLock, 0)
	if errors.Is(err, store.ErrLocked) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("sweep uploads: %w", err)
	}
	defer release()
	for {
		n, err := s.store.SweepUploads(ctx, uploadAge, sweepBatch)
		if err != nil {
			return fmt.Errorf("sweep uploads: %w", err)
		}
		if n > 0 {
			s.crew.Wake()
		}
		if n < sweepBatch {
			return nil
		}
	}
}
