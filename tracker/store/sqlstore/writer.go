package sqlstore

import (
	"context"
	"errors"
	"sync"
)

// maxGroup is how many changes share a commit at most. It bounds how long the
// first of a group waits for its answer; beyond some dozens, the cost of the sync
// per change is small already.
const maxGroup = 128

// writer runs the changes to an SQLite database, which takes one at a time, in
// groups: it runs all that wait, commits once, then answers everyone. A commit
// costs a sync of the disk, so that many uploads at once are as fast as the disk
// can sync, times the size of the group.
//
// Each change runs under a savepoint: an error undoes it alone. When the commit
// fails, nobody's change has happened, and even those whose function had failed
// learn of it: what they saw may have been a neighbour's change.
type writer struct {
	tx *tx
	// queue is not buffered: a change that was received is answered, one that
	// was not is still its caller's.
	queue chan *change
	stop  chan struct{}
	wg    sync.WaitGroup
}

// change is one call of write on its way through the writer.
type change struct {
	ctx  context.Context
	fn   func(*tx) error
	err  error
	done chan error // room for the one answer
}

func newChange(ctx context.Context, fn func(*tx) error) *change {
	return &change{ctx: ctx, fn: fn, done: make(chan error, 1)}
}

// newWriter makes the owner of a connection, whose transactions t's statements
// belong to.
func newWriter(t *tx) *writer {
	return &writer{tx: t, queue: make(chan *change), stop: make(chan struct{})}
}

func (w *writer) start() { w.wg.Go(w.loop) }

// close waits for the group under way.
func (w *writer) close() {
	close(w.stop)
	w.wg.Wait()
}

// write waits for its turn, which ctx can end, and then for the outcome, which it
// can't: nobody could say what became of the change.
func (w *writer) write(ctx context.Context, fn func(*tx) error) error {
	c := newChange(ctx, fn)
	select {
	case w.queue <- c:
		return <-c.done
	case <-ctx.Done():
		return ctx.Err()
	case <-w.stop:
		return errClosed
	}
}

// first runs a change before the writer is started.
func (w *writer) first(ctx context.Context, fn func(*tx) error) error {
	c := newChange(ctx, fn)
	w.group(c)
	return <-c.done
}

func (w *writer) loop() {
	for {
		select {
		case c := <-w.queue:
			w.group(c)
		case <-w.stop:
			return
		}
	}
}

// group runs c and those that wait behind it as one transaction.
func (w *writer) group(c *change) {
	var members []*change
	err := w.do("BEGIN IMMEDIATE")
	for ; c != nil; c = w.next(len(members)) {
		members = append(members, c)
		if err == nil {
			err = w.apply(c)
		}
		if err != nil {
			break
		}
	}
	if err == nil {
		err = w.do("COMMIT")
	}
	if err != nil {
		// It may complain that there is no transaction: SQLite ends it by itself
		// after some errors.
		_ = w.do("ROLLBACK")
	}
	for _, m := range members {
		if err != nil {
			m.err = err
		}
		m.done <- m.err
	}
}

// next is who else waits, or nil when nobody does or the group is full.
func (w *writer) next(members int) *change {
	if members == maxGroup {
		return nil
	}
	select {
	case c := <-w.queue:
		return c
	default:
		return nil
	}
}

// apply runs one change of a group. It returns an error when the transaction is
// lost with all that is in it; c.err is for c alone.
func (w *writer) apply(c *change) error {
	if c.err = c.ctx.Err(); c.err != nil {
		return nil
	}
	if err := w.do("SAVEPOINT change"); err != nil {
		return err
	}
	if c.err = c.fn(w.tx); c.err != nil {
		if err := w.do("ROLLBACK TO change"); err != nil {
			// No such savepoint any more: the error (full disk, lost file) ended the
			// whole transaction.
			return errors.Join(c.err, err)
		}
	}
	return w.do("RELEASE change")
}

func (w *writer) do(text string) error {
	_, err := w.tx.exec(text)
	return wrap(err, "%s", text)
}
