package edge

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/edge/semantics"
	"github.com/mogilefs/caddy-mogilefs/edge/upload"
	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tally"
)

// put answers a PUT, or a POST, which means the same here.
//
// Order: 1. what can be refused without the body is refused; 2. open at the tracker;
// 3. the bytes go to a destination, or to several (package upload), durably; 4. close at the tracker, which makes
// them the key's content; 5. the cached location is invalidated; 6. 201. A crash or
// failure before 4 leaves the key as it was, and bytes on a device that abandon (or
// the tracker's sweep of old uploads) removes. After a failure in 4 the new content
// may or may not be visible, so 5 is done all the same.
func (e *Edge) put(w http.ResponseWriter, r *http.Request, req Request) *Error {
	b, fault := e.newBody(w, r, req)
	if fault != nil {
		return fault
	}
	defer b.Release()
	ctx := r.Context()
	if err := e.checkWrite(r, req); err != nil {
		return e.fail(ctx, req, err)
	}
	fid, err := e.store(ctx, req, b)
	e.tellTiming(w.Header(), req.Outcome)
	if err != nil {
		return e.fail(ctx, req, err)
	}
	req.Outcome.FID = fid
	req.Outcome.Answered(tally.Served)
	e.tally.Stored.Add(b.Passed())
	w.Header().Set("Etag", etag(fid))
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(http.StatusCreated)
	return nil
}

// newBody checks what the header promises.
func (e *Edge) newBody(w http.ResponseWriter, r *http.Request, req Request) (*upload.Body, *Error) {
	if slices.ContainsFunc(strings.Split(string(req.Key), "/"), isDots) {
		return nil, badRequest("key %q has a . or .. segment", string(req.Key))
	}
	if r.Header.Get("Content-Range") != "" {
		return nil, badRequest("a part of a file can't be put (RFC 9110 §14.5)")
	}
	if r.Method == http.MethodPost && upload.IsForm(r.Header) {
		return nil, &Error{Status: http.StatusUnsupportedMediaType, Err: ErrForm}
	}
	sum, err := upload.ContentMD5(r.Header)
	if err != nil {
		return nil, badRequest("%w", err)
	}
	b := upload.New(r.Body, upload.Terms{
		Answer: w.Header(), Size: r.ContentLength, Limit: e.config.MaxUpload, MD5: sum, Buffers: &e.buffers,
	})
	if b.Limit > 0 && b.Size > b.Limit {
		return nil, &Error{Status: http.StatusRequestEntityTooLarge, Err: ErrTooLarge}
	}
	return b, nil
}

func isDots(segment string) bool { return segment == "." || segment == ".." }

// checkWrite holds If-Match and If-None-Match against the key's present content.
// Another write may come between this and our own: the tracker has no conditional
// close. So two clients that both create "if none match" may both succeed; one that
// was answered before the other asked is never overwritten.
func (e *Edge) checkWrite(r *http.Request, req Request) error {
	if r.Header.Get("If-Match") == "" && r.Header.Get("If-None-Match") == "" {
		return nil
	}
	var now semantics.Current
	entry, err := e.locateAgain(r.Context(), req)
	switch {
	case err == nil:
		now.ETag = etag(entry.FID)
	case !errors.Is(err, ErrUnknownKey):
		return err
	}
	if semantics.Write(r.Header, now) != semantics.Proceed {
		return ErrPrecondition
	}
	return nil
}

// store takes the body from the client to a closed upload.
func (e *Edge) store(ctx context.Context, req Request, b *upload.Body) (mogile.FID, error) {
	opened, err := e.open(ctx, req, b.Size)
	req.Outcome.Mark("open")
	if err != nil {
		return 0, err
	}
	b.Hash(opened.Hash, !e.config.NoChecksum)
	// From here on the client may go away: what was begun is ended in order.
	ctx = context.WithoutCancel(ctx)
	_, end := e.config.Trace(ctx, "upload", 0)
	stored, tried, err := e.upload(ctx, opened, b)
	end(err)
	req.Outcome.Mark("write")
	if err == nil {
		req.Outcome.Copy = stored[0].Dev
		err = e.closeAll(ctx, req, opened, stored, b)
		req.Outcome.Mark("close")
	}
	if err != nil {
		e.abandon(ctx, req, opened.FID, tried...)
		return 0, err
	}
	return opened.FID, nil
}

