package storage

import (
	"sync"
	"sync/atomic"

	"github.com/mogilefs/caddy-mogilefs/storage/openfiles"
)

const (
	// largeLen is what one read of a body or a file asks for: enough to make the calls
	// of the system cheap beside the bytes.
	largeLen = 128 << 10
	// smallLen is for a client of whose body less than that is there at a time.
	smallLen = 4 << 10
	// maxLarge is how many large buffers are in use at once, 32 MiB in all. A client
	// may hold one for as long as it likes to take; the others get by without.
	maxLarge = 256
)

// buffers lends memory for bytes on their way. The zero value is ready.
type buffers struct {
	small, large sync.Pool
	lent         atomic.Int32 // large ones
}

// tryLarge returns a large buffer, or nil when too many are in use.
func (b *buffers) tryLarge() *[largeLen]byte {
	if b.lent.Add(1) > maxLarge {
		b.lent.Add(-1)
		return nil
	}
	return b.pooledLarge()
}

// getLarge returns a large buffer in any case, for work that no client can draw out.
func (b *buffers) getLarge() *[largeLen]byte {
	b.lent.Add(1)
	return b.pooledLarge()
}

func (b *buffers) pooledLarge() *[largeLen]byte {
	if p, ok := b.large.Get().(*[largeLen]byte); ok {
		return p
	}
	return new([largeLen]byte)
}

// putLarge takes a large buffer back; nil is none.
func (b *buffers) putLarge(p *[largeLen]byte) {
	if p != nil {
		b.large.Put(p)
		b.lent.Add(-1)
	}
}

func (b *buffers) getSmall() *[smallLen]byte {
	if p, ok := b.small.Get().(*[smallLen]byte); ok {
		return p
	}
	return new([smallLen]byte)
}

func (b *buffers) putSmall(p *[smallLen]byte) { b.small.Put(p) }

// A large buffer takes a file that others may read at the same time.
var _ [largeLen - openfiles.MaxShared]byte
