package sqlstore

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// frozen is a database that answers nobody until it thaws.
type frozen struct {
	database
	thaw chan struct{}

	mu    sync.Mutex // guards asked
	asked int
}

func (f *frozen) read(ctx context.Context, _ func(*tx) error) error {
	f.mu.Lock()
	f.asked++
	f.mu.Unlock()
	select {
	case <-f.thaw:
		return errors.New("thawed")
	case <-ctx.Done():
		return ctx.Err()
	}
}

func TestWhoLooksTogetherLeavesWithHisDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := &frozen{thaw: make(chan struct{})}
		all := newLooks(db, lookers)
		began := time.Now()
		var waiting sync.WaitGroup
		for range 10 * lookers {
			waiting.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
				defer cancel()
				if _, err := all.Ask(ctx, domainKey{dm: 1, key: "key"}); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("got %v; want the deadline", err)
				}
			})
		}
		waiting.Wait()
		if took := time.Since(began); took != 2*time.Second {
			t.Errorf("the last left after %v; want 2s", took)
		}
		all.Close() // nobody is left with the server
	})
}

func TestManyWhoWaitAskTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := &frozen{thaw: make(chan struct{})}
		all := newLooks(db, lookers)
		defer all.Close()
		var waiting sync.WaitGroup
		for i := range lookers + 2*maxTogether {
			waiting.Go(func() { _, _ = all.Ask(t.Context(), domainKey{dm: 1, key: "key"}) })
			if i < lookers { // who comes at the same moment shares the first question
				synctest.Wait()
			}
		}
		synctest.Wait()
		if db.asked != lookers {
			t.Errorf("got %d questions at a time; want %d", db.asked, lookers)
		}
		close(db.thaw)
		waiting.Wait()
		// Each then asks alone, as the database knows no answer.
		if most := lookers + 2 + lookers + 2*maxTogether; db.asked > most {
			t.Errorf("got %d questions; want at most %d", db.asked, most)
		}
	})
}
