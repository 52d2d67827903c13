package edge

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strconv"
	"strings"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/cache"
	"github.com/mogilefs/caddy-mogilefs/edge/semantics"
	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tally"
)

// errMoved is why an answer was not begun: a copy is not where the remembered location
// has it, so the file was overwritten, deleted or moved since; or nothing is heard of the
// only one that the location has, and there may be others.
var errMoved = errors.New("copy is not there any more")

// isMoved reports whether a copy's failure is a reason to ask the tracker again at once.
// It is so once for an entry: a tracker that names the copy again has not noticed that
// it is lost, and need not be asked by everybody.
func isMoved(entry *cache.Entry, err error) bool {
	return errors.Is(err, fs.ErrNotExist) && entry.Doubt()
}

// read answers a GET or HEAD.
func (e *Edge) read(w http.ResponseWriter, r *http.Request, req Request) *Error {
	if err := e.tryRead(w, r, req); err != nil {
		e.tell(w.Header(), req.Outcome)
		return e.fail(r.Context(), req, err)
	}
	return nil
}

// maxLocations is how many locations a read tries: what was remembered, what the tracker
// says when a copy has moved, and what it says when no copy can be read.
const maxLocations = 3

func (e *Edge) tryRead(w http.ResponseWriter, r *http.Request, req Request) error {
	found, err := e.locate(r.Context(), req)
	for tries := 1; ; tries++ {
		req.Outcome.Located(found)
		req.Outcome.Mark("locate")
		if err != nil {
			return err
		}
		err = e.answer(w, r, req, found.Entry)
		if tries == maxLocations || !errors.Is(err, ErrNoCopy) && !errors.Is(err, errMoved) {
			return err
		}
		found, err = e.correct(r.Context(), req, found, err)
	}
}

// correct asks the tracker about a location that turned out to be wrong.
func (e *Edge) correct(ctx context.Context, req Request, old cache.Found, why error) (cache.Found, error) {
	again, err := e.locateAgain(ctx, req)
	switch {
	case err != nil && errors.Is(why, errMoved) && !errors.Is(err, cache.ErrAbsent):
		old.Origin = cache.Stale // and not to be doubted again
		return old, nil          // the other copies may be there
	case err == nil && errors.Is(why, ErrNoCopy) && again.FID == old.FID && len(newCopies(old.Entry, again.Entry)) == 0:
		return again, fmt.Errorf("fid %d: %w", old.FID, ErrNoCopy)
	}
	return again, err
}

// locate finds the key's copies, from the cache when there is one.
func (e *Edge) locate(ctx context.Context, req Request) (cache.Found, error) {
	if e.config.Locations == nil {
		return e.locateAgain(ctx, req)
	}
	return e.config.Locations.Get(ctx, req.Domain, req.Key, e.load)
}

// locateAgain asks the tracker, past the cache.
func (e *Edge) locateAgain(ctx context.Context, req Request) (cache.Found, error) {
	if e.config.Locations != nil {
		return e.config.Locations.Fresh(ctx, req.Domain, req.Key, e.load)
	}
	loc, err := e.load(ctx, req.Domain, req.Key)
	if err != nil {
		return cache.Found{}, err
	}
	return cache.Found{Entry: &cache.Entry{Location: loc}}, nil
}

// askTracker is the cache's source of truth.
func (e *Edge) askTracker(ctx context.Context, domain mogile.DomainName, key mogile.Key) (mogile.Location, error) {
	ctx, cancel := e.trackerContext(ctx)
	defer cancel()
	loc, err := e.lookUp(ctx, domain, key)
	if errors.Is(err, ErrUnknownKey) || errors.Is(err, ErrUnknownDomain) {
		return loc, fmt.Errorf("locate: %w: %w", cache.ErrAbsent, err)
	}
	if err != nil {
		return loc, fmt.Errorf("locate: %w", err)
	}
	return loc, nil
}

// fidKey is what a fid is remembered by among the keys, none of which begins so.
func fidKey(fid mogile.FID) mogile.Key { return fidKeys + mogile.Key(fid.String()) }

const fidKeys = "\x00"

// lookUp asks the tracker about a key or a fid.
func (e *Edge) lookUp(ctx context.Context, domain mogile.DomainName, key mogile.Key) (mogile.Location, error) {
	if digits, ok := strings.CutPrefix(string(key), fidKeys); ok {
		fid, err := mogile.ParseFID(digits)
		if err != nil {
			return mogile.Location{}, err
		}
		return e.config.Tracker.LocateFID(ctx, domain, fid)
	}
	return e.config.Tracker.Locate(ctx, domain, key)
}

