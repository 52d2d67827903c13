package edge_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mogilefs/caddy-mogilefs/edge"
)

// TestReadNeverShowsLessThanAnAnsweredWrite lets 32 clients write and read a few keys
// through one edge. Each content begins with its number; a read that began after a
// write was answered must show that number or a higher one, and all of one content.
func TestReadNeverShowsLessThanAnAnsweredWrite(t *testing.T) {
	const clients, keys, rounds = 32, 4, 40
	h := build(t, func(c *edge.Config) { c.Timeouts = edge.Timeouts{Idle: 5 * time.Second} })
	h.toDisks()
	var truths [keys]struct {
		mu       sync.Mutex // held by a writer from its number to its answer
		next     uint64
		answered atomic.Uint64
	}
	content := func(number uint64) []byte {
		b := make([]byte, 1000+number%7*100)
		for i := 0; i+8 <= len(b); i += 8 {
			binary.BigEndian.PutUint64(b[i:], number)
		}
		return b
	}
	write := func(i int) {
		tr := &truths[i]
		tr.mu.Lock()
		defer tr.mu.Unlock()
		tr.next++
		h.put(fmt.Sprint("k", i), content(tr.next)).want(t, http.StatusCreated)
		tr.answered.Store(tr.next)
	}
	read := func(i int) {
		least := truths[i].answered.Load()
		got := h.get(fmt.Sprint("k", i))
		if got.StatusCode == http.StatusNotFound && least == 0 {
			return
		}
		got.want(t, http.StatusOK)
		number := binary.BigEndian.Uint64(got.body)
		if number < least {
			t.Errorf("key %d: got content %d; want %d or newer", i, number, least)
		}
		got.wantBody(t, http.StatusOK, content(number))
	}
	var running sync.WaitGroup
	for c := range clients {
		rnd := rand.New(rand.NewPCG(7, uint64(c)))
		running.Go(func() {
			for range rounds {
				if i := rnd.IntN(keys); rnd.IntN(4) == 0 {
					write(i)
				} else {
					read(i)
				}
			}
		})
	}
	running.Wait()
}
