package edge

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/mogilefs/caddy-mogilefs/edge/hedge"
	"github.com/mogilefs/caddy-mogilefs/edge/semantics"
	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// race opens the present copy and, when its first byte is not there after Config.Hedge, the
// next one as well. The first to have a byte wins and becomes the present copy; the other
// attempt is cancelled, and its copy is the next. An error is about the present copy.
func (t *sender) race(s semantics.Span) (io.ReadCloser, error) {
	t.e.hedges.Earn()
	r := hedge.NewRace()
	defer r.End()
	first, second := t.attempt(0), t.attempt(1)
	cancel, ok := t.enter(r, first, s)
	if !ok {
		return t.openCopy(t.r.Context(), first, s)
	}
	late := time.NewTimer(t.e.config.Hedge)
	defer late.Stop()
	for running := 1; ; {
		select {
		case <-late.C:
			if !t.e.healthy([]mogile.Copy{second.Copy}) || !t.e.hedges.Take() {
				continue
			}
			cancelSecond, ok := t.enter(r, second, s)
			if !ok {
				continue
			}
			running++
			t.e.tally.Hedges.Add(1)
			cancelFirst := cancel
			cancel = func(winner mogile.Copy) { cancelFirst(winner); cancelSecond(winner) }
		case x := <-r.Arrived:
			running--
			t.front(x.Copy)
			if x.Err == nil {
				if x.Copy == second.Copy {
					t.e.tally.HedgesWon.Add(1)
				}
				cancel(x.Copy)
				return x.Src, nil
			}
			if running == 0 {
				return nil, x.Err
			}
			if err := t.pass(t.r.Context(), x.Err); err != nil {
				cancel(mogile.Copy{})
				return nil, err
			}
		case <-t.r.Context().Done():
			return nil, context.Cause(t.r.Context())
		}
	}
}

// front makes a copy the present one.
func (t *trial) front(c mogile.Copy) {
	if i := slices.Index(t.left, c); i > 0 {
		t.left = slices.Insert(slices.Delete(slices.Clone(t.left), i, i+1), 0, c)
	}
}

// enter begins an attempt, unless there is too much in the background already. The
// function cancels it, unless it is the winner's.
func (t *sender) enter(r *hedge.Race, c attempt, s semantics.Span) (cancel func(winner mogile.Copy), ok bool) {
	ctx, stop := context.WithCancel(t.r.Context())
	own := *t // so that only senders with a hedge go to the heap
	ok = t.e.background.Start(func(context.Context) {
		src, err := own.openFirst(ctx, c, s)
		if f, remote := src.(*fetched); remote {
			f.release = stop // by Close
		} else {
			stop()
		}
		r.Arrive(hedge.Arrival{Copy: c.Copy, Src: src, Err: err})
	})
	if !ok {
		stop()
	}
	return func(winner mogile.Copy) {
		if winner != c.Copy {
			stop()
		}
	}, ok
}

// openFirst is openCopy and waits until the first byte is there.
func (t *sender) openFirst(ctx context.Context, c attempt, s semantics.Span) (io.ReadCloser, error) {
	src, err := t.openCopy(ctx, c, s)
	if err != nil {
		return nil, err
	}
	switch src := src.(type) {
	case *fetched:
		err = src.prime()
	case *os.File:
		device := t.e.health.Place(c.Copy).Device
		t.e.health.BeginOpen(device)
		_, err = src.ReadAt(make([]byte, 1), s.Off)
		t.e.health.EndOpen(device)
	}
	if err != nil {
		src.Close()
		return nil, fmt.Errorf("read first byte: %w", err)
	}
	return src, nil
}
