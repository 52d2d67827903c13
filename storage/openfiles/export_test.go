package openfiles

import (
	"hash/maphash"
	"time"
)

// Keeps reports whether a file is kept open.
func (s *Set[T]) Keeps(name string) bool {
	slot := &s.slots[maphash.String(s.seed, name)%openSlots]
	slot.mu.Lock()
	defer slot.mu.Unlock()
	return slot.file != nil && slot.file.name == name
}

// KeepAfter sets how long nothing must have happened to a file for it to be kept.
func (s *Set[T]) KeepAfter(d time.Duration) { s.settled = d }