// answer sends the file, or what the conditions make of it. It returns an error only
// when nothing was written.
//
// An empty file needs no copy: its content is known. It has a Last-Modified only
// when a copy was looked at for a condition.
func (e *Edge) answer(w http.ResponseWriter, r *http.Request, req Request, entry *cache.Entry) error {
	head := r.Method == http.MethodHead
	if entry.Modified().IsZero() && entry.Length > 0 && (head || semantics.NeedsModified(r.Header)) {
		if err := e.learnModified(r.Context(), req, entry); err != nil {
			return err
		}
	}
	var spans []semantics.Span
	if isConditional(r.Header) {
		var done bool
		if spans, done = e.evaluate(w, r, req, entry); done {
			return nil
		}
	}
	if head || entry.Length == 0 {
		e.describeWhole(w.Header(), entry, req.Key)
		e.writeHeader(w, req, http.StatusOK)
		return nil
	}
	return e.sendBody(w, r, req, entry, spans)
}

// evaluate applies conditions and ranges. It reports whether they were the answer;
// otherwise spans are what is to be sent, none for the whole file.
func (e *Edge) evaluate(w http.ResponseWriter, r *http.Request, req Request, entry *cache.Entry) (spans []semantics.Span, done bool) {
	tag := etag(entry.FID)
	switch semantics.Read(r.Header, semantics.Current{ETag: tag, Modified: entry.Modified()}) {
	case semantics.NotModified:
		e.describe(w.Header(), entry)
		e.writeHeader(w, req, http.StatusNotModified)
		return nil, true
	case semantics.PreconditionFailed:
		w.Header().Set("Content-Length", "0")
		e.writeHeader(w, req, http.StatusPreconditionFailed)
		return nil, true
	}
	asked := r.Header.Get("Range")
	if asked == "" || r.Method == http.MethodHead || entry.Length == 0 || !semantics.RangeHolds(r.Header, tag) {
		return nil, false
	}
	spans, ok := semantics.ParseRange(asked, entry.Length)
	if !ok {
		w.Header().Set("Content-Range", "bytes */"+strconv.FormatInt(entry.Length, 10))
		w.Header().Set("Content-Length", "0")
		e.writeHeader(w, req, http.StatusRequestedRangeNotSatisfiable)
	}
	return spans, !ok
}

// writeHeader sends the header of an answer to a read.
func (e *Edge) writeHeader(w http.ResponseWriter, req Request, status int) {
	e.tell(w.Header(), req.Outcome)
	req.Outcome.Answered(endWith(status))
	w.WriteHeader(status)
}

// learnModified looks at memory, and then at copies until one tells, when the file was
// modified. All copies tell something else; the first that was seen counts.
func (e *Edge) learnModified(ctx context.Context, req Request, entry *cache.Entry) error {
	if e.config.Contents != nil {
		if x := e.config.Contents.Get(entry.FID, entry.Length); x != nil {
			defer x.Release()
			if !entry.Remember(x.Modified()).IsZero() {
				return nil
			}
		}
	}
	t := trial{e: e, entry: entry, left: e.order(entry.Location), doubts: req.Outcome.Remembered()}
	for t.more() {
		err := e.inspect(ctx, t.next(), entry)
		if err == nil {
			req.Outcome.Copy = t.left[0].Dev
			return nil
		}
		if err := t.pass(ctx, err); err != nil {
			return err
		}
	}
	return fmt.Errorf("inspect fid %d: %w", entry.FID, ErrNoCopy)
}

// sendBody sends the spans, or the whole file when there are none. The first copy is
// opened before the header goes out, so that its failure can still become an error.
func (e *Edge) sendBody(w http.ResponseWriter, r *http.Request, req Request, entry *cache.Entry, spans []semantics.Span) error {
	t := e.newSender(r, req, entry, req.Outcome.Remembered())
	defer t.release()
	whole := len(spans) == 0
	first := t.whole()
	if !whole {
		first = spans[0]
	}
	if t.findContent(first, len(spans)); t.content == nil {
		t.left = e.order(entry.Location)
	}
	src, err := t.open(first)
	if err != nil {
		return err
	}
	req.Outcome.Mark("open")
	req.Outcome.Source = t.source()
	h := w.Header()
	e.describeWhole(h, entry, req.Key)
	switch {
	case whole:
		e.writeHeader(w, req, http.StatusOK)
		err = t.send(w, src, first)
	case len(spans) == 1:
		h.Set("Content-Range", first.ContentRange(entry.Length))
		h.Set("Content-Length", strconv.FormatInt(first.N, 10))
		e.writeHeader(w, req, http.StatusPartialContent)
		err = t.send(w, src, first)
	default:
		err = t.sendParts(w, src, semantics.NewMultipart(spans, h.Get("Content-Type"), entry.Length))
	}
	if err != nil {
		e.abort(r.Context(), req, err)
	}
	return nil
}

// abort ends a body that can't be finished.
func (e *Edge) abort(ctx context.Context, req Request, err error) {
	log := e.log.Warn
	if ctx.Err() != nil || errors.Is(err, errClient) {
		log, req.Outcome.End = e.log.Debug, tally.ClientGone
	}
	log("body cut short", req.field(), zap.Error(err))
	panic(http.ErrAbortHandler)
}
