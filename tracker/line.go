package tracker

import (
	"bytes"
	"errors"
	"net"
	"sync/atomic"
	"time"
)

const (
	// maxLine is the longest request in bytes. The longest sensible one, with two
	// keys and a URL all escaped, has a few thousand.
	maxLine = 256 << 10
	// smallBuffer takes nearly all requests. A connection has it for good, so that
	// thousands of idle ones cost little.
	smallBuffer = 1 << 10
	// maxLongLines is how many connections may be in the middle of a longer request at
	// once. The others are not read from until one of these is done: so what
	// half-sent lines take is bounded.
	maxLongLines = 256
	// lineTime is how long the rest of such a request may take to arrive, as long as an
	// answer may take to leave. A short line may take for ever.
	lineTime = 120 * time.Second
)

var errLineTooLong = errors.New("line is too long")

// longLines is the places of connections that receive a long request.
type longLines struct {
	places  chan struct{} // holds one for each
	stopped <-chan struct{}
	delayed atomic.Int64 // how often one had to wait
}

func newLongLines(n int, stopped <-chan struct{}) *longLines {
	return &longLines{places: make(chan struct{}, n), stopped: stopped}
}

func (l *longLines) enter() error {
	select {
	case l.places <- struct{}{}:
		return nil
	default:
	}
	l.delayed.Add(1)
	select {
	case l.places <- struct{}{}:
		return nil
	case <-l.stopped:
		return errServerClosed
	}
}

func (l *longLines) leave() { <-l.places }

// lineReader takes a connection apart into lines.
type lineReader struct {
	conn  net.Conn
	limit int // of a line
	long  *longLines

	buf        []byte // small, or a longer one while isLong
	begin, end int    // of what was read and not yet returned
	isLong     bool   // has a place among the long
	small      [smallBuffer]byte
}

// init is instead of a constructor, as a reader is part of what it reads for.
func (r *lineReader) init(conn net.Conn, limit int, long *longLines) {
	r.conn, r.limit, r.long = conn, limit, long
	r.buf = r.small[:]
}

// next returns the next line without its terminator. It is valid until the next call.
// A line that ends without terminator is none.
func (r *lineReader) next() ([]byte, error) {
	if err := r.settle(); err != nil {
		return nil, err
	}
	for seen := 0; ; {
		read := r.buf[r.begin:r.end]
		if i := bytes.IndexByte(read[seen:], '\n'); i >= 0 {
			line := bytes.TrimSuffix(read[:seen+i], []byte{'\r'})
			r.begin += seen + i + 1
			if len(line) > r.limit {
				return nil, errLineTooLong
			}
			return line, nil
		}
		if len(read) > r.limit+len("\r") {
			return nil, errLineTooLong
		}
		seen = len(read)
		if err := r.makeRoom(); err != nil {
			return nil, err
		}
		n, err := r.conn.Read(r.buf[r.end:])
		r.end += n
		if n == 0 && err != nil {
			return nil, err
		}
	}
}

// settle gives back what the line before has needed, if the next does not.
func (r *lineReader) settle() error {
	if r.begin == r.end {
		r.begin, r.end = 0, 0
	}
	switch {
	case !r.isLong:
		return nil
	case r.end-r.begin > smallBuffer:
		return r.deadline(time.Now().Add(lineTime)) // that of the next line
	}
	r.end = copy(r.small[:], r.buf[r.begin:r.end])
	r.begin, r.buf = 0, r.small[:]
	r.release()
	return r.deadline(time.Time{})
}

// makeRoom sees to it that more can be read.
func (r *lineReader) makeRoom() error {
	if r.end < len(r.buf) {
		return nil
	}
	if r.begin == 0 {
		return r.grow()
	}
	r.end = copy(r.buf, r.buf[r.begin:r.end])
	r.begin = 0
	return nil
}

// grow makes the buffer larger, at last as large as the longest line. The first time it
// needs a place for that.
func (r *lineReader) grow() error {
	if !r.isLong {
		if err := r.long.enter(); err != nil {
			return err
		}
		r.isLong = true
		if err := r.deadline(time.Now().Add(lineTime)); err != nil {
			return err
		}
	}
	larger := make([]byte, min(4*len(r.buf), r.limit+len("\r\n")))
	copy(larger, r.buf[:r.end])
	r.buf = larger
	return nil
}

// deadline bounds reading, but not over the end of all reading, which is said by a
// deadline too.
func (r *lineReader) deadline(at time.Time) error {
	_ = r.conn.SetReadDeadline(at) // a connection that can't is about to fail
	select {
	case <-r.long.stopped:
		return errServerClosed
	default:
		return nil
	}
}

// release gives the place back; nothing can be read any more until a line needs none.
func (r *lineReader) release() {
	if r.isLong {
		r.isLong = false
		r.long.leave()
	}
}
