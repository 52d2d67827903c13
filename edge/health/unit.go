package health

import (
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// Level is how good an idea it is to read from a node or device. The higher, the worse.
type Level int32

const (
	// Good: nothing speaks against it.
	Good Level = iota
	// Doubtful: it is slow, or silent for a moment. Better than nothing.
	Doubtful
	// Bad: it failed. To be tried when there is nothing else.
	Bad
)

const (
	// firstPause is how long what failed is left alone at first: enough for all requests
	// that were under way to fail together, and little for a node that restarts.
	firstPause = 500 * time.Millisecond
	// maxPause is how rarely what is gone is asked for at last. So it is also how long a
	// node may be back without being used.
	maxPause = 15 * time.Second
	// calmFor is how long a unit has to be well for its pauses to begin anew.
	calmFor = 30 * time.Second
)

// Unit is a node or a device.
type Unit struct {
	log   *zap.Logger // says which unit it is
	level atomic.Int32
	// progress is the tick in which something came from it last.
	progress atomic.Int64
	// opening counts files that are being opened in this process, openSince is the
	// tick since when there are some.
	opening, openSince atomic.Int64
	quiet              int64 // of the board's goroutine alone

	mu sync.Mutex // guards the rest
	// failed, silent and slow are why the level is not Good.
	failed, silent, slow bool
	// asking is set between Ask and Asked.
	asking bool
	// pause is the present one, until its end, back when the unit was last found well.
	pause       time.Duration
	until, back time.Time
}

// Level is the present one.
func (u *Unit) Level() Level { return Level(u.level.Load()) }

func (u *Unit) levelLocked() {
	level := Good
	switch {
	case u.failed:
		level = Bad
	case u.silent, u.slow:
		level = Doubtful
	}
	u.level.Store(int32(level))
}

// Failed says that a request failed because of the unit, and why. Requests that were under
// way together fail together, so within a pause that is no news.
func (u *Unit) Failed(why error) {
	if u.fail() {
		u.log.Warn("left aside", zap.Error(why))
	}
}

func (u *Unit) fail() (first bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	now := time.Now()
	if u.failed && now.Before(u.until) {
		return false
	}
	first = !u.failed
	u.failed = true
	u.pauseLocked(now)
	u.levelLocked()
	return first
}

// pauseLocked begins a pause, longer than the one before unless that was long ago.
func (u *Unit) pauseLocked(now time.Time) {
	if !u.back.IsZero() && now.Sub(u.back) > calmFor {
		u.pause = 0
	}
	u.pause = min(max(2*u.pause, firstPause), maxPause)
	u.until, u.back = now.Add(u.pause), time.Time{}
}

// Well says that the unit answered as it should. That it is slow or silent is not
// contradicted by one answer.
func (u *Unit) Well() {
	if u.Level() == Bad && u.recover(false) {
		u.log.Info("back")
	}
}

// recover reports whether the unit had failed, or, if that counts, was slow.
func (u *Unit) recover(fast bool) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	was := u.failed || fast && u.slow
	u.failed, u.slow = false, u.slow && !fast
	if was && !u.slow {
		u.back = time.Now()
	}
	u.levelLocked()
	return was
}

// Ask reports whether it is time to ask the unit whether it is well again. Who is told so
// asks, and says what came of it with Asked; until then nobody else is told so.
func (u *Unit) Ask() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if !u.dueLocked() {
		return false
	}
	u.asking = true
	return true
}

// Asked ends what Ask began; err is nil when the unit answered as it should.
func (u *Unit) Asked(err error) { u.asked(err, true) }

// asked is Asked for an answer that may have been slow, and reports whether the unit is
// well and was not.
func (u *Unit) asked(err error, fast bool) bool {
	back := err == nil && u.recover(fast)
	if back {
		u.log.Info("back")
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.asking = false
	if u.failed || u.slow {
		u.pauseLocked(time.Now())
	}
	return back
}

// Try reports whether it is time for one request to go to the unit, bad as it is. The next
// one may after another pause, and not while files are being opened there: they hang.
func (u *Unit) Try() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.opening.Load() > 0 || !u.dueLocked() {
		return false
	}
	u.until = time.Now().Add(u.pause)
	return true
}

func (u *Unit) dueLocked() bool {
	return (u.failed || u.slow) && !u.asking && !time.Now().Before(u.until)
}

// setSilent says whether the unit has been silent for a moment.
func (u *Unit) setSilent(is bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.silent != is {
		u.silent = is
		u.levelLocked()
	}
}

func (u *Unit) isSilent() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.silent
}

// setSlow says that the unit is slow, and reports whether that is news.
func (u *Unit) setSlow() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.slow {
		return false
	}
	u.slow = true
	u.pauseLocked(time.Now())
	u.levelLocked()
	return true
}
