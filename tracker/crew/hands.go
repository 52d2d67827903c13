package crew

import "sync"

// Hands are shared by crews that share a machine with what serves clients. A crew that has
// much to do alone uses all its workers. When several have, each has only its least in hand:
// else each would keep processors and disks as busy as it can alone, and a client would wait
// for all of them.
//
// The least of an urgent crew is an eighth of its workers, that of others a sixteenth, and one
// in any case. Every crew may always use it, so that rows which take long hold up no other
// crew. The zero value is ready.
type Hands struct {
	mu    sync.Mutex // guards what follows
	crews []*share   // in the order in which they were hired
}

// share is a crew's part in the hands.
type share struct {
	crew           *Crew
	workers, least int
	busy           int           // rows in hand
	turn           chan struct{} // closed when a hand is given to the crew; nil unless it waits for one
	much           bool          // it asked for more than its least, and has not been idle since
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
	s.workers, s.least = workers, max(workers/parts(c.urgent), 1)
	h.giveLocked()
}

// parts is into how many parts a crew's workers are divided, of which one is its least.
func parts(urgent bool) int {
	if urgent {
		return 8
	}
	return 16
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
	turn, s.much = s.turn, s.much || s.busy >= s.least
	h.giveLocked()
	return turn
}

// leave gives up what take promised, or has given.
func (h *Hands) leave(c *Crew) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.shareLocked(c)
	if s.turn != nil { // not given yet
		s.turn = nil
		s.busy++
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
	s.much = s.much && (s.busy > 0 || s.turn != nil)
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
		close(next.turn)
		next.turn = nil
	}
}

func (h *Hands) mayLocked(s *share) bool {
	if s.busy < s.least {
		return true
	}
	for _, other := range h.crews {
		if other != s && other.much {
			return false
		}
	}
	return s.busy < s.workers
}
