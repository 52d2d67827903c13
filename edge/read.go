package edge

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/cache"
	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// read answers a GET or HEAD. When no copy of what the cache knew can be read, the
// tracker's present answer is tried as well, if it differs.
func (e *Edge) read(w http.ResponseWriter, r *http.Request, req Request) *Error {
	err := e.tryRead(w, r, req)
	if err != nil {
		return e.fail(r.Context(), req, err)
	}
	return nil
}

func (e *Edge) tryRead(w http.ResponseWriter, r *http.Request, req Request) error {
	found, err := e.locate(r.Context(), req)
	if err != nil {
		return err
	}
	err = e.answer(w, r, req, found.Entry)
	if !errors.Is(err, ErrNoCopy) {
		return err
	}
	again, err := e.locateAgain(r.Context(), req)
	switch {
	case err != nil:
		return err
	case again.FID == found.FID && len(newCopies(found.Entry, again.Entry)) == 0:
		return fmt.Errorf("fid %d: %w", found.FID, ErrNoCopy)
	}
	return e.answer(w, r, req, again.Entry)
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
	loc, err := e.config.Tracker.Locate(ctx, domain, key)
	if errors.Is(err, ErrUnknownKey) || errors.Is(err, ErrUnknownDomain) {
		return loc, fmt.Errorf("locate: %w: %w", cache.ErrAbsent, err)
	}
	if err != nil {
		return loc, fmt.Errorf("locate: %w", err)
	}
	return loc, nil
}

// answer sends the file, or what the conditions make of it. It returns an error only
// when nothing was written.
//
// An empty file needs no copy: its content is known. It has a Last-Modified only
// when a copy was looked at for a condition.
func (e *Edge) answer(w http.ResponseWriter, r *http.Request, req Request, entry *cache.Entry) error {
	head := r.Method == http.MethodHead
	if entry.Modified().IsZero() && entry.Length > 0 && (head || needsModified(r.Header)) {
		if err := e.learnModified(r.Context(), entry); err != nil {
			return err
		}
	}
	tag := etag(entry.FID)
	switch evaluateRead(r.Header, current{etag: tag, modified: entry.Modified()}) {
	case notModified:
		e.describe(w.Header(), entry, tag)
		w.WriteHeader(http.StatusNotModified)
		return nil
	case preconditionFailed:
		w.Header().Set("Content-Length", "0")
		w.WriteHeader(http.StatusPreconditionFailed)
		return nil
	}
	if head || entry.Length == 0 {
		e.describeWhole(w.Header(), entry, req.Key)
		w.WriteHeader(http.StatusOK)
		return nil
	}
	var spans []span
	if asked := r.Header.Get("Range"); asked != "" && rangeHolds(r.Header, tag) {
		var ok bool
		if spans, ok = parseRange(asked, entry.Length); !ok {
			w.Header().Set("Content-Range", "bytes */"+strconv.FormatInt(entry.Length, 10))
			w.Header().Set("Content-Length", "0")
			w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
			return nil
		}
	}
	return e.sendBody(w, r, req, entry, spans)
}

// learnModified looks at copies until one tells when the file was modified. All
// copies tell something else; the first that was seen counts.
func (e *Edge) learnModified(ctx context.Context, entry *cache.Entry) error {
	for _, c := range e.order(entry.Copies) {
		err := e.inspect(ctx, c, entry)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		e.blame(c, entry.FID, err)
	}
	return fmt.Errorf("inspect fid %d: %w", entry.FID, ErrNoCopy)
}

// sendBody sends the spans, or the whole file when there are none. The first copy is
// opened before the header goes out, so that its failure can still become an error.
func (e *Edge) sendBody(w http.ResponseWriter, r *http.Request, req Request, entry *cache.Entry, spans []span) error {
	t := e.newSender(r, req, entry)
	whole := len(spans) == 0
	if whole {
		spans = []span{{0, entry.Length}}
	}
	src, err := t.open(spans[0])
	if err != nil {
		return err
	}
	h := w.Header()
	e.describeWhole(h, entry, req.Key)
	switch {
	case whole:
		w.WriteHeader(http.StatusOK)
		err = t.send(w, src, spans[0])
	case len(spans) == 1:
		h.Set("Content-Range", spans[0].contentRange(entry.Length))
		h.Set("Content-Length", strconv.FormatInt(spans[0].n, 10))
		w.WriteHeader(http.StatusPartialContent)
		err = t.send(w, src, spans[0])
	default:
		err = t.sendParts(w, src, newMultipart(spans, contentType(req.Key), entry.Length))
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
		log = e.log.Debug
	}
	log("body cut short", req.field(), zap.Error(err))
	panic(http.ErrAbortHandler)
}

// etag is exact: a fid's content never changes.
func etag(fid mogile.FID) string { return `"` + fid.String() + `"` }

// describe sets what every answer about a file carries, 304 among them.
func (e *Edge) describe(h http.Header, entry *cache.Entry, tag string) {
	h.Set("Etag", tag)
	if e.config.CacheControl != "" {
		h.Set("Cache-Control", e.config.CacheControl)
	}
	if m := entry.Modified(); !m.IsZero() {
		h.Set("Last-Modified", m.Format(http.TimeFormat))
	}
}

func (e *Edge) describeWhole(h http.Header, entry *cache.Entry, key mogile.Key) {
	e.describe(h, entry, etag(entry.FID))
	h.Set("Content-Type", contentType(key))
	h.Set("Accept-Ranges", "bytes")
	h.Set("Content-Length", strconv.FormatInt(entry.Length, 10))
}
