package tally

import (
	"maps"
	"sync"
	"sync/atomic"
)

// maxRows bounds a Table: far above the commands, jobs and devices there are.
const maxRows = 4096

// Table has a T for each K that came up. The zero value is ready; its methods may be called by many
// goroutines. What comes up when it is full counts for the zero K.
type Table[K comparable, T any] struct {
	rows    atomic.Pointer[map[K]*T]
	growing sync.Mutex // held while rows changes
}

// At is the row of k.
func (t *Table[K, T]) At(k K) *T {
	if rows := t.rows.Load(); rows != nil {
		if row := (*rows)[k]; row != nil {
			return row
		}
	}
	return t.grow(k)
}

func (t *Table[K, T]) grow(k K) *T {
	t.growing.Lock()
	defer t.growing.Unlock()
	more := map[K]*T{}
	if rows := t.rows.Load(); rows != nil {
		if len(*rows) >= maxRows {
			var rest K
			k = rest
		}
		if row := (*rows)[k]; row != nil {
			return row
		}
		more = maps.Clone(*rows)
	}
	more[k] = new(T)
	t.rows.Store(&more)
	return more[k]
}

// All is the rows there are; the map must not be changed.
func (t *Table[K, T]) All() map[K]*T {
	if rows := t.rows.Load(); rows != nil {
		return *rows
	}
	return nil
}
