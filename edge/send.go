package edge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"slices"
	"syscall"

	"github.com/mogilefs/caddy-mogilefs/cache"
	"github.com/mogilefs/caddy-mogilefs/edge/buffer"
	"github.com/mogilefs/caddy-mogilefs/edge/outcome"
	"github.com/mogilefs/caddy-mogilefs/edge/semantics"
	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tally"
)

// errClient marks a failure to write to the client: no other copy helps.
var errClient = errors.New("write to client")

// sender sends parts of one file to one client, from whichever copy works.
type sender struct {
	trial
	r   *http.Request
	req Request

	// content is the file in memory or on its way there; nil when it comes from a copy.
	content *cache.Content
	// from are the copies that gave bytes, in their order.
	from   []mogile.Copy
	verify bool // from is of interest
	fills  bool // the bytes go into memory, for clients to be sent from there
	// asked is set when the tracker was asked again; its answer is in left.
	asked bool
}

// newSender returns a sender that has no copies yet to try. doubts says that the location
// was remembered: before the first byte, a copy that is not there speaks against it.
func (e *Edge) newSender(r *http.Request, req Request, entry *cache.Entry, doubts bool) *sender {
	return &sender{trial: trial{e: e, entry: entry, doubts: doubts, failed: req.Outcome.Failed}, r: r, req: req}
}

