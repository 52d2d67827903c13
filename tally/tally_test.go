package tally_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/mogilefs/caddy-mogilefs/tally"
)

func TestWhatManyCountAtOnceIsAllThere(t *testing.T) {
	var (
		counter   tally.Counter
		histogram tally.Histogram
		table     tally.Table[string, tally.Counter]
		wg        sync.WaitGroup
	)
	const many, each = 16, 1000
	for i := range many {
		wg.Go(func() {
			for j := range each {
				counter.Add(2)
				histogram.Observe(time.Duration(j) * time.Millisecond)
				table.At(fmt.Sprint((i + j) % 10)).Add(1)
			}
		})
	}
	wg.Wait()
	if got := counter.Read(); got != 2*many*each {
		t.Errorf("counter: got %d; want %d", got, 2*many*each)
	}
	r := histogram.Read()
	if want := time.Duration(many*each*(each-1)/2) * time.Millisecond; r.Count != many*each || r.Sum != want {
		t.Errorf("histogram: got %d of %v; want %d of %v", r.Count, r.Sum, many*each, want)
	}
	for bound, want := range map[float64]uint64{0.0001: 1, 0.001: 2, 0.0025: 3, 0.1: 101, 0.5: 501, 1: each, 30: each} {
		if got := r.UpTo[bound]; got != want*many {
			t.Errorf("histogram: got %d up to %v s; want %d", got, bound, want*many)
		}
	}
	sum := int64(0)
	for _, c := range table.All() {
		sum += c.Read()
	}
	if len(table.All()) != 10 || sum != many*each {
		t.Errorf("table: got %d rows of %d; want 10 of %d", len(table.All()), sum, many*each)
	}
}

func TestWhatIsAboveAllBoundsCounts(t *testing.T) {
	var h tally.Histogram
	h.Observe(time.Hour)
	if r := h.Read(); r.Count != 1 || r.UpTo[30] != 0 {
		t.Errorf("got %d, %d of them up to 30 s; want 1 and 0", r.Count, r.UpTo[30])
	}
}

func TestTwoReadingsAreOne(t *testing.T) {
	var a, b tally.Histogram
	a.Observe(time.Millisecond)
	b.Observe(time.Second)
	var none tally.Reading
	got := none.And(a.Read()).And(b.Read())
	if got.Count != 2 || got.Sum != 1001*time.Millisecond || got.UpTo[0.001] != 1 || got.UpTo[1] != 2 {
		t.Errorf("got %+v; want both", got)
	}
	if r := a.Read(); r.Count != 1 || r.UpTo[1] != 1 {
		t.Errorf("got %+v of the first afterwards; want it as it was", r)
	}
}

func TestATableIsBounded(t *testing.T) {
	var table tally.Table[int, tally.Counter]
	const many = 10_000
	for i := range many {
		table.At(i + 1).Add(1)
	}
	sum := int64(0)
	for _, c := range table.All() {
		sum += c.Read()
	}
	if n := len(table.All()); n > 4097 || sum != many {
		t.Errorf("got %d rows with %d in all; want 4097 at most, with %d", n, sum, many)
	}
	if rest := table.All()[0]; rest == nil || rest.Read() == 0 {
		t.Error("got nothing in the row for the rest")
	}
}

func BenchmarkRequest(b *testing.B) {
	var e tally.Edge
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			e.Requests[tally.Get][tally.Served].Add(1)
			e.Duration[tally.Get].Observe(50 * time.Microsecond)
			e.FirstByte[tally.Local].Observe(40 * time.Microsecond)
			e.Sent[tally.Local].Add(30 << 10)
		}
	})
}
