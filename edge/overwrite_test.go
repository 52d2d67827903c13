package edge_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mogilefs/caddy-mogilefs/cache"
	"github.com/mogilefs/caddy-mogilefs/edge"
)

// numbered is a content that says which one it is, all over.
func numbered(number uint64) []byte {
	b := make([]byte, 1000+number%7*100)
	for i := 0; i+8 <= len(b); i += 8 {
		binary.BigEndian.PutUint64(b[i:], number)
	}
	return b
}

// TestReadNeverShowsLessThanAnAnsweredWrite lets 32 clients write and read a few keys
// through one edge. Each content begins with its number; a read that began after a
// write was answered must show that number or a higher one, and all of one content.
func TestReadNeverShowsLessThanAnAnsweredWrite(t *testing.T) {
	for name, contents := range map[string]cache.ContentsConfig{
		"from disks":  {},
		"from memory": {Bytes: 1 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			h := build(t, func(c *edge.Config) {
				c.Timeouts = edge.Timeouts{Idle: 5 * time.Second}
				if contents.Bytes > 0 {
					withContents(t, contents)(c)
				}
			})
			h.toDisks()
			readAndWrite(t, h)
		})
	}
}

func readAndWrite(t *testing.T, h *house) {
	const clients, keys, rounds = 32, 4, 40
	var truths [keys]struct {
		mu       sync.Mutex // held by a writer from its number to its answer
		next     uint64
		answered atomic.Uint64
	}
	write := func(i int) {
		tr := &truths[i]
		tr.mu.Lock()
		defer tr.mu.Unlock()
		tr.next++
		h.put(fmt.Sprint("k", i), numbered(tr.next)).want(t, http.StatusCreated)
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
		got.wantBody(t, http.StatusOK, numbered(number))
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

// TestChangesOfAnotherEdgeShowWithinTheTTL lets one edge write a key that another edge
// reads all the time. What was answered a TTL before a read began must show.
func TestChangesOfAnotherEdgeShowWithinTheTTL(t *testing.T) {
	const ttl, changes = 20 * time.Millisecond, 60
	writer := build(t)
	writer.toDisks()
	reader := build(t, withContents(t, cache.ContentsConfig{Bytes: 1 << 20}), func(c *edge.Config) {
		locations, err := cache.NewLocations(cache.Config{TTL: ttl, NegativeTTL: ttl})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(locations.Close)
		c.Locations, c.Tracker, c.Disks = locations, writer.tracker, writer.disks
	})
	var mu sync.Mutex // guards answered
	answered := []time.Time{time.Now()}
	stop := make(chan struct{})
	var running sync.WaitGroup
	for range 4 {
		running.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				began := time.Now()
				got := reader.get("k")
				mu.Lock()
				least, _ := slices.BinarySearchFunc(answered, began.Add(-ttl), func(a, t time.Time) int { return a.Compare(t) })
				mu.Unlock()
				if least--; got.StatusCode == http.StatusNotFound && least <= 0 {
					continue
				}
				got.want(t, http.StatusOK)
				number := binary.BigEndian.Uint64(got.body)
				got.wantBody(t, http.StatusOK, numbered(number))
				if number < uint64(max(least, 0)) {
					t.Errorf("got content %d; want %d or newer", number, least)
				}
			}
		})
	}
	for n := range uint64(changes) {
		writer.put("k", numbered(n+1)).want(t, http.StatusCreated)
		mu.Lock()
		answered = append(answered, time.Now())
		mu.Unlock()
	}
	close(stop)
	running.Wait()
	eventually(t, "last content at the other edge", func() bool {
		return binary.BigEndian.Uint64(reader.get("k").body) == changes
	})
	writer.srv.Close() // the other house looks for what it left, and would find these connections
}