// open opens the first copy that can give the bytes of s. It returns nil when they are
// in memory.
func (t *sender) open(s semantics.Span) (io.ReadCloser, error) {
	if t.content != nil {
		if err := t.awaitContent(s.Off); err != nil || t.content != nil {
			return nil, err
		}
	}
	for t.more() {
		src, err := t.openNext(s)
		if err == nil {
			if t.req.Outcome.Failed {
				t.e.tally.Failovers.Add(1)
			}
			t.doubts, t.req.Outcome.Failed = false, false
			t.req.Outcome.Copy = t.left[0].Dev
			if t.verify {
				t.from = append(t.from, t.left[0])
			}
			return src, nil
		}
		t.req.Outcome.Failed = true
		if errors.Is(err, errMoved) {
			return nil, err
		}
		if err := t.pass(t.r.Context(), err); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("open fid %d: %w", t.entry.FID, ErrNoCopy)
}

// source is where the bytes come from that are at hand.
func (t *sender) source() tally.Source {
	switch {
	case t.content == nil:
		return t.req.Outcome.From(t.e.local(t.left[0]))
	case t.req.Outcome.Bytes() == outcome.Fetched:
		i := slices.IndexFunc(t.entry.Copies, func(c mogile.Copy) bool { return c.Dev == t.content.Dev() })
		return t.req.Outcome.From(i >= 0 && t.e.local(t.entry.Copies[i]))
	}
	return t.req.Outcome.From(false)
}

// count counts what a client took.
func (t *sender) count(from tally.Source, n int64) {
	if !t.fills {
		t.e.tally.Sent[from].Add(n)
	}
}

// openNext opens the next copy, with the one after it as a hedge when that is wanted.
func (t *sender) openNext(s semantics.Span) (io.ReadCloser, error) {
	if t.e.config.Hedge > 0 && len(t.left) > 1 {
		return t.race(s)
	}
	return t.openCopy(t.r.Context(), t.next(), s)
}

func (t *sender) openCopy(ctx context.Context, c attempt, s semantics.Span) (io.ReadCloser, error) {
	what := "fetch"
	if t.failed {
		what = "failover"
	}
	ctx, end := t.e.config.Trace(ctx, what, c.Dev)
	src, err := t.openAt(ctx, c, s)
	end(err)
	return src, err
}

func (t *sender) openAt(ctx context.Context, c attempt, s semantics.Span) (io.ReadCloser, error) {
	if !t.e.local(c.Copy) {
		return t.fetch(ctx, c, s)
	}
	if f, err := t.e.openSmall(c.Copy, t.entry, s); f != nil || err != nil {
		return f, err
	}
	f, err := t.e.openLocal(c.Copy, t.entry)
	if err != nil {
		return nil, err
	}
	if s.Off == 0 {
		return f, nil
	}
	if _, err := f.Seek(s.Off, io.SeekStart); err != nil {
		f.Close()
		return nil, fmt.Errorf("seek in local copy: %w", err)
	}
	return f, nil
}

// fetch keeps a nil pointer from becoming a reader.
func (t *sender) fetch(ctx context.Context, c attempt, s semantics.Span) (io.ReadCloser, error) {
	f, err := t.e.fetch(ctx, c, t.entry, s)
	if err != nil {
		return nil, err
	}
	return f, nil
}

// openLocal opens a copy on one of our disks and makes sure of its length: a file
// that is longer would be sent whole.
func (e *Edge) openLocal(c mogile.Copy, entry *cache.Entry) (*os.File, error) {
	device := e.health.Place(c).Device
	e.health.BeginOpen(device)
	defer e.health.EndOpen(device)
	f, err := e.config.Disks.Open(c, entry.FID)
	if err != nil {
		return nil, fmt.Errorf("open local copy: %w", err)
	}
	st, err := f.Stat()
	if err == nil && st.Size() != entry.Length {
		err = fmt.Errorf("%w: it has %d bytes; want %d", errWrongCopy, st.Size(), entry.Length)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("stat local copy: %w", err)
	}
	device.Well()
	entry.Remember(st.ModTime())
	return f, nil
}

// send writes the bytes of s to w. It begins with src, which open gave for s, or
// opens one when src is nil. A source that ends early is replaced by another copy at
// the offset that was reached.
func (t *sender) send(w io.Writer, src io.ReadCloser, s semantics.Span) error {
	if t.content != nil {
		var err error
		if s, err = t.sendContent(w, s); err != nil || s.N == 0 {
			return err
		}
	}
	for again := false; ; again = true {
		if src == nil {
			var err error
			if src, err = t.reopen(s); err != nil {
				return err
			}
			if again {
				t.e.tally.Resumes.Add(1)
			}
		}
		n, err := t.copy(w, src, s)
		t.count(t.source(), n)
		s.Off, s.N = s.Off+n, s.N-n
		switch {
		case s.N == 0:
			return nil
		case errors.Is(err, errClient):
			return err
		case err == nil:
			err = io.ErrUnexpectedEOF
		}
		if err := t.pass(t.r.Context(), fmt.Errorf("read copy at %d: %w", s.Off, err)); err != nil {
			return err
		}
		src = nil
	}
}

// reopen is open, and once, when no copy is left, asks the tracker for copies that
// came to be since, before those are waited for that are silent.
func (t *sender) reopen(s semantics.Span) (io.ReadCloser, error) {
	if len(t.left) == 0 && len(t.silent) > 0 && !t.asked {
		_ = t.askAgain() // there is something to wait for
	}
	src, err := t.open(s)
	if t.asked || !errors.Is(err, ErrNoCopy) {
		return src, err
	}
	if aerr := t.askAgain(); aerr != nil {
		return nil, fmt.Errorf("%w: %w", err, aerr)
	}
	return t.open(s)
}

// askAgain asks the tracker for copies that it has not told of.
func (t *sender) askAgain() error {
	t.asked = true
	again, err := t.e.locateAgain(t.r.Context(), t.req)
	if err != nil {
		return err
	}
	if again.FID != t.entry.FID {
		return fmt.Errorf("it is fid %d now", again.FID)
	}
	t.left = t.e.orderCopies(newCopies(t.entry, again.Entry), 0)
	return nil
}

// newCopies are those of again that old does not have.
func newCopies(old, again *cache.Entry) []mogile.Copy {
	return slices.DeleteFunc(slices.Clone(again.Copies), func(c mogile.Copy) bool {
		return slices.Contains(old.Copies, c)
	})
}

// copy writes s from src, which stands at its beginning, and closes src. A local file goes to the
// connection bare, or under the one io.LimitedReader that net unwraps, so that the
// system can send it without its bytes passing through us.
func (t *sender) copy(w io.Writer, src io.ReadCloser, s semantics.Span) (int64, error) {
	defer src.Close()
	if part, ok := src.(*buffer.Part); ok {
		n, err := part.WriteTo(w)
		if err != nil {
			err = fmt.Errorf("%w: %w", errClient, err)
		}
		return n, err
	}
	f, isFile := src.(*os.File)
	rf, direct := w.(io.ReaderFrom)
	if !isFile || !direct || t.r.ProtoMajor != 1 {
		return t.pump(w, src, s.N)
	}
	var n int64
	var err error
	if s.End() == t.entry.Length {
		n, err = rf.ReadFrom(f)
	} else {
		n, err = rf.ReadFrom(io.LimitReader(f, s.N))
	}
	if err != nil && !fromDisk(err) {
		err = fmt.Errorf("%w: %w", errClient, err)
	}
	return n, err
}

// fromDisk tells a disk's error from a connection's, which ReadFrom mixes.
func fromDisk(err error) bool {
	var path *fs.PathError
	return errors.As(err, &path) || errors.Is(err, syscall.EIO)
}

// pump is copy through a buffer of ours.
func (t *sender) pump(w io.Writer, src io.Reader, n int64) (sent int64, err error) {
	buf := t.e.buffers.Get()
	defer t.e.buffers.Put(buf)
	for sent < n && err == nil {
		var got int
		got, err = src.Read(buf[:min(n-sent, buffer.Size)])
		if got > 0 {
			put, werr := w.Write(buf[:got])
			sent += int64(put)
			if werr != nil {
				return sent, fmt.Errorf("%w: %w", errClient, werr)
			}
		}
	}
	if err == io.EOF {
		err = nil
	}
	return sent, err
}
