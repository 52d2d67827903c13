package sqlstore

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

var _ store.Observed = (*Store)(nil)

// watched tells an observer, once there is one, of every access to the database.
type watched struct {
	database
	observer atomic.Pointer[store.Observer]
}

// Observe implements [store.Observed].
func (s *Store) Observe(o store.Observer) { s.db.observer.Store(&o) }

// Pool implements [store.Observed].
func (s *Store) Pool() store.Pool { return s.db.pool() }

// trouble is err, if that is the database's and not an answer.
func trouble(err error) error {
	if store.IsAnswer(err) || errors.Is(err, errApart) || errors.Is(err, errAgain) || errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

func (w *watched) tell(ctx context.Context, kind string, access func() error) error {
	o := w.observer.Load()
	if o == nil {
		return access()
	}
	end := (*o)(ctx, kind)
	err := access()
	end(trouble(err))
	return err
}

func (w *watched) read(ctx context.Context, fn func(*tx) error) error {
	return w.tell(ctx, "read", func() error { return w.database.read(ctx, fn) })
}

func (w *watched) snapshot(ctx context.Context, fn func(*tx) error) error {
	return w.tell(ctx, "snapshot", func() error { return w.database.snapshot(ctx, fn) })
}

func (w *watched) write(ctx context.Context, fn func(*tx) error) error {
	return w.tell(ctx, "write", func() error { return w.database.write(ctx, fn) })
}

func (w *watched) once(ctx context.Context, fn func(*tx) error) error {
	return w.tell(ctx, "write", func() error { return w.database.once(ctx, fn) })
}

func (w *watched) autocommit(ctx context.Context, fn func(*tx) error) error {
	return w.tell(ctx, "write", func() error { return w.database.autocommit(ctx, fn) })
}
