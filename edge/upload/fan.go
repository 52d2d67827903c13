package upload

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/mogilefs/caddy-mogilefs/edge/buffer"
)

// Copy is a copy that is being written.
type Copy interface {
	io.Writer
	// Commit makes the copy whole and durable. After an error there is no copy, and Abort
	// need not be called.
	Commit() error
	// Abort leaves nothing behind.
	Abort()
}

// Fan writes one stream to several copies at once. It is as fast as the slowest of them, so
// that what is on its way takes no more room than one piece; but a copy that does not take
// its piece in time has failed, and those that failed keep nobody waiting.
//
// It may be used by one goroutine at a time. Whoever makes one ends it with Commit or Abort.
type Fan struct {
	members []*member
	need    int // how many must go on; with fewer, Write fails
	limits  Limits
	// piece is what the members are writing. A member that is late may go on reading its
	// piece, so that the next is another.
	piece []byte
}

// Limits are how long a copy may take.
type Limits struct {
	// Write is for the next bytes, Commit for becoming durable.
	Write, Commit time.Duration
}

// ErrLate is why a copy failed that took longer than the limits say.
var ErrLate = errors.New("copy took too long")

// member writes one copy, in a goroutine of its own.
type member struct {
	dst  Copy
	in   chan []byte // closed by the Fan: no more comes
	out  chan error  // an answer for each piece, and for Commit; has room for one that nobody awaits
	keep bool        // set before in is closed

	running sync.WaitGroup // ends when the copy was committed or aborted, in time or not

	err  error // why it failed; the Fan's
	late bool  // still at what it failed with
	done bool  // in is closed
}

// NewFan begins to write copies, of which as many must go on as are needed: one at least.
func NewFan(copies []Copy, need int, limits Limits) *Fan {
	f := &Fan{need: max(need, 1), limits: limits}
	for _, dst := range copies {
		m := &member{dst: dst, in: make(chan []byte, 1), out: make(chan error, 1)}
		f.members = append(f.members, m)
		m.running.Go(m.run)
	}
	return f
}

func (m *member) run() {
	for p := range m.in {
		_, err := m.dst.Write(p)
		m.out <- err
	}
	if m.keep {
		m.out <- m.dst.Commit()
		return
	}
	m.dst.Abort()
}

// end tells the member that nothing comes any more.
func (m *member) end(keep bool) {
	if !m.done {
		m.done, m.keep = true, keep
		close(m.in)
	}
}

// fail gives the member up.
func (m *member) fail(err error) {
	m.err = err
	m.end(false)
}

// await waits for the member's answer until over, and takes one that is there even then.
func (m *member) await(over <-chan time.Time) {
	var err error
	select {
	case err = <-m.out:
	case <-over:
		select {
		case err = <-m.out:
		default:
			m.late, err = true, ErrLate
		}
	}
	if err != nil {
		m.fail(err)
	}
}

// awaitAll waits for the answers of those that have not failed, and returns how many still
// have not.
func (f *Fan) awaitAll(patience time.Duration) (well int) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	over := timer.C
	for _, m := range f.members {
		if m.err != nil {
			continue
		}
		if m.await(over); m.late {
			// One channel tells one waiter; the others are as late.
			passed := make(chan time.Time)
			close(passed)
			over = passed
		}
		if m.err == nil {
			well++
		}
	}
	return well
}

// Write returns when all copies took p, or failed.
func (f *Fan) Write(p []byte) (int, error) {
	if f.anyLate() || cap(f.piece) < len(p) {
		f.piece = make([]byte, max(len(p), buffer.Size))
	}
	piece := f.piece[:copy(f.piece[:len(p)], p)]
	for _, m := range f.members {
		if m.err == nil {
			m.in <- piece
		}
	}
	if f.awaitAll(f.limits.Write) < f.need {
		return 0, f.failures()
	}
	return len(p), nil
}

// anyLate reports whether somebody may still read the piece.
func (f *Fan) anyLate() bool {
	for _, m := range f.members {
		if m.late {
			return true
		}
	}
	return false
}

// failures is why copies failed.
func (f *Fan) failures() error {
	var errs []error
	for _, m := range f.members {
		errs = append(errs, m.err)
	}
	return fmt.Errorf("too many copies failed: %w", errors.Join(errs...))
}

// Commit makes the copies durable, all at once, and returns how many are. Err says which.
func (f *Fan) Commit() int {
	for _, m := range f.members {
		m.end(true)
	}
	well := f.awaitAll(f.limits.Commit)
	f.wait()
	return well
}

// Abort leaves nothing behind.
func (f *Fan) Abort() {
	for _, m := range f.members {
		m.end(false)
	}
	f.wait()
}

func (f *Fan) wait() {
	for _, m := range f.members {
		if !m.late {
			m.running.Wait()
		}
	}
}

// Err is why copy i failed, in the order of NewFan; nil when it did not.
func (f *Fan) Err(i int) error { return f.members[i].err }

// Late has a function for each copy that was given up and has not returned: it waits until
// the copy was aborted or, when it was its Commit that took too long, is there or not.
func (f *Fan) Late() (wait []func()) {
	for _, m := range f.members {
		if m.late {
			wait = append(wait, m.running.Wait)
		}
	}
	return wait
}
