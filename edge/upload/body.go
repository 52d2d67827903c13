package upload

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"strings"

	"github.com/mogilefs/caddy-mogilefs/edge/buffer"
	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// Body is the content of an upload on its way from the client. Its bytes are counted
// and hashed once, as they are read. A body of up to buffer.Size can be had again for
// another destination; so can a larger one as long as no more was read.
type Body struct {
	src io.Reader
	Terms

	class  mogile.HashType
	digest map[mogile.HashType]hash.Hash

	// first is a buffer with the first bytes, of which filled were read and those from
	// next on are still to be given to the present destination.
	first        *[buffer.Size]byte
	filled, next int
	passed       int64 // read from the client
	ended        bool
}

// Terms is what is known of a body before it is read.
type Terms struct {
	// Answer is the answer's header. What asks for the end of the connection, should the
	// body not be read, is taken back with the first read.
	Answer http.Header
	// Size is -1 when the client does not say.
	Size int64
	// Limit is the largest size; 0 is none.
	Limit int64
	// MD5 is the client's Content-MD5; nil when there is none.
	MD5 []byte
	// Buffers is required.
	Buffers *buffer.Pool
}

// What is wrong with the body itself, at any destination.
var (
	// ErrUnusable: it is not what the client promised, or could not be read.
	ErrUnusable = errors.New("unusable body")
	// ErrTooLarge: it is over the limit, or over one that a handler above us has.
	ErrTooLarge = errors.New("upload too large")
)

// New returns a body of which nothing was read.
func New(src io.Reader, t Terms) *Body { return &Body{src: src, Terms: t} }

// Passed is how many bytes were read from the client.
func (b *Body) Passed() int64 { return b.passed }

// ContentMD5 reads the header; nil when there is none.
func ContentMD5(h http.Header) ([]byte, error) {
	v := h.Get("Content-Md5")
	if v == "" {
		return nil, nil
	}
	sum, err := base64.StdEncoding.DecodeString(v)
	if err != nil || len(sum) != md5.Size {
		return nil, fmt.Errorf("content-md5 %q: want %d bytes in base64", v, md5.Size)
	}
	return sum, nil
}

// IsForm recognises what browsers send for a form with a file. It is refused because the file
// would be stored with the form's lines around it. Other types are only names: curl calls
// what it sends with --data-binary a form, too.
func IsForm(h http.Header) bool {
	kind, _, _ := strings.Cut(h.Get("Content-Type"), ";")
	return strings.EqualFold(strings.TrimSpace(kind), "multipart/form-data")
}

// Hash says what digests are wanted: the class's, and MD5, which nodes know; none but
// the one to compare with when checksums are off.
func (b *Body) Hash(class mogile.HashType, checksums bool) {
	b.class = class
	b.digest = map[mogile.HashType]hash.Hash{}
	if checksums || b.MD5 != nil {
		b.digest[mogile.HashMD5] = mogile.HashMD5.New()
	}
	if checksums && class != mogile.HashNone {
		b.digest[class] = class.New()
	}
}

// Checksum is the class's when it was computed, else MD5 when that was; a tracker
// can compare it even if it does not keep it.
func (b *Body) Checksum() mogile.Checksum {
	for _, t := range []mogile.HashType{b.class, mogile.HashMD5} {
		if d := b.digest[t]; d != nil {
			return mogile.Checksum{Type: t, Sum: d.Sum(nil)}
		}
	}
	return mogile.Checksum{}
}

// SumMD5 is the MD5 of what passed, in the form of Content-MD5; empty when it is not
// computed.
func (b *Body) SumMD5() string {
	d := b.digest[mogile.HashMD5]
	if d == nil {
		return ""
	}
	return base64.StdEncoding.EncodeToString(d.Sum(nil))
}

// Verify compares what passed with what the client promised.
func (b *Body) Verify() error {
	switch {
	case b.Size >= 0 && b.passed != b.Size:
		return fmt.Errorf("%w: %d bytes came; %d were promised", ErrUnusable, b.passed, b.Size)
	case b.MD5 != nil && !bytes.Equal(b.MD5, b.digest[mogile.HashMD5].Sum(nil)):
		return fmt.Errorf("%w: it does not match its content-md5", ErrUnusable)
	}
	return nil
}

// Again is a body of what has passed, to be had from src this time, and held against the
// length and, when that is computed, the MD5 of what passed.
func (b *Body) Again(src io.Reader) *Body {
	again := New(src, Terms{Answer: http.Header{}, Size: b.passed, Buffers: b.Buffers})
	if d := b.digest[mogile.HashMD5]; d != nil {
		again.MD5 = d.Sum(nil)
	}
	again.Hash(mogile.HashNone, false)
	return again
}

// Rewind makes the next pump begin at the first byte; false when some are gone.
func (b *Body) Rewind() bool {
	b.next = 0
	return b.passed == int64(b.filled)
}

// Pump gives the body to a destination. Its errors are either body faults or the
// destination's.
func (b *Body) Pump(dst io.Writer) error {
	if b.first == nil {
		b.first = b.Buffers.Get()
	}
	if err := b.pumpFirst(dst); err != nil || b.ended {
		return err
	}
	buf := b.Buffers.Get()
	defer b.Buffers.Put(buf)
	for !b.ended {
		n, err := b.read(buf[:])
		if err != nil {
			return err
		}
		if err := give(dst, buf[:n]); err != nil {
			return err
		}
	}
	return nil
}

// pumpFirst gives what the first buffer holds or has room for.
func (b *Body) pumpFirst(dst io.Writer) error {
	for {
		if err := give(dst, b.first[b.next:b.filled]); err != nil {
			return err
		}
		b.next = b.filled
		if b.ended || b.filled == buffer.Size {
			return nil
		}
		n, err := b.read(b.first[b.filled:])
		if err != nil {
			return err
		}
		b.filled += n
	}
}

func give(dst io.Writer, p []byte) error {
	if len(p) == 0 {
		return nil
	}
	if _, err := dst.Write(p); err != nil {
		return fmt.Errorf("write copy: %w", err)
	}
	return nil
}

// read reads from the client.
func (b *Body) read(p []byte) (int, error) {
	if b.passed == 0 {
		b.Answer.Del("Connection") // it gets its 100 (Continue) now
	}
	n, err := b.src.Read(p)
	b.passed += int64(n)
	if b.Limit > 0 && b.passed > b.Limit {
		return 0, fmt.Errorf("read upload: %w", ErrTooLarge)
	}
	for _, d := range b.digest {
		d.Write(p[:n])
	}
	switch {
	case err == io.EOF:
		b.ended = true
	case isTooLarge(err):
		return 0, fmt.Errorf("read upload: %w: %w", ErrTooLarge, err)
	case err != nil:
		return 0, fmt.Errorf("read upload: %w: %w", ErrUnusable, err)
	}
	return n, nil
}

// isTooLarge recognises a limit that a handler above us put on the body.
func isTooLarge(err error) bool {
	var limit *http.MaxBytesError
	return errors.As(err, &limit)
}

// Release gives the buffer back.
func (b *Body) Release() {
	if b.first != nil {
		b.Buffers.Put(b.first)
		b.first = nil
	}
}
