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
)

// put answers a PUT.
//
// Order: 1. what can be refused without the body is refused; 2. open at the tracker;
// 3. the bytes go to a destination, durably; 4. close at the tracker, which makes
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
	w.Header().Set("Etag", etag(fid))
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(http.StatusCreated)
	return nil
}

// newBody checks what a PUT's header promises.
func (e *Edge) newBody(w http.ResponseWriter, r *http.Request, req Request) (*upload.Body, *Error) {
	if slices.ContainsFunc(strings.Split(string(req.Key), "/"), isDots) {
		return nil, badRequest("key %q has a . or .. segment", string(req.Key))
	}
	if r.Header.Get("Content-Range") != "" {
		return nil, badRequest("a part of a file can't be put (RFC 9110 §14.5)")
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
	req.Outcome.mark("open")
	if err != nil {
		return 0, err
	}
	b.Hash(opened.Hash, !e.config.NoChecksum)
	// From here on the client may go away: what was begun is ended in order.
	ctx = context.WithoutCancel(ctx)
	c, err := e.upload(opened, b)
	req.Outcome.Copy = c.Dev
	req.Outcome.mark("write")
	if err == nil {
		err = e.close(ctx, req, opened, c, b)
		req.Outcome.mark("close")
	}
	if err != nil {
		e.abandon(ctx, req, opened.FID, c)
		return 0, err
	}
	return opened.FID, nil
}

func (e *Edge) open(ctx context.Context, req Request, size int64) (Opened, error) {
	ctx, cancel := e.nodesContext(ctx)
	defer cancel()
	opened, err := e.config.Tracker.Open(ctx, Upload{Domain: req.Domain, Key: req.Key, Class: req.Class, Size: size})
	if err != nil {
		return Opened{}, fmt.Errorf("open upload: %w", err)
	}
	if len(opened.Destinations) == 0 {
		e.abandon(ctx, req, opened.FID, mogile.Copy{})
		return Opened{}, fmt.Errorf("open upload %d: %w", opened.FID, ErrNoDevices)
	}
	return opened, nil
}

func (e *Edge) close(ctx context.Context, req Request, opened Opened, c mogile.Copy, b *upload.Body) error {
	ctx, cancel := e.nodesContext(ctx)
	defer cancel()
	err := e.config.Tracker.Close(ctx, Closing{
		Domain: req.Domain, Key: req.Key, FID: opened.FID, Copy: c,
		Size: b.Passed(), Checksum: b.Checksum(), Stored: e.local(c),
	})
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

func (e *Edge) abandon(ctx context.Context, req Request, fid mogile.FID, c mogile.Copy) {
	ctx, cancel := e.trackerContext(ctx)
	defer cancel()
	if err := e.config.Tracker.Abandon(ctx, req.Domain, fid, c); err != nil {
		e.log.Warn("abandon upload", zap.Uint64("fid", uint64(fid)), zap.Error(err))
	}
}

// upload writes the body to the first destination that takes it and returns that;
// with an error, the one tried last. A destination that fails is followed by the
// next as long as the body can be had again from its beginning. What lies on the
// failed one is not abandoned, because that would give up the fid.
func (e *Edge) upload(opened Opened, b *upload.Body) (mogile.Copy, error) {
	var err error
	var c mogile.Copy
	for _, c = range e.goodFirst(opened.Destinations) {
		if err = e.write(c, opened.FID, b); err == nil {
			return c, nil
		}
		switch {
		case errors.Is(err, upload.ErrUnusable): // at any destination
			return c, fmt.Errorf("%w: %w", ErrBadRequest, err)
		case errors.Is(err, upload.ErrTooLarge):
			return c, fmt.Errorf("%w: %w", ErrTooLarge, err)
		}
		e.blame(c, opened.FID, err)
		if !b.Rewind() {
			break
		}
	}
	return c, fmt.Errorf("upload fid %d: %w: %w", opened.FID, ErrNotStored, err)
}

// write writes the body to one destination.
func (e *Edge) write(c mogile.Copy, fid mogile.FID, b *upload.Body) error {
	dst, err := e.create(c, fid, b)
	if err != nil {
		return err
	}
	committed := false
	defer func() {
		if !committed {
			dst.Abort()
		}
	}()
	if err := b.Pump(dst); err != nil {
		return err
	}
	if err := b.Verify(); err != nil {
		return err
	}
	committed = true // whatever it returns
	return dst.Commit()
}

func (e *Edge) create(c mogile.Copy, fid mogile.FID, b *upload.Body) (NewCopy, error) {
	if !e.local(c) {
		return e.newRemote(c, b)
	}
	dst, err := e.config.Disks.Create(c, fid, b.Size)
	if err != nil {
		return nil, fmt.Errorf("create local copy: %w", err)
	}
	return dst, nil
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
	req.Outcome.mark("delete")
	e.tellTiming(w.Header(), req.Outcome)
	if err != nil {
		return e.fail(r.Context(), req, fmt.Errorf("delete: %w", err))
	}
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
