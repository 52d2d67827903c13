// Package dirsync bounds how many syncs of one directory are under way at a disk, and lets those
// who wait share the next.
//
// Who has changed a directory and wants that on disk calls [Syncs.Do] with what syncs it. What a
// sync is, and what is to be on disk with it, is not known here.
package dirsync

import (
	"errors"
	"sync"
)

// Syncs is what goes on with the directories of a disk. The zero value is ready.
type Syncs struct {
	mu sync.Mutex // guards all below
	of map[string]*queue
}

// queue is what goes on with one directory.
type queue struct {
	running int
	next    *round // nil when nobody waits
}

// round is one sync that everyone who joined waits for.
type round struct {
	begin, done chan struct{}
	err         error // set before done is closed
}

// atOnce is how many syncs of a directory run at a time. With one at a time nobody is in
// the disk's next commit before the last has ended and all who waited for it were told, which cost
// 16 writers a tenth of their rate; 64 at a time are more work than sharing.
const atOnce = 16

var errBroken = errors.New("sync of the directory did not end")

// Do runs sync for dir after all that the caller did before. One who comes while many
// run can't rely on those, since they may have begun before his change: he
// waits for the next, which the first of those waiting runs for all of them.
func (s *Syncs) Do(dir string, sync func() error) error {
	s.mu.Lock()
	q := s.of[dir]
	if q == nil {
		if s.of == nil {
			s.of = make(map[string]*queue)
		}
		q = new(queue)
		s.of[dir] = q
	}
	if r := q.next; r != nil {
		s.mu.Unlock()
		<-r.done
		return r.err
	}
	r := &round{begin: make(chan struct{}), done: make(chan struct{})}
	if q.running < atOnce {
		q.running++
		s.mu.Unlock()
	} else {
		q.next = r
		s.mu.Unlock()
		<-r.begin
	}
	defer s.end(dir, q, r)
	r.err = errBroken // what the others see when sync panics
	r.err = sync()
	return r.err
}

// end gives the place to those who wait, and closes their round to newcomers.
func (s *Syncs) end(dir string, q *queue, r *round) {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(r.done)
	if q.next != nil {
		close(q.next.begin)
		q.next = nil
	} else if q.running--; q.running == 0 {
		delete(s.of, dir)
	}
}
