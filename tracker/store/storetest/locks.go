package storetest

import (
	"context"
	"errors"
	"fmt"
	"path"
	"sync/atomic"
	"time"

	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

var lockChecks = []check{
	{"ALockExcludesUntilItIsReleased", lockExcludesUntilItIsReleased},
	{"LocksOfOtherNamesAreFree", locksOfOtherNamesAreFree},
	{"LockWaitsForItsTurn", lockWaitsForItsTurn},
	{"LockGivesUpAfterTheWait", lockGivesUpAfterTheWait},
	{"ALockIsReleasedAfterItsContext", lockIsReleasedAfterItsContext},
	{"LockStopsWaitingWithItsContext", lockStopsWaitingWithItsContext},
	{"OneHolderAtATime", oneHolderAtATime},
}

// lockName is that of a lock that no other check takes at the same time: a server may have
// one for all its databases.
func (e env) lockName() string { return path.Base(e.Name()) }

func (e env) lock(name string) (release func()) {
	e.Helper()
	release, err := e.s.Lock(e.ctx, name, patience)
	e.must(err, "lock %s", name)
	return release
}

func lockExcludesUntilItIsReleased(e env) {
	release := e.lock("mgfs:reaper")
	_, err := e.s.Lock(e.ctx, "mgfs:reaper", 0)
	e.wants(store.ErrLocked, err, "lock what is held")
	release()
	again, err := e.s.Lock(e.ctx, "mgfs:reaper", 0)
	e.must(err, "lock what was released")
	again()
}

func locksOfOtherNamesAreFree(e env) {
	defer e.lock("mgfs:fid:1:replicate")()
	release, err := e.s.Lock(e.ctx, "mgfs:fid:2:replicate", 0)
	e.must(err, "lock another name")
	release()
}

func lockWaitsForItsTurn(e env) {
	release := e.lock(e.lockName())
	got := make(chan error, 1)
	go func() {
		second, err := e.s.Lock(e.ctx, e.lockName(), patience)
		if err == nil {
			second()
		}
		got <- err
	}()
	release()
	e.must(<-got, "lock with a wait")
}

func lockGivesUpAfterTheWait(e env) {
	defer e.lock(e.lockName())()
	const wait = 30 * time.Millisecond
	before := time.Now()
	_, err := e.s.Lock(e.ctx, e.lockName(), wait)
	e.wants(store.ErrLocked, err, "lock what is held")
	if took := time.Since(before); took < wait {
		e.Errorf("lock with a wait: gave up after %v; want at least %v", took, wait)
	}
}

func lockIsReleasedAfterItsContext(e env) {
	ctx, cancel := context.WithCancel(e.ctx)
	release, err := e.s.Lock(ctx, e.lockName(), 0)
	e.must(err, "lock")
	cancel()
	_, err = e.s.Lock(e.ctx, e.lockName(), 0)
	e.wants(store.ErrLocked, err, "lock what is held by one whose context is over")
	release()
	e.lock(e.lockName())()
}

func lockStopsWaitingWithItsContext(e env) {
	defer e.lock(e.lockName())()
	ctx, cancel := context.WithCancel(e.ctx)
	got := make(chan error, 1)
	go func() {
		_, err := e.s.Lock(ctx, e.lockName(), patience)
		got <- err
	}()
	cancel()
	if err := <-got; !errors.Is(err, context.Canceled) || errors.Is(err, store.ErrLocked) {
		e.Errorf("lock with a cancelled context: got %v; want %v", err, context.Canceled)
	}
}

func oneHolderAtATime(e env) {
	const names, workers, each = 2, 8, 5
	inside := make([]atomic.Int32, names)
	together(workers, func(i int) {
		for range each {
			at := i % names
			release, err := e.s.Lock(e.ctx, fmt.Sprintf("name%d", at), patience)
			if err != nil {
				e.Errorf("lock: got %v; want nil", err)
				return
			}
			if n := inside[at].Add(1); n != 1 {
				e.Errorf("holders of name%d: got %d; want 1", at, n)
			}
			inside[at].Add(-1)
			release()
		}
	})
}
