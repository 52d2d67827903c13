package edge

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"

	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// body is the content of an upload on its way from the client. Its bytes are counted
// and hashed once, as they are read. A body of up to bufferSize can be had again for
// another destination; so can a larger one as long as no more was read.
type body struct {
	src     io.Reader
	header  http.Header // of the answer; see refuseUnread
	size    int64       // -1 when the client does not say
	limit   int64       // 0 is none
	md5     []byte      // of the client's Content-MD5; nil when there is none
	buffers *buffers

	class  mogile.HashType
	digest map[mogile.HashType]hash.Hash

	// first is a buffer with the first bytes, of which filled were read and those from
	// next on are still to be given to the present destination.
	first        *[bufferSize]byte
	filled, next int
	passed       int64 // read from the client
	ended        bool
}

// errBody marks what is wrong with the body itself, at any destination.
var errBody = errors.New("unusable body")

func isBodyFault(err error) bool { return errors.Is(err, errBody) || errors.Is(err, ErrTooLarge) }

// contentMD5 reads the header; nil when there is none.
func contentMD5(h http.Header) ([]byte, error) {
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

// refuseUnread makes an answer that comes before the body was read end the connection,
// for a client that waits for 100 (Continue). Otherwise net/http first reads what is
// left of the body, which such a client never sends when it is refused: it knows one
// only as long as no handler above us wrapped the body, and Caddy wraps every body.
func refuseUnread(w http.ResponseWriter, r *http.Request) {
	if r.ProtoMajor == 1 && r.Header.Get("Expect") != "" {
		w.Header().Set("Connection", "close")
	}
}

// hash says what digests are wanted: the class's, and MD5, which nodes know; none but
// the one to compare with when checksums are off.
func (b *body) hash(class mogile.HashType, checksums bool) {
	b.class = class
	b.digest = map[mogile.HashType]hash.Hash{}
	if checksums || b.md5 != nil {
		b.digest[mogile.HashMD5] = mogile.HashMD5.New()
	}
	if checksums && class != mogile.HashNone {
		b.digest[class] = class.New()
	}
}

// checksum is the class's when it was computed, else MD5 when that was; a tracker
// can compare it even if it does not keep it.
func (b *body) checksum() mogile.Checksum {
	for _, t := range []mogile.HashType{b.class, mogile.HashMD5} {
		if d := b.digest[t]; d != nil {
			return mogile.Checksum{Type: t, Sum: d.Sum(nil)}
		}
	}
	return mogile.Checksum{}
}

// sumMD5 is the MD5 of what passed, in the form of Content-MD5; empty when it is not
// computed.
func (b *body) sumMD5() string {
	d := b.digest[mogile.HashMD5]
	if d == nil {
		return ""
	}
	return base64.StdEncoding.EncodeToString(d.Sum(nil))
}

// verify compares what passed with what the client promised.
func (b *body) verify() error {
	switch {
	case b.size >= 0 && b.passed != b.size:
		return fmt.Errorf("%w: %w: %d bytes came; %d were promised", ErrBadRequest, errBody, b.passed, b.size)
	case b.md5 != nil && !bytes.Equal(b.md5, b.digest[mogile.HashMD5].Sum(nil)):
		return fmt.Errorf("%w: %w: it does not match its content-md5", ErrBadRequest, errBody)
	}
	return nil
}

// rewind makes the next pump begin at the first byte; false when some are gone.
func (b *body) rewind() bool {
	b.next = 0
	return b.passed == int64(b.filled)
}

// pump gives the body to a destination. Its errors are either body faults or the
// destination's.
func (b *body) pump(dst io.Writer) error {
	if b.first == nil {
		b.first = b.buffers.get()
	}
	if err := b.pumpFirst(dst); err != nil || b.ended {
		return err
	}
	buf := b.buffers.get()
	defer b.buffers.put(buf)
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
func (b *body) pumpFirst(dst io.Writer) error {
	for {
		if err := give(dst, b.first[b.next:b.filled]); err != nil {
			return err
		}
		b.next = b.filled
		if b.ended || b.filled == bufferSize {
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
func (b *body) read(p []byte) (int, error) {
	if b.passed == 0 {
		b.header.Del("Connection") // it gets its 100 (Continue) now
	}
	n, err := b.src.Read(p)
	b.passed += int64(n)
	if b.limit > 0 && b.passed > b.limit {
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
		return 0, fmt.Errorf("read upload: %w: %w: %w", ErrBadRequest, errBody, err)
	}
	return n, nil
}

// isTooLarge recognises a limit that a handler above us put on the body.
func isTooLarge(err error) bool {
	var limit *http.MaxBytesError
	return errors.As(err, &limit)
}

func (b *body) release() {
	if b.first != nil {
		b.buffers.put(b.first)
		b.first = nil
	}
}
