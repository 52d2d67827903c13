package files

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"sync"

	"golang.org/x/sync/semaphore"

	"github.com/mogilefs/caddy-mogilefs/cli/frame"
	"github.com/mogilefs/caddy-mogilefs/cli/screen"
)

const (
	defaultParallel = 8
	// smallParallel is how many small files are stored at once by default: each waits for syncs
	// of nodes and databases, which all who wait at the same moment share.
	smallParallel = 64
	// smallFile is as large as a small file is.
	smallFile   = 1 << 20
	maxParallel = 256
	// interrupted is the exit code of what Ctrl-C ended.
	interrupted = 130
)

// outcome is what became of one of many.
type outcome int

const (
	done outcome = iota
	skipped
)

// batch does the same to many things, several at a time. What fails is told at once and
// does not keep the others; an interruption ends those under way and begins no more.
type batch struct {
	c        *frame.Call
	verb     string // past tense, such as uploaded
	progress *screen.Progress
	// parallel is how many are under way at once; a file that is not small counts for so many
	// as largeCounts says.
	parallel, largeCounts int64

	mu                    sync.Mutex // guards what follows
	done, skipped, failed int
	bytes                 int64
	worst                 int // exit code
}

func newBatch(c *frame.Call, verb string) (*batch, error) {
	b := &batch{c: c, verb: verb, parallel: defaultParallel, largeCounts: 1, worst: failed}
	if s := c.Option("parallel"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 || n > maxParallel {
			return nil, fmt.Errorf("parallel %q: want a number from 1 to %d", s, maxParallel)
		}
		b.parallel = int64(n)
	}
	if c.ErrTerminal && !c.Given("json") {
		b.progress = screen.NewProgress(c.Stderr, func() int {
			if c.Size == nil {
				return 0
			}
			columns, _ := c.Size()
			return columns
		})
	}
	return b, nil
}

// newStoring is newBatch for files that are stored. By default no more large ones are under way
// than anything else, as they wait for each other's bytes.
func newStoring(c *frame.Call, verb string) (*batch, error) {
	b, err := newBatch(c, verb)
	if err == nil && c.Option("parallel") == "" {
		b.parallel, b.largeCounts = smallParallel, smallParallel/defaultParallel
	}
	return b, err
}

// counts is for how many an item counts.
func (b *batch) counts(item any) int64 {
	if f, ok := item.(interface{ small() bool }); ok && !f.small() {
		return b.largeCounts
	}
	return 1
}

// each does it to all items, and says at the end what was done.
func each[T any](ctx context.Context, b *batch, items iter.Seq2[T, error], do func(ctx context.Context, item T) (outcome, error)) error {
	var group sync.WaitGroup
	places := semaphore.NewWeighted(b.parallel)
	var broken error
	for item, err := range items {
		if err != nil {
			broken = err
			break
		}
		n := b.counts(item)
		if places.Acquire(ctx, n) != nil {
			break
		}
		group.Go(func() {
			defer places.Release(n)
			b.one(ctx, func() (outcome, error) { return do(ctx, item) })
		})
	}
	group.Wait()
	b.progress.End()
	return b.end(ctx, broken)
}

func (b *batch) one(ctx context.Context, do func() (outcome, error)) {
	if ctx.Err() != nil {
		return
	}
	what, err := do()
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case err != nil && ctx.Err() != nil: // it was interrupted
	case err != nil:
		b.failed++
		b.progress.Around(func() { b.c.Tell(err) })
	case what == skipped:
		b.skipped++
	default:
		b.done++
	}
	if err == nil {
		b.progress.File()
	}
}

// moved adds to the bytes that were moved.
func (b *batch) moved(n int64) {
	b.mu.Lock()
	b.bytes += n
	b.mu.Unlock()
}

// end says what was done. Without a terminal success is silent.
func (b *batch) end(ctx context.Context, broken error) error {
	text := fmt.Sprintf("%s %d files", b.verb, b.done)
	if b.bytes > 0 {
		text += " (" + screen.Bytes(b.bytes) + ")"
	}
	if b.skipped > 0 {
		text += fmt.Sprintf(", %d were there already", b.skipped)
	}
	if b.failed > 0 {
		text += fmt.Sprintf(", %d failed", b.failed)
	}
	switch {
	case ctx.Err() != nil:
		fmt.Fprintf(b.c.Stderr, "interrupted: %s; run it again to go on\n", text)
		return &frame.Failure{Exit: interrupted}
	case broken != nil:
		b.c.Tell(broken)
		if b.done+b.skipped+b.failed > 0 {
			fmt.Fprintln(b.c.Stderr, text)
		}
		return &frame.Failure{Exit: b.worst}
	case b.failed > 0:
		if b.done+b.skipped+b.failed > 1 {
			fmt.Fprintln(b.c.Stderr, text+"; run it again for those that failed")
		}
		return &frame.Failure{Exit: b.worst}
	case b.c.OutTerminal && !b.c.Given("json"), b.c.Given("verbose"):
		fmt.Fprintln(b.c.Stderr, text)
	}
	return nil
}

// isInterrupted reports whether an error is the operator's doing.
func isInterrupted(ctx context.Context, err error) bool {
	return err != nil && ctx.Err() != nil || errors.Is(err, context.Canceled)
}
