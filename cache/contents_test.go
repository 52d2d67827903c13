package cache_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"testing/synctest"

	"github.com/mogilefs/caddy-mogilefs/cache"
	"github.com/mogilefs/caddy-mogilefs/mogile"
)

func newContents(t testing.TB, config cache.ContentsConfig) *cache.Contents {
	t.Helper()
	c, err := cache.NewContents(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// text is what a fid's content is: n bytes that no other fid has.
func text(fid mogile.FID, n int) []byte {
	rnd := rand.NewChaCha8([32]byte{byte(fid), byte(fid >> 8), byte(fid >> 16), byte(fid >> 24)})
	b := make([]byte, n)
	_, _ = rnd.Read(b)
	return b
}

// filling is a fill that brings what it is given; times counts how often.
func filling(content []byte, times *atomic.Int64) cache.Fill {
	return func(_ context.Context, to *cache.Filling) error {
		if times != nil {
			times.Add(1)
		}
		_, err := to.Write(content)
		return err
	}
}

// read reads the content to its end and releases it.
func read(ctx context.Context, x *cache.Content, length int) ([]byte, error) {
	defer x.Release()
	var got []byte
	for len(got) < length {
		p, err := x.From(ctx, int64(len(got)))
		if err != nil {
			return got, err
		}
		got = append(got, p...)
	}
	return got, nil
}

// put has a content in the cache, which must have room.
func put(t testing.TB, c *cache.Contents, fid mogile.FID, content []byte) {
	t.Helper()
	x, _ := c.Join(cache.Wanted{FID: fid, Length: int64(len(content))}, filling(content, nil))
	if x == nil {
		t.Fatalf("fid %d can't be fetched", fid)
	}
	if got, err := read(t.Context(), x, len(content)); err != nil || !bytes.Equal(got, content) {
		t.Fatalf("fid %d: got %d bytes, %v; want %d", fid, len(got), err, len(content))
	}
	awaitKept(c, fid, len(content))
}

// awaitKept waits until a fill has ended and the content can be had.
func awaitKept(c *cache.Contents, fid mogile.FID, length int) {
	for {
		if x := c.Get(fid, int64(length)); x != nil {
			x.Release()
			return
		}
		runtime.Gosched()
	}
}

func wantUnderWay(t *testing.T, c *cache.Contents, want int64) {
	t.Helper()
	if got := c.UnderWay(); got != want {
		t.Errorf("got %d bytes under way; want %d", got, want)
	}
}

func TestReadersOfOneContentShareOneFill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newContents(t, cache.ContentsConfig{})
		content := text(1, 5000)
		var fills atomic.Int64
		step := make(chan struct{})
		fill := func(_ context.Context, to *cache.Filling) error {
			fills.Add(1)
			if _, err := to.Write(content[:2000]); err != nil {
				return err
			}
			<-step
			_, err := to.ReadFrom(iotest.OneByteReader(bytes.NewReader(content[2000:])))
			return err
		}
		var readers sync.WaitGroup
		var seen, began atomic.Int64
		for range 100 {
			readers.Go(func() {
				x, first := c.Join(cache.Wanted{FID: 1, Length: 5000}, fill)
				if first {
					began.Add(1)
				}
				if p, err := x.From(t.Context(), 0); err == nil && bytes.Equal(p, content[:2000]) {
					seen.Add(1)
				}
				if got, err := read(t.Context(), x, 5000); err != nil || !bytes.Equal(got, content) {
					t.Errorf("got %d bytes, %v; want 5000", len(got), err)
				}
			})
		}
		synctest.Wait()
		if seen.Load() != 100 || began.Load() != 1 || fills.Load() != 1 {
			t.Errorf("got %d readers with the first bytes, %d who began, %d fills; want 100, 1, 1", seen.Load(), began.Load(), fills.Load())
		}
		if x := c.Get(1, 5000); x != nil {
			t.Error("got a content of which only a part has come; want none")
		}
		close(step)
		readers.Wait()
		synctest.Wait()
		wantUnderWay(t, c, 0)
		x := c.Get(1, 5000)
		if x == nil {
			t.Fatal("got nothing; want the content kept")
		}
		if p, err := x.From(t.Context(), 4000); err != nil || !bytes.Equal(p, content[4000:]) || !x.IsWhole() {
			t.Errorf("got %d bytes, %v; want the last 1000", len(p), err)
		}
		x.Release()
		if x, first := c.Join(cache.Wanted{FID: 1, Length: 5000}, nil); x == nil || first {
			t.Error("got a new fill; want what is kept")
		} else {
			x.Release()
		}
	})
}

