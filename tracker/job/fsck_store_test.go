package job_test

import (
	"context"
	"time"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

// What fsck asks of the store beside what others do.

func (s *watchedStore) LogFsck(ctx context.Context, events ...store.FsckEvent) error {
	return s.change("LogFsck", func() error { return s.Store.LogFsck(ctx, events...) })
}

func (s *watchedStore) Enqueue(ctx context.Context, q store.QueueName, delay time.Duration, fids ...mogile.FID) error {
	return s.change("Enqueue", func() error { return s.Store.Enqueue(ctx, q, delay, fids...) })
}
