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
	mu    sync.Mutex // guards what follows
	crews []*share   // in the order in which they were hired
	all   int        // rows in hand
}

// share is a crew's part in the hands.
type share struct {
	crew    *Crew
	workers int
	busy    int           // rows in hand
	turn    chan struct{} // closed when a hand is given to the crew; nil unless it waits for one
}

// hire says how many workers a crew wants.
func (h *Hands) hire(c *Crew, workers int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.shareLocked(c)
	if s == nil {
		s = &share{crew: c}
		h.crews = append(h.crews, s)
	}
	s.workers = workers
	h.giveLocked()
}

func (h *Hands) shareLocked(c *Crew) *share {
	for _, s := range h.crews {
		if s.crew == c {
			return s
		}
	}
	return nil
}

// take asks for a hand for one more row of a crew, and returns what is closed when the crew
// has it. Then it must be given back with [Hands.free]; who does not wait for it must
// [Hands.leave]. A crew asks for one at a time.
func (h *Hands) take(c *Crew) (turn <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.shareLocked(c)
	s.turn = make(chan struct{})
	turn = s.turn
	h.giveLocked()
	return turn
}

// leave gives up what take promised, or has given.
func (h *Hands) leave(c *Crew) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.shareLocked(c)
	if s.turn != nil {
		s.turn = nil
		return
	}
	h.freeLocked(s)
}

func (h *Hands) free(c *Crew) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.freeLocked(h.shareLocked(c))
}

func (h *Hands) freeLocked(s *share) {
	s.busy--
	h.all--
	h.giveLocked()
}

// giveLocked gives what hands there are to crews that wait, first to those with the smallest
// part of their workers at work.
func (h *Hands) giveLocked() {
	for {
		var next *share
		for _, s := range h.crews {
			if s.turn != nil && h.mayLocked(s) && (next == nil || s.busy*next.workers < next.busy*s.workers) {
				next = s
			}
		}
		if next == nil {
			return
		}
		next.busy++
		h.all++
		close(next.turn)
		next.turn = nil
	}
}

func (h *Hands) mayLocked(s *share) bool {
	most := 0
	for _, s := range h.crews {
		most = max(most, s.workers)
	}
	return h.all < most || s.busy < max(s.workers/4, 1)
}