func TestFillThatFailsLeavesNothing(t *testing.T) {
	down := errors.New("down")
	for name, c := range map[string]struct {
		fill cache.Fill
		want string
	}{
		"error": {func(_ context.Context, to *cache.Filling) error {
			_, _ = to.Write([]byte("some"))
			return down
		}, "down"},
		"too short": {func(_ context.Context, to *cache.Filling) error {
			_, err := to.Write([]byte("some"))
			return err
		}, "4 bytes came; want 10"},
		"too long": {func(_ context.Context, to *cache.Filling) error {
			_, err := to.Write([]byte("more than it should be"))
			return err
		}, "longer"},
		"reader": {func(_ context.Context, to *cache.Filling) error {
			_, err := to.ReadFrom(io.MultiReader(strings.NewReader("some"), iotest.ErrReader(down)))
			return err
		}, "down"},
		"panic": {func(context.Context, *cache.Filling) error { panic("boom") }, "boom"},
		"exit": {func(context.Context, *cache.Filling) error {
			runtime.Goexit()
			return nil
		}, "without an answer"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for _, whole := range []bool{false, true} {
					l := newContents(t, cache.ContentsConfig{})
					x, _ := l.Join(cache.Wanted{FID: 1, Length: 10, Whole: whole}, c.fill)
					got, err := read(t.Context(), x, 10)
					if name == "too long" && !whole {
						if err != nil || string(got) != "more than " { // the end may be seen first
							t.Errorf("got %q, %v; want what was to come", got, err)
						}
					} else if err == nil || !strings.Contains(err.Error(), c.want) || whole && len(got) > 0 {
						t.Errorf("whole %t: got %q, %v; want an error with %q", whole, got, err, c.want)
					}
					synctest.Wait()
					if x := l.Get(1, 10); x != nil {
						t.Error("got a content that did not come; want none")
					}
					if x, began := l.Join(cache.Wanted{FID: 1, Length: 10}, filling([]byte("0123456789"), nil)); !began {
						t.Error("joined a fill that failed; want a new one")
					} else if got, err := read(t.Context(), x, 10); err != nil || string(got) != "0123456789" {
						t.Errorf("afterwards: got %q, %v; want the content", got, err)
					}
					synctest.Wait()
					wantUnderWay(t, l, 0)
				}
			})
		})
	}
}

func TestNothingIsShownBeforeTheFillSaysThatAllIsRight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newContents(t, cache.ContentsConfig{})
		right := make(chan struct{})
		x, _ := c.Join(cache.Wanted{FID: 1, Length: 4, Whole: true}, func(_ context.Context, to *cache.Filling) error {
			_, _ = to.Write([]byte("evil"))
			if !to.Restart() {
				t.Error("got no restart; want one: nothing was shown")
			}
			_, err := to.Write([]byte("good"))
			<-right
			return err
		})
		synctest.Wait()
		if x.IsWhole() {
			t.Error("got all of it before the fill ended; want nothing")
		}
		close(right)
		if got, err := read(t.Context(), x, 4); err != nil || string(got) != "good" {
			t.Errorf("got %q, %v; want %q", got, err, "good")
		}
		shown, _ := c.Join(cache.Wanted{FID: 2, Length: 4}, func(_ context.Context, to *cache.Filling) error {
			_, _ = to.Write([]byte("ev"))
			if to.Restart() {
				t.Error("got a restart after bytes were shown; want none")
			}
			return errors.New("wrong")
		})
		shown.Release()
	})
}

