package buffer

import (
	"io"
	"sync/atomic"
)

// maxParts is how many parts are on their way to clients: what is beyond, because clients take
// long, is to be sent without a buffer.
const maxParts = 256

// Parts is a bounded number of parts of files in buffers of a pool.
type Parts struct {
	pool *Pool
	n    atomic.Int64
}

// NewParts returns none yet.
func NewParts(pool *Pool) *Parts { return &Parts{pool: pool} }

// InUse is how many have not been closed.
func (s *Parts) InUse() int64 { return s.n.Load() }

// New returns a part of so many bytes, Size at most, which are anything; nil when there are too
// many already. Close it after use.
func (s *Parts) New(n int64) *Part {
	if s.n.Add(1) > maxParts {
		s.n.Add(-1)
		return nil
	}
	p := &Part{of: s, buf: s.pool.Get()}
	p.left = p.buf[:n]
	return p
}

// Part is a part of a file in memory.
type Part struct {
	of   *Parts
	buf  *[Size]byte
	left []byte
}

// Bytes are those that have not been read.
func (p *Part) Bytes() []byte { return p.left }

func (p *Part) Read(to []byte) (int, error) {
	if len(p.left) == 0 {
		return 0, io.EOF
	}
	n := copy(to, p.left)
	p.left = p.left[n:]
	return n, nil
}

// WriteTo writes all of it at once.
func (p *Part) WriteTo(w io.Writer) (int64, error) {
	n, err := w.Write(p.left)
	p.left = p.left[n:]
	return int64(n), err
}

// Close gives the buffer back. It may be called twice.
func (p *Part) Close() error {
	if p.buf != nil {
		p.of.pool.Put(p.buf)
		p.of.n.Add(-1)
		p.buf, p.left = nil, nil
	}
	return nil
}
