package files

import (
	"context"
	"io"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/mogilefs/caddy-mogilefs/cli/frame"
	"github.com/mogilefs/caddy-mogilefs/cli/transfer"
)

func TestSmallFilesAreStoredManyAtOnceAndLargeOnesFew(t *testing.T) {
	small, large := sized(smallFile), sized(smallFile+1)
	for _, c := range []struct {
		name    string
		options []string
		items   []piece
		atOnce  int64
	}{
		{"small", nil, slices.Repeat([]piece{small}, 200), 64},
		{"large", nil, slices.Repeat([]piece{large}, 200), 8},
		{"of both", nil, append([]piece{large, large}, slices.Repeat([]piece{small}, 200)...), 2 + 48},
		{"as many as are wanted", []string{"--parallel=20"}, slices.Repeat([]piece{large}, 200), 20},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var under, all atomic.Int64
				proceed := make(chan struct{})
				ended := make(chan int)
				root := storing(c.items, func() {
					under.Add(1)
					<-proceed
					under.Add(-1)
					all.Add(1)
				})
				go func() {
					env := frame.Env{Stdout: io.Discard, Stderr: io.Discard}
					ended <- frame.Run(t.Context(), env, root, append([]string{"store"}, c.options...))
				}()
				synctest.Wait()
				if got := under.Load(); got != c.atOnce {
					t.Errorf("got %d at once; want %d", got, c.atOnce)
				}
				close(proceed)
				if code := <-ended; code != 0 || all.Load() != int64(len(c.items)) {
					t.Errorf("got exit code %d and %d files; want 0 and %d", code, all.Load(), len(c.items))
				}
			})
		})
	}
}

func sized(n int64) piece { return piece{source: transfer.Source{Size: n}} }

// storing is a command that does something to each of the items.
func storing(items []piece, do func()) *frame.Command {
	run := func(ctx context.Context, c *frame.Call) error {
		b, err := newStoring(c, "stored")
		if err != nil {
			return err
		}
		all := func(yield func(piece, error) bool) {
			for _, p := range items {
				if !yield(p, nil) {
					return
				}
			}
		}
		return each(ctx, b, all, func(context.Context, piece) (outcome, error) {
			do()
			return done, nil
		})
	}
	return &frame.Command{Name: "test", Sub: []*frame.Command{{Name: "store", Options: []frame.Option{storingOption}, Run: run}}}
}
