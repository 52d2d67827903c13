package edge

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/mogilefs/caddy-mogilefs/cache"
	"github.com/mogilefs/caddy-mogilefs/edge/buffer"
	"github.com/mogilefs/caddy-mogilefs/edge/outcome"
	"github.com/mogilefs/caddy-mogilefs/edge/semantics"
	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// findContent looks for the file in memory, or has it brought there for all who ask for
// it now. It leaves t.content nil when the file must come from a copy. first is the
// first of as many parts as are asked for, none being the whole file.
func (t *sender) findContent(first semantics.Span, parts int) {
	c := t.e.config.Contents
	if c == nil {
		return
	}
	if x := c.Get(t.entry.FID, t.entry.Length); x != nil {
		t.use(x, outcome.Kept)
		return
	}
	// A part of a file does not bring the whole of it in.
	if parts <= 1 && first == t.whole() && t.isWorthSharing(c) {
		t.join(c)
	}
}

func (t *sender) whole() semantics.Span { return semantics.Span{N: t.entry.Length} }

// isWorthSharing: a file that may be kept is; of larger ones those that a node would
// have to send again and again, while the system sends those on our disks by itself.
func (t *sender) isWorthSharing(c *cache.Contents) bool {
	if len(t.entry.Copies) == 0 {
		return false
	}
	return c.Keeps(t.entry.Length) || !t.e.local(t.e.order(t.entry.Location)[0])
}

// join follows the file on its way into memory. What is going to be kept and has a
// checksum is verified before its first byte is sent.
func (t *sender) join(c *cache.Contents) {
	verify := c.Keeps(t.entry.Length) && !t.entry.Checksum.IsZero()
	x, began := c.Join(
		cache.Wanted{FID: t.entry.FID, Length: t.entry.Length, Whole: verify},
		t.e.filler(t.req, t.entry, verify, t.doubts),
	)
	switch {
	case x == nil:
	case began:
		t.use(x, outcome.Fetched)
	case x.IsWhole():
		t.use(x, outcome.Kept)
	default:
		t.use(x, outcome.Shared)
	}
}

func (t *sender) use(x *cache.Content, how outcome.Bytes) {
	t.content = x
	t.req.Outcome.Use(how)
}

// filler brings a file into memory as a sender brings it to a client, with the same
// fail-over.
func (e *Edge) filler(req Request, entry *cache.Entry, verify, doubts bool) cache.Fill {
	req.Outcome = new(Outcome) // the request's own is not ours to write to
	return func(ctx context.Context, to *cache.Filling) error {
		r := (&http.Request{ProtoMajor: 1}).WithContext(ctx)
		t := e.newSender(r, req, entry, doubts)
		t.left, t.verify, t.fills = e.order(entry.Location), verify, true
		var suspects []mogile.Copy
		for {
			src, err := t.open(t.whole())
			if err != nil {
				return err
			}
			to.Describe(t.left[0].Dev, entry.Modified())
			if err := t.send(to, src, t.whole()); err != nil {
				return err
			}
			if !verify {
				return nil
			}
			if err = check(entry, to.Bytes()); err == nil {
				e.setAllAside(suspects, entry.FID)
				return nil
			}
			// Of several copies that gave a part each, any may be the wrong one. The last
			// gives all of it now; if that is right, it was one of the others.
			if suspects = t.suspects(); suspects == nil {
				if err := t.pass(ctx, err); err != nil {
					return err
				}
			}
			to.Restart()
		}
	}
}

// suspects are the copies of which one may have given wrong bytes, but for the one that gave
// the last; nil when that gave all. The sender begins anew.
func (t *sender) suspects() []mogile.Copy {
	from := t.from
	t.from = nil
	if len(from) < 2 {
		return nil
	}
	return from[:len(from)-1]
}

// check compares the bytes with the tracker's checksum.
func check(entry *cache.Entry, content []byte) error {
	digest := entry.Checksum.Type.New()
	if digest == nil { // of a kind that we don't know
		return nil
	}
	digest.Write(content)
	if sum := digest.Sum(nil); !bytes.Equal(sum, entry.Checksum.Sum) {
		return fmt.Errorf("%w: its %s is %x; want %x", errWrongCopy, entry.Checksum.Type, sum, entry.Checksum.Sum)
	}
	return nil
}

// awaitContent waits for the byte at off, so that a failure can still become an error
// or lead to the next copy.
func (t *sender) awaitContent(off int64) error {
	_, err := t.content.From(t.r.Context(), off)
	if err == nil {
		t.entry.Remember(t.content.Modified())
		if t.req.Outcome.Bytes() != outcome.Kept {
			t.req.Outcome.Copy = t.content.Dev()
		}
		return nil
	}
	return t.afterContent(err)
}

// afterContent goes on without the content when that was given up, and only then: if
// it could not be had, another attempt by each who waited for it would not help.
func (t *sender) afterContent(err error) error {
	if !errors.Is(err, cache.ErrGivenUp) {
		return err
	}
	t.release()
	t.req.Outcome.Use(outcome.Fetched)
	t.left = t.e.order(t.entry.Location)
	return nil
}

// release ends the use of the content, if there is one.
func (t *sender) release() {
	if t.content != nil {
		t.content.Release()
		t.content = nil
	}
}

// sendContent sends what it can of s from memory and returns what is left, for a copy.
func (t *sender) sendContent(w io.Writer, s semantics.Span) (left semantics.Span, err error) {
	for s.N > 0 {
		p, err := t.content.From(t.r.Context(), s.Off)
		if err != nil {
			return s, t.afterContent(err)
		}
		// Not all at once: a server's limit for how long one write may take has to fit
		// slow clients, too.
		p = p[:min(int64(len(p)), s.N, buffer.Size)]
		n, err := w.Write(p)
		t.count(t.source(), int64(n))
		s.Off, s.N = s.Off+int64(n), s.N-int64(n)
		if err != nil {
			return s, fmt.Errorf("%w: %w", errClient, err)
		}
	}
	return s, nil
}