func TestContentTooLongToKeepIsSharedAsLongAsItIsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newContents(t, cache.ContentsConfig{Bytes: 8 << 20, MaxFile: 1000})
		content := text(1, 1<<20)
		var fills atomic.Int64
		want := cache.Wanted{FID: 1, Length: 1 << 20}
		first, _ := c.Join(want, filling(content, &fills))
		synctest.Wait()
		late, began := c.Join(want, filling(content, &fills))
		if began {
			t.Error("got a second fill although the first content is still read; want one")
		}
		first.Release()
		if got, err := read(t.Context(), late, 1<<20); err != nil || !bytes.Equal(got, content) {
			t.Errorf("got %d bytes, %v; want all", len(got), err)
		}
		wantUnderWay(t, c, 0)
		if x := c.Get(1, 1<<20); x != nil {
			t.Error("got a content that is too long; want it gone")
		}
		again, began := c.Join(want, filling(content, &fills))
		again.Release()
		if !began {
			t.Error("got what nobody read any more; want a new fill")
		}
		if x, _ := c.Join(cache.Wanted{FID: 2, Length: 1<<20 + 1}, nil); x != nil {
			t.Error("shared more than an eighth of the memory; want the caller on its own")
		}
	})
}

func TestLastReaderToLeaveEndsTheFill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newContents(t, cache.ContentsConfig{})
		var ended atomic.Int64
		hang := func(ctx context.Context, _ *cache.Filling) error {
			<-ctx.Done()
			ended.Add(1)
			return ctx.Err()
		}
		want := cache.Wanted{FID: 1, Length: 4}
		a, _ := c.Join(want, hang)
		b, _ := c.Join(want, hang)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := a.From(ctx, 0); !errors.Is(err, context.Canceled) {
			t.Errorf("who left: got %v; want %v", err, context.Canceled)
		}
		a.Release()
		synctest.Wait()
		if ended.Load() != 0 {
			t.Error("the fill ended although somebody follows it")
		}
		b.Release()
		x, began := c.Join(want, filling([]byte("good"), nil)) // does not join what was given up
		if got, err := read(t.Context(), x, 4); !began || err != nil || string(got) != "good" {
			t.Errorf("got %q, %v, began %t; want a fill of its own", got, err, began)
		}
		synctest.Wait()
		if ended.Load() != 1 {
			t.Errorf("got %d fills ended; want 1", ended.Load())
		}
		wantUnderWay(t, c, 0)
	})
}

func TestMemoryUnderWayIsBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newContents(t, cache.ContentsConfig{Bytes: 8 << 20, MaxFile: 1 << 20})
		var held []*cache.Content
		for fid := mogile.FID(1); ; fid++ {
			x, _ := c.Join(cache.Wanted{FID: fid, Length: 300 << 10}, filling(text(fid, 300<<10), nil))
			if x == nil {
				break
			}
			synctest.Wait() // it is kept, or others are dropped, or it is
			held = append(held, x)
			if len(held) > 100 {
				t.Fatal("got no end of contents that are read")
			}
		}
		// 6 MiB may be kept and 2 MiB under way.
		if got := len(held) * 300 << 10; got > 8<<20 || got < 6<<20 {
			t.Errorf("got %d bytes in memory that are read; want between 6 and 8 MiB", got)
		}
		for _, x := range held {
			x.Release()
		}
		wantUnderWay(t, c, 0)
		put(t, c, 1000, text(1000, 300<<10))
	})
}

func TestOftenReadContentsOutliveAScan(t *testing.T) {
	c := newContents(t, cache.ContentsConfig{Bytes: 4 << 20, MaxFile: 64 << 10})
	hot := []mogile.FID{1, 2, 3, 4, 5, 6, 7, 8}
	length := 16 << 10
	ask := func(fid mogile.FID) (known bool) {
		if x := c.Get(fid, int64(length)); x != nil {
			x.Release()
			return true
		}
		if x, _ := c.Join(cache.Wanted{FID: fid, Length: int64(length)}, filling(make([]byte, length), nil)); x != nil {
			_, _ = x.From(t.Context(), 0)
			x.Release()
		}
		return false
	}
	hits, rounds := 0, 0
	for fid := mogile.FID(1000); fid < 3500; fid++ { // 40 MiB, once each
		ask(fid)
		for _, h := range hot {
			rounds++
			if ask(h) {
				hits++
			}
		}
	}
	if hits < rounds*9/10 {
		t.Errorf("got %d hits of %d for what is asked for all the time; want nine in ten", hits, rounds)
	}
}

