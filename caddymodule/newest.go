package caddymodule

import (
	"slices"
	"sync"
	"sync/atomic"
)

// newest is what the running configs say about a part that they share: what the newest
// of them says holds. The zero value knows of none.
type newest[T any] struct {
	current atomic.Pointer[T] // changed under mu

	mu  sync.Mutex // guards all
	all []*T
}

// get returns nil before the first.
func (n *newest[T]) get() *T { return n.current.Load() }

// use makes v what holds until end is called: then it is that of the newest config
// left. So a config that fails to start takes nothing along. The last one stays, for
// what happens while the part closes.
func (n *newest[T]) use(v *T) (end func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.all = append(n.all, v)
	n.current.Store(v)
	return func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		if i := slices.Index(n.all, v); i >= 0 {
			n.all = slices.Delete(n.all, i, i+1)
		}
		if left := len(n.all); left > 0 {
			n.current.Store(n.all[left-1])
		}
	}
}
