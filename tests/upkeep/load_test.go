package upkeep

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// loadEvery is how often a client of a load asks: often enough to meet every moment, not so
// often that the jobs have no processor left.
const loadEvery = 30 * time.Millisecond

// load is clients that read and write while others work.
type load struct {
	rig     *rig
	stopNow context.CancelFunc
	clients *errgroup.Group
	reads   atomic.Int64
	written atomic.Int64 // new files, all acknowledged, numbered from files on
}

// startLoad has two clients read and one write, through one tracker.
func (r *rig) startLoad(k *tracker) *load {
	ctx, cancel := context.WithCancel(context.Background())
	l := &load{rig: r, stopNow: cancel}
	r.t.Cleanup(cancel)
	l.clients, ctx = errgroup.WithContext(ctx)
	for range 2 {
		l.clients.Go(func() error {
			return repeat(ctx, func(ctx context.Context) error { return l.read(ctx, k) })
		})
	}
	l.clients.Go(func() error {
		return repeat(ctx, func(ctx context.Context) error {
			err := r.upload(ctx, k, files+int(l.written.Load()))
			if err == nil {
				l.written.Add(1)
			}
			return err
		})
	})
	return l
}

// repeat does a step over and over, and the last one to its end.
func repeat(ctx context.Context, step func(context.Context) error) error {
	again := time.NewTicker(loadEvery)
	defer again.Stop()
	for {
		select {
		case <-again.C:
		case <-ctx.Done():
			return nil
		}
		if err := step(context.WithoutCancel(ctx)); err != nil {
			return err
		}
	}
}

// read reads a file as clients do: where one copy has just been moved away, the next one. When
// all that was told is gone, it asks once more.
func (l *load) read(ctx context.Context, k *tracker) error {
	i := rand.IntN(files)
	err := l.readOnce(ctx, k, i)
	if errors.Is(err, errGone) {
		err = l.readOnce(ctx, k, i)
	}
	if err == nil {
		l.reads.Add(1)
	}
	return err
}

var errGone = errors.New("all copies are gone")

func (l *load) readOnce(ctx context.Context, k *tracker, i int) error {
	at, err := k.Locate(ctx, domain, key(i), "")
	if err != nil {
		return fmt.Errorf("locate %s: %w", key(i), err)
	}
	for _, c := range at.Copies {
		got, err := l.rig.get(ctx, c.URL)
		switch {
		case err != nil:
			continue
		case !bytes.Equal(got, content(i)):
			return fmt.Errorf("read %s: got other bytes from %s", key(i), c.URL)
		}
		return nil
	}
	return fmt.Errorf("read %s: %w: %v", key(i), errGone, at.Copies)
}

// stop ends the load, fails the test if one of its clients met an error, and returns how many
// files there are now.
func (l *load) stop() int {
	l.rig.t.Helper()
	l.stopNow()
	if err := l.clients.Wait(); err != nil {
		l.rig.t.Errorf("under load: got %v; want no error", err)
	}
	l.rig.logf("meanwhile %d files were read and %d written", l.reads.Load(), l.written.Load())
	if l.reads.Load() == 0 || l.written.Load() == 0 {
		l.rig.t.Error("got no reads or no writes meanwhile; want both")
	}
	return files + int(l.written.Load())
}
