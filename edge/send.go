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
	"sync"
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/cache"
	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// bufferSize is for bytes that pass through us: few calls for a large file, little
// memory for many clients.
const bufferSize = 64 << 10

// buffers is a pool of such buffers; the zero value is ready.
type buffers struct{ pool sync.Pool }

func (b *buffers) get() *[bufferSize]byte {
	if p, ok := b.pool.Get().(*[bufferSize]byte); ok {
		return p
	}
	return new([bufferSize]byte)
}

func (b *buffers) put(p *[bufferSize]byte) { b.pool.Put(p) }

// errClient marks a failure to write to the client: no other copy helps.
var errClient = errors.New("write to client")

// sender sends parts of one file to one client, from whichever copy works. It goes
// through the copies once; a copy that failed is not tried again, but for those that
// the tracker names when all have failed.
type sender struct {
	e     *Edge
	r     *http.Request
	req   Request
	entry *cache.Entry

	// content is the file in memory or on its way there; nil when it comes from a copy.
	content *cache.Content
	left    []mogile.Copy // not failed yet, in the order of trial
	// doubts says that the location was remembered: before the first byte, a copy that
	// is not there speaks against it.
	doubts bool
	// asked is set when the tracker was asked again; its answer is in left.
	asked bool
}

// open opens the first copy that can give the bytes of s. It returns nil when they are
// in memory.
func (t *sender) open(s span) (io.ReadCloser, error) {
	if t.content != nil {
		if err := t.awaitContent(s.off); err != nil || t.content != nil {
			return nil, err
		}
	}
	for len(t.left) > 0 {
		src, err := t.openCopy(t.left[0], s)
		if err == nil {
			t.doubts = false
			t.req.Outcome.Copy = t.left[0].Dev
			return src, nil
		}
		if err := t.pass(err); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("open fid %d: %w", t.entry.FID, ErrNoCopy)
}

func (t *sender) openCopy(c mogile.Copy, s span) (io.ReadCloser, error) {
	if !t.e.local(c) {
		return t.e.fetch(t.r.Context(), c, t.entry, s)
	}
	f, err := t.e.openLocal(c, t.entry)
	if err != nil {
		return nil, err
	}
	if s.off == 0 {
		return f, nil
	}
	if _, err := f.Seek(s.off, io.SeekStart); err != nil {
		f.Close()
		return nil, fmt.Errorf("seek in local copy: %w", err)
	}
	return f, nil
}

// pass gives up the present copy because of err. It returns an error when the
// request is over, and then nobody is blamed.
func (t *sender) pass(err error) error {
	if ctx := t.r.Context(); ctx.Err() != nil {
		return context.Cause(ctx)
	}
	t.e.blame(t.left[0], t.entry.FID, err)
	t.left = t.left[1:]
	if t.doubts && isMoved(t.entry, err) {
		return errMoved
	}
	return nil
}

// blame logs why a copy was passed over and suspects its device, unless that only
// lacks the copy, or room for it.
func (e *Edge) blame(c mogile.Copy, fid mogile.FID, err error) {
	if !errors.Is(err, errWrongCopy) && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, ErrNoSpace) {
		e.suspects.add(c.Dev, time.Now())
	}
	e.log.Warn("copy failed", zap.Uint64("fid", uint64(fid)), zap.Uint32("dev", uint32(c.Dev)),
		zap.String("url", c.URL), zap.Error(err))
}

// openLocal opens a copy on one of our disks and makes sure of its length: a file
// that is longer would be sent whole.
func (e *Edge) openLocal(c mogile.Copy, entry *cache.Entry) (*os.File, error) {
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
	entry.Remember(st.ModTime())
	return f, nil
}

// send writes the bytes of s to w. It begins with src, which open gave for s, or
// opens one when src is nil. A source that ends early is replaced by another copy at
// the offset that was reached.
func (t *sender) send(w io.Writer, src io.ReadCloser, s span) error {
	if t.content != nil {
		var err error
		if s, err = t.sendContent(w, s); err != nil || s.n == 0 {
			return err
		}
	}
	for {
		if src == nil {
			var err error
			if src, err = t.reopen(s); err != nil {
				return err
			}
		}
		n, err := t.copy(w, src, s)
		s.off, s.n = s.off+n, s.n-n
		switch {
		case s.n == 0:
			return nil
		case errors.Is(err, errClient):
			return err
		case err == nil:
			err = io.ErrUnexpectedEOF
		}
		if err := t.pass(fmt.Errorf("read copy at %d: %w", s.off, err)); err != nil {
			return err
		}
		src = nil
	}
}

// reopen is open, and once, when no copy is left, asks the tracker for copies that
// came to be since.
func (t *sender) reopen(s span) (io.ReadCloser, error) {
	src, err := t.open(s)
	if t.asked || !errors.Is(err, ErrNoCopy) {
		return src, err
	}
	t.asked = true
	again, ferr := t.e.locateAgain(t.r.Context(), t.req)
	if ferr != nil {
		return nil, errors.Join(err, ferr)
	}
	if again.FID != t.entry.FID {
		return nil, fmt.Errorf("%w: it is fid %d now", err, again.FID)
	}
	t.left = t.e.order(newCopies(t.entry, again.Entry))
	return t.open(s)
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
func (t *sender) copy(w io.Writer, src io.ReadCloser, s span) (int64, error) {
	defer src.Close()
	f, isFile := src.(*os.File)
	rf, direct := w.(io.ReaderFrom)
	if !isFile || !direct || t.r.ProtoMajor != 1 {
		return t.pump(w, src, s.n)
	}
	var n int64
	var err error
	if s.end() == t.entry.Length {
		n, err = rf.ReadFrom(f)
	} else {
		n, err = rf.ReadFrom(io.LimitReader(f, s.n))
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
	buf := t.e.buffers.get()
	defer t.e.buffers.put(buf)
	for sent < n && err == nil {
		var got int
		got, err = src.Read(buf[:min(n-sent, bufferSize)])
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
