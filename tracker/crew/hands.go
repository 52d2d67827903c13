package crew

import "sync"

// Hands are shared by crews that share a machine with what serves clients. When several
// crews have much to do, they have as many rows in hand together as the largest of them has
// workers, not as all of them have: else each would keep the processors as busy as it can
// alone, and a client would wait for all of them.
//
// A crew may always use a quarter of its workers, and one at least, so that rows which take
// long hold up no other crew. The zero value is ready.
type Hands struct {
	mu      sync.Mutex // guards what follows
	crews   map[*Crew]hired
	all     int           // rows in hand
	changed chan struct{} // closed and set to nil when there may be a hand free; nil when nobody waits
}

// hired is how many workers a crew has, and how many of them have a row in hand.
type hired struct{ workers, busy int }

// hire says how many workers a crew wants.
func (h *Hands) hire(c *Crew, workers int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.crews == nil {
		h.crews = map[*Crew]hired{}
	}
	now := h.crews[c]
	now.workers = workers
	h.crews[c] = now
	h.wakeLocked()
}

// take has a hand for one more row of a crew, to be given back with [Hands.free]; else it
// says when to try again.
func (h *Hands) take(c *Crew) (ok bool, again <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.crews[c]
	if h.all >= h.mostLocked() && now.busy >= max(now.workers/4, 1) {
		if h.changed == nil {
			h.changed = make(chan struct{})
		}
		return false, h.changed
	}
	now.busy++
	h.all++
	h.crews[c] = now
	return true, nil
}

func (h *Hands) mostLocked() (most int) {
	for _, of := range h.crews {
		most = max(most, of.workers)
	}
	return most
}

func (h *Hands) free(c *Crew) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.crews[c]
	now.busy--
	h.all--
	h.crews[c] = now
	h.wakeLocked()
}

func (h *Hands) wakeLocked() {
	if h.changed != nil {
		close(h.changed)
		h.changed = nil
	}
}
