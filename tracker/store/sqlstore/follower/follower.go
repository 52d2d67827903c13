// Package follower asks databases that follow a master: those that are well, and one more
// whenever there is no answer soon. It knows no database.
package follower

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"go.uber.org/zap"
)

const (
	// patience is how long one is waited for before another is asked as well: an answer
	// takes a millisecond or two.
	patience = 100 * time.Millisecond
	// longestPause bounds how long one that fails is left aside.
	longestPause = time.Hour
)

// Config is what followers have in common.
type Config struct {
	// Within bounds each question. It goes on when nobody waits for its answer any more,
	// to show whether there is one.
	Within time.Duration
	// Retry is how long one that fails is left aside, and again for each further time
	// until it answers.
	Retry time.Duration
	// Now is the clock.
	Now func() time.Time
	// WellAnswered reports whether an error is an answer of one that is well.
	WellAnswered func(error) bool
	Logger       *zap.Logger
}

// Follower is one of them.
type Follower[DB any] struct {
	// Name is what the operator calls it.
	Name string
	DB   DB

	mu       sync.Mutex // guards all below
	failures int
	// failed is when it did last, and aside until when nobody asks it.
	failed, aside time.Time
	// overdue is how many questions it has not answered though it was given time: until it
	// does, nobody else asks it.
	overdue int
}

// Set is followers that take turns. Its methods may be called by many goroutines.
type Set[DB any] struct {
	config Config
	all    []*Follower[DB]

	mu     sync.Mutex // guards closed, and asking against it
	closed bool
	asking sync.WaitGroup
}

// NewSet takes over the followers: [Set.Close] closes them.
func NewSet[DB any](config Config, all []*Follower[DB]) *Set[DB] {
	return &Set[DB]{config: config, all: all}
}

// Len is how many there are.
func (s *Set[DB]) Len() int { return len(s.all) }

// Close waits for the questions under way, and then closes each with close.
func (s *Set[DB]) Close(close func(DB) error) error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.asking.Wait()
	var errs []error
	for _, f := range s.all {
		errs = append(errs, close(f.DB))
	}
	return errors.Join(errs...)
}

// Ask asks one that is well, and the next whenever an answer does not come soon or is none.
// The first answer counts. ok is false when there is none, or only one that says that the
// answer is not there: then the master is to be asked.
func Ask[DB, V any](ctx context.Context, s *Set[DB], question func(context.Context, DB) (V, error)) (v V, ok bool) {
	type answer struct {
		v   V
		err error
	}
	left, trials := s.ready()
	answers := make(chan answer, len(left)) // nobody may be there any more to take them
	late := time.NewTimer(patience)
	defer late.Stop()
	var last *asked[DB]
	unanswered := 0
	next := func() (begun bool) {
		if len(left) == 0 {
			return false
		}
		last = &asked[DB]{of: left[0]}
		left = left[1:]
		late.Reset(patience)
		one := last.of.DB
		begun = s.begin(ctx, last, func(ctx context.Context) error {
			v, err := question(ctx, one)
			answers <- answer{v, err}
			return err
		})
		if begun {
			unanswered++
		}
		return begun
	}
	for range trials + 1 { // nobody waits for those alone
		next()
	}
	for waiting := unanswered > 0; waiting; {
		select {
		case a := <-answers:
			if a.err == nil || s.config.WellAnswered(a.err) {
				return a.v, a.err == nil
			}
			unanswered--
			next()
			waiting = unanswered > 0
		case <-late.C:
			last.late()
			waiting = next()
		case <-ctx.Done():
			waiting = false
		}
	}
	return v, false
}

// asked is one question to one of them.
type asked[DB any] struct {
	of *Follower[DB]
	// over, and overdue, are guarded by the follower's mu.
	over, overdue bool
}

// late says that there was no answer in time.
func (a *asked[DB]) late() {
	a.of.mu.Lock()
	defer a.of.mu.Unlock()
	if !a.over {
		a.overdue = true
		a.of.overdue++
	}
}

// end says that there is one, or none will come.
func (a *asked[DB]) end() {
	a.of.mu.Lock()
	defer a.of.mu.Unlock()
	a.over = true
	if a.overdue {
		a.of.overdue--
	}
}

// begin puts a question, unless the set is closed.
func (s *Set[DB]) begin(ctx context.Context, a *asked[DB], question func(context.Context) error) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.asking.Go(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.config.Within)
		defer cancel()
		began := s.config.Now()
		s.note(a.of, began, question(ctx))
		a.end()
	})
	return true
}

// ready is those that are to be asked. First come those that had failed and may be back,
// which nobody else tries meanwhile; then, in an order of chance, those that are well.
func (s *Set[DB]) ready() (ready []*Follower[DB], trials int) {
	now := s.config.Now()
	var well []*Follower[DB]
	for _, f := range s.all {
		switch s.state(f, now) {
		case isWell:
			well = append(well, f)
		case onTrial:
			ready = append(ready, f)
		}
	}
	rand.Shuffle(len(well), func(i, j int) { well[i], well[j] = well[j], well[i] })
	return append(ready, well...), len(ready)
}

// state is what a follower is to one who asks.
type state uint8

const (
	leftAside state = iota
	onTrial         // for him alone
	isWell
)

func (s *Set[DB]) state(f *Follower[DB], now time.Time) state {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.overdue > 0:
		return leftAside
	case f.failures == 0:
		return isWell
	case now.Before(f.aside):
		return leftAside
	}
	f.aside = now.Add(s.pauseLocked(f))
	return onTrial
}

func (s *Set[DB]) pauseLocked(f *Follower[DB]) time.Duration {
	return min(time.Duration(f.failures)*s.config.Retry, longestPause)
}

// note hears what became of a question. Many who fail at the same time count as one.
func (s *Set[DB]) note(f *Follower[DB], began time.Time, err error) {
	well, now := err == nil || s.config.WellAnswered(err), s.config.Now()
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case well && f.failures > 0:
		f.failures = 0
		s.config.Logger.Info("replica answers again", zap.String("setting", f.Name))
	case !well && (f.failures == 0 || !began.Before(f.failed)):
		if f.failures++; f.failures == 1 {
			s.config.Logger.Warn("replica fails; another one or the master is asked instead", zap.String("setting", f.Name), zap.Error(err))
		}
		f.failed, f.aside = now, now.Add(s.pauseLocked(f))
	}
}
