package metrics

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/tracker"
)

// minAge is how old a count must be before the queues are counted again: that takes the database as long
// as they are, and some scrape every second.
const minAge = 10 * time.Second

// Queues counts the queues of a tracker for those who scrape. Nobody waits for that: a scrape shows what
// was found after the one before, and when nobody scrapes nothing is counted.
type Queues struct {
	count func(ctx context.Context) (tracker.Queues, error)
	log   *zap.Logger
	asked chan struct{} // holds one

	mu     sync.Mutex // guards latest
	latest sample
}

// sample is what was found, and when; zero before the first time.
type sample struct {
	waiting tracker.Queues
	at      time.Time
}

// NewQueues returns a Queues that counts nothing before [Queues.Run].
func NewQueues(count func(ctx context.Context) (tracker.Queues, error), log *zap.Logger) *Queues {
	return &Queues{count: count, log: log, asked: make(chan struct{}, 1)}
}

// Run counts until ctx is over.
func (q *Queues) Run(ctx context.Context) {
	for {
		select {
		case <-q.asked:
		case <-ctx.Done():
			return
		}
		waiting, err := q.count(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			q.log.Warn("queues can't be counted", zap.Error(err))
			continue
		}
		q.mu.Lock()
		q.latest = sample{waiting, time.Now()}
		q.mu.Unlock()
	}
}

// last is what was found last, and has the queues counted for the next who asks.
func (q *Queues) last() sample {
	q.mu.Lock()
	defer q.mu.Unlock()
	if time.Since(q.latest.at) >= minAge {
		select {
		case q.asked <- struct{}{}:
		default:
		}
	}
	return q.latest
}
