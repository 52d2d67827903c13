package edge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/edge/upload"
	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// copies is how many copies of an upload there are to be before it is closed.
func (e *Edge) copies(opened Opened) int {
	want := max(e.config.Copies, 1)
	n := min(want, max(opened.Copies, 1))
	if n < want {
		e.oneCopy.Do(func() {
			e.log.Warn("the tracker records one copy of an upload: it gets no more before it is answered", zap.Int("wanted", want))
		})
	}
	return n
}

// devices are those that an upload may go to, as package upload sees them.
type devices struct {
	e   *Edge
	fid mogile.FID
}

// Create begins a copy.
func (d devices) Create(c mogile.Copy, b *upload.Body) (upload.Copy, error) {
	if !d.e.local(c) {
		return upload.Remote(d.e.nodes, c.URL, b, d.e.limits())
	}
	dst, err := d.e.config.Disks.Create(c, d.fid, b.Size)
	if err != nil {
		return nil, fmt.Errorf("create local copy: %w", err)
	}
	return dst, nil
}

// Blame is told which copy failed.
func (d devices) Blame(c mogile.Copy, err error) { d.e.blame(c, d.fid, err) }

// Await keeps somebody waiting for what is late.
func (d devices) Await(late func()) { d.e.background.Start(func(context.Context) { late() }) }

func (e *Edge) limits() upload.Limits {
	return upload.Limits{Write: e.config.Timeouts.Idle, Commit: e.config.Timeouts.FirstByte}
}

// Open opens a copy that was written a moment ago.
func (d devices) Open(ctx context.Context, c mogile.Copy, length int64) (io.ReadCloser, error) {
	if d.e.local(c) {
		f, err := d.e.config.Disks.Open(c, d.fid)
		if err != nil {
			return nil, fmt.Errorf("open local copy: %w", err)
		}
		return f, nil
	}
	resp, f, err := d.e.ask(ctx, http.MethodGet, attempt{Copy: c}, "")
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK || resp.ContentLength != length {
		f.Close()
		return nil, fmt.Errorf("node answers %d with %d bytes; want %d", resp.StatusCode, resp.ContentLength, length)
	}
	return f, nil
}

// closeAll closes an upload. A tracker that records one copy gets one: the others are removed
// first, while nobody can have recorded them. If that fails the upload is given up, and the
// tracker's sweep removes what is left.
func (e *Edge) closeAll(ctx context.Context, req Request, opened Opened, stored []mogile.Copy, b *upload.Body) error {
	err := e.close(ctx, req, opened, stored, b)
	if !errors.Is(err, ErrOneCopy) {
		return err
	}
	for _, c := range stored[1:] {
		if err := e.erase(ctx, c); err != nil {
			return fmt.Errorf("remove a copy that the tracker does not record: %w", err)
		}
	}
	return e.close(ctx, req, opened, stored[:1], b)
}

// erase has a node delete a copy.
func (e *Edge) erase(ctx context.Context, c mogile.Copy) error {
	resp, f, err := e.ask(ctx, http.MethodDelete, attempt{Copy: c}, "")
	if err != nil {
		return err
	}
	defer f.Close()
	if resp.StatusCode/100 != 2 && resp.StatusCode != http.StatusNotFound {
		return fmt.Errorf("node answers %d", resp.StatusCode)
	}
	return nil
}