func (e *Edge) open(ctx context.Context, req Request, size int64) (Opened, error) {
	ctx, cancel := e.nodesContext(ctx)
	defer cancel()
	opened, err := e.config.Tracker.Open(ctx, Upload{Domain: req.Domain, Key: req.Key, Class: req.Class, Size: size, Copies: e.config.Copies})
	if err != nil {
		return Opened{}, fmt.Errorf("open upload: %w", err)
	}
	if len(opened.Destinations) < e.copies(opened) {
		e.abandon(ctx, req, opened.FID)
		return Opened{}, fmt.Errorf("open upload %d: %w", opened.FID, ErrNoDevices)
	}
	return opened, nil
}

func (e *Edge) close(ctx context.Context, req Request, opened Opened, stored []mogile.Copy, b *upload.Body) error {
	ctx, cancel := e.nodesContext(ctx)
	defer cancel()
	closing := Closing{Domain: req.Domain, Key: req.Key, FID: opened.FID, Size: b.Passed(), Checksum: b.Checksum()}
	for _, c := range stored {
		closing.Copies = append(closing.Copies, StoredCopy{Copy: c, Stored: e.local(c)})
	}
	err := e.config.Tracker.Close(ctx, closing)
	e.forget(req)
	if err != nil {
		return fmt.Errorf("close upload %d: %w", opened.FID, err)
	}
	return nil
}

// forget makes later reads see a change of this process.
func (e *Edge) forget(req Request) {
	if e.config.Locations != nil {
		e.config.Locations.Invalidate(req.Domain, req.Key)
	}
}

// nodesContext is for commands during which the tracker asks nodes.
func (e *Edge) nodesContext(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, e.config.Timeouts.Tracker+e.config.Timeouts.FirstByte)
}

func (e *Edge) abandon(ctx context.Context, req Request, fid mogile.FID, tried ...mogile.Copy) {
	ctx, cancel := e.trackerContext(ctx)
	defer cancel()
	if err := e.config.Tracker.Abandon(ctx, req.Domain, fid, tried...); err != nil {
		e.log.Warn("abandon upload", zap.Uint64("fid", uint64(fid)), zap.Error(err))
	}
}

// upload writes the body to as many destinations as there are to be copies, and returns
// those; and beside them all that may have something of it.
func (e *Edge) upload(ctx context.Context, opened Opened, b *upload.Body) (stored, tried []mogile.Copy, err error) {
	to, at := e.goodFirst(opened.Destinations), devices{e, opened.FID}
	if n := e.copies(opened); n > 1 {
		stored, tried, err = upload.Several(ctx, at, to, b, n, e.limits())
	} else {
		var c mogile.Copy
		c, err = upload.One(at, to, b)
		stored, tried = []mogile.Copy{c}, []mogile.Copy{c}
	}
	switch {
	case errors.Is(err, upload.ErrNotStored):
		err = fmt.Errorf("upload fid %d: %w: %w", opened.FID, ErrNotStored, err)
	case errors.Is(err, upload.ErrUnusable):
		err = fmt.Errorf("%w: %w", ErrBadRequest, err)
	case errors.Is(err, upload.ErrTooLarge):
		err = fmt.Errorf("%w: %w", ErrTooLarge, err)
	}
	return stored, tried, err
}

// remove answers a DELETE.
func (e *Edge) remove(w http.ResponseWriter, r *http.Request, req Request) *Error {
	if err := e.checkWrite(r, req); err != nil {
		return e.fail(r.Context(), req, err)
	}
	ctx, cancel := e.trackerContext(r.Context())
	defer cancel()
	err := e.config.Tracker.Delete(ctx, req.Domain, req.Key)
	e.forget(req) // after a failure too: it may have happened
	req.Outcome.Mark("delete")
	e.tellTiming(w.Header(), req.Outcome)
	if err != nil {
		return e.fail(r.Context(), req, fmt.Errorf("delete: %w", err))
	}
	req.Outcome.Answered(tally.Served)
	w.WriteHeader(http.StatusNoContent)
	return nil
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
