package job

import (
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/crew"
)

// story is what an operator wants to know of a file that was not replicated.
type story struct {
	class    string
	wanted   int            // the class's mindevcount
	on       []mogile.DevID // where copies are
	from, to []mogile.DevID // devices that a copy could not be made from, or to
	err      error          // of the last of them
}

// failed notes that a copy could not be made.
func (s *story) failed(way route, source bool, err error) {
	s.err = err
	if source {
		s.from = append(s.from, way.source.ID)
	} else {
		s.to = append(s.to, way.dest.ID)
	}
}

// fields are for the log.
func (s *story) fields(w crew.Work, res result, out crew.Outcome) []zap.Field {
	fields := []zap.Field{
		zap.Stringer("fid", w.FID), zap.String("because", string(res)),
		zap.String("class", s.class), zap.Int("wanted", s.wanted), zap.Uint32s("on", numbers(s.on)),
	}
	if len(s.from) > 0 {
		fields = append(fields, zap.Uint32s("not_from", numbers(s.from)))
	}
	if len(s.to) > 0 {
		fields = append(fields, zap.Uint32s("not_to", numbers(s.to)))
	}
	if s.err != nil {
		fields = append(fields, zap.Error(s.err))
	}
	fields = append(fields, zap.Int("failures", w.FailCount+1))
	switch out.Fate {
	case crew.Postponed:
		fields = append(fields, zap.Duration("again in", out.Delay))
	case crew.Parked:
		fields = append(fields, zap.String("again in", "never: nobody knows a copy; fsck searches for one"))
	}
	return fields
}

func numbers(devs []mogile.DevID) []uint32 {
	n := make([]uint32, 0, len(devs))
	for _, d := range devs {
		n = append(n, uint32(d))
	}
	slices.Sort(n)
	return slices.Compact(n)
}

const (
	// toldAtOnce is how many stories are told within tellAgain: all, while a few files fail; enough to
	// see what is wrong, when a disk with a million of them has gone.
	toldAtOnce = 100
	tellAgain  = time.Minute
)

// teller tells stories, but not thousands at once. The zero value is ready.
type teller struct {
	mu     sync.Mutex // guards what follows
	began  time.Time
	told   int
	untold int
}

// may reports whether one more is to be told, and how many were not since the last that was.
func (t *teller) may(now time.Time) (untold int, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now.Sub(t.began) >= tellAgain {
		t.began, t.told = now, 0
	}
	if t.told == toldAtOnce {
		t.untold++
		return 0, false
	}
	t.told++
	untold, t.untold = t.untold, 0
	return untold, true
}

// tell logs why a file was not replicated.
func (r *replicator) tell(w crew.Work, res result, out crew.Outcome, s *story) {
	untold, ok := r.teller.may(time.Now())
	if !ok {
		return
	}
	fields := s.fields(w, res, out)
	if untold > 0 {
		fields = append(fields, zap.Int("others before", untold))
	}
	r.log.Warn("file is not replicated", fields...)
}