func TestContentMemoryIsBoundUnderAScan(t *testing.T) {
	const limit = 8 << 20
	for length, keys := range map[int]int{700: *scanned / 2, 30 << 10: *scanned / 20} {
		before := heap()
		c := newContents(t, cache.ContentsConfig{Bytes: limit, MaxFile: 64 << 10})
		content := make([]byte, length)
		fill := filling(content, nil)
		for i := range keys {
			if x, _ := c.Join(cache.Wanted{FID: mogile.FID(i + 1), Length: int64(length)}, fill); x != nil {
				_, _ = x.From(t.Context(), 0)
				x.Release()
			}
		}
		used := heap() - before
		t.Logf("%d contents of %d bytes: %d KiB of %d KiB", keys, length, used>>10, limit>>10)
		if used > limit {
			t.Errorf("got %d bytes in use after %d contents; want at most %d", used, keys, limit)
		}
		if used < limit/2 {
			t.Errorf("got %d bytes in use; want most of %d: contents are counted too high", used, limit)
		}
		c.Close()
	}
}

func TestCloseEndsFillsAndLeavesReadersWhatTheyHave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newContents(t, cache.ContentsConfig{})
		put(t, c, 1, []byte("kept"))
		kept := c.Get(1, 4)
		coming, _ := c.Join(cache.Wanted{FID: 2, Length: 4}, func(ctx context.Context, to *cache.Filling) error {
			_, _ = to.Write([]byte("so"))
			<-ctx.Done()
			return ctx.Err()
		})
		synctest.Wait()
		c.Close()
		if p, err := coming.From(t.Context(), 0); err != nil || string(p) != "so" {
			t.Errorf("got %q, %v; want what had come", p, err)
		}
		if _, err := coming.From(t.Context(), 2); !errors.Is(err, cache.ErrGivenUp) {
			t.Errorf("got %v; want %v", err, cache.ErrGivenUp)
		}
		coming.Release()
		if got, err := read(t.Context(), kept, 4); err != nil || string(got) != "kept" {
			t.Errorf("got %q, %v; want %q", got, err, "kept")
		}
		c.Close() // again
		if x := c.Get(1, 4); x != nil {
			t.Error("got a content from a closed cache; want none")
		}
		if x, _ := c.Join(cache.Wanted{FID: 1, Length: 4}, nil); x != nil {
			t.Error("joined in a closed cache; want the caller on its own")
		}
		if c.Remove(1) || c.RemoveAll() != 0 {
			t.Error("removed something from a closed cache; want nothing")
		}
		wantUnderWay(t, c, 0)
	})
}

func TestRemovedContentIsForgottenAndNotKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newContents(t, cache.ContentsConfig{})
		put(t, c, 1, []byte("kept"))
		put(t, c, 3, []byte("more"))
		step := make(chan struct{})
		x, _ := c.Join(cache.Wanted{FID: 2, Length: 4}, func(_ context.Context, to *cache.Filling) error {
			<-step
			_, err := to.Write([]byte("late"))
			return err
		})
		if !c.Remove(1) || !c.Remove(2) || c.Remove(2) || c.Remove(4) {
			t.Error("got other answers than: 1 and 2 are there, 2 is not there any more, 4 never was")
		}
		close(step)
		if got, err := read(t.Context(), x, 4); err != nil || string(got) != "late" {
			t.Errorf("who reads: got %q, %v; want %q", got, err, "late")
		}
		synctest.Wait()
		for _, fid := range []mogile.FID{1, 2} {
			if x := c.Get(fid, 4); x != nil {
				t.Errorf("got fid %d; want it removed", fid)
			}
		}
		if n := c.RemoveAll(); n != 1 || c.Get(3, 4) != nil {
			t.Errorf("got %d removed; want 1, and fid 3 gone", n)
		}
		wantUnderWay(t, c, 0)
	})
}

func TestContentOfAnotherLengthIsAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newContents(t, cache.ContentsConfig{})
		put(t, c, 1, []byte("long one"))
		if x := c.Get(1, 4); x != nil {
			t.Error("got a content of 8 bytes; want none of 4")
		}
		put(t, c, 1, []byte("four"))
		if x := c.Get(1, 8); x != nil {
			t.Error("got what was replaced; want none")
		}
	})
}

// TestEveryReaderGetsItsContent has many read, leave early, and remove, and then looks
// whether anything is held that nobody has.
func TestEveryReaderGetsItsContent(t *testing.T) {
	const fids, readers, rounds = 40, 16, 400
	c := newContents(t, cache.ContentsConfig{Bytes: 1 << 20, MaxFile: 40 << 10})
	contents := make([][]byte, fids)
	for i := range contents {
		contents[i] = text(mogile.FID(i+1), 1000+i*1500)
	}
	var running sync.WaitGroup
	for r := range readers {
		rnd := rand.New(rand.NewPCG(3, uint64(r)))
		running.Go(func() {
			for range rounds {
				i := rnd.IntN(fids)
				fid, content := mogile.FID(i+1), contents[i]
				if rnd.IntN(20) == 0 {
					c.Remove(fid)
				}
				x := c.Get(fid, int64(len(content)))
				if x == nil {
					x, _ = c.Join(cache.Wanted{FID: fid, Length: int64(len(content)), Whole: i%2 == 0},
						func(_ context.Context, to *cache.Filling) error {
							_, err := to.ReadFrom(bytes.NewReader(content))
							return err
						})
				}
				switch {
				case x == nil:
				case rnd.IntN(10) == 0:
					x.Release()
				default:
					if got, err := read(t.Context(), x, len(content)); err != nil || !bytes.Equal(got, content) {
						t.Errorf("fid %d: got %d bytes, %v; want its own %d", fid, len(got), err, len(content))
					}
				}
			}
		})
	}
	running.Wait()
	c.Close()
	wantUnderWay(t, c, 0)
}

func TestContentHitAllocatesNothing(t *testing.T) {
	c := newContents(t, cache.ContentsConfig{})
	put(t, c, 1, make([]byte, 30<<10))
	if got := testing.AllocsPerRun(1000, func() {
		x := c.Get(1, 30<<10)
		if _, err := x.From(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
		x.Release()
	}); got != 0 {
		t.Errorf("got %v allocations for a hit; want 0", got)
	}
}

func TestContentsConfigIsChecked(t *testing.T) {
	for _, c := range []struct {
		config cache.ContentsConfig
		ok     bool
	}{
		{cache.ContentsConfig{}, true},
		{cache.ContentsConfig{Bytes: 1 << 20}, true},
		{cache.ContentsConfig{Bytes: 1<<20 - 1}, false},
		{cache.ContentsConfig{Bytes: -1}, false},
		{cache.ContentsConfig{Bytes: 8 << 20, MaxFile: 1 << 20}, true},
		{cache.ContentsConfig{Bytes: 8 << 20, MaxFile: 1<<20 + 1}, false},
		{cache.ContentsConfig{MaxFile: -1}, false},
	} {
		got, err := cache.NewContents(c.config)
		if (err == nil) != c.ok {
			t.Errorf("%+v: got %v; want ok=%t", c.config, err, c.ok)
		}
		if err == nil {
			got.Close()
		}
	}
}

func BenchmarkContentHit(b *testing.B) {
	c := newContents(b, cache.ContentsConfig{})
	put(b, c, 1, make([]byte, 30<<10))
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			x := c.Get(1, 30<<10)
			if _, err := x.From(b.Context(), 0); err != nil {
				b.Fatal(err)
			}
			x.Release()
		}
	})
}
