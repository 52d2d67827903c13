// Package buffer is a pool of buffers for bytes that pass through an edge, and a bounded number of
// parts of files in them.
package buffer

import "sync"

// Size is that of a buffer: few calls for a large file, little memory for many clients.
const Size = 64 << 10

// Pool is a pool of buffers; the zero value is ready.
type Pool struct{ pool sync.Pool }

// Get returns a buffer, whose content is anything.
func (b *Pool) Get() *[Size]byte {
	if p, ok := b.pool.Get().(*[Size]byte); ok {
		return p
	}
	return new([Size]byte)
}

// Put gives a buffer back.
func (b *Pool) Put(p *[Size]byte) { b.pool.Put(p) }
