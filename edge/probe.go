package edge

import (
	"context"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/mogilefs/caddy-mogilefs/edge/health"
	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// probeFor bounds a probe: a node that takes longer to say anything is not well.
const probeFor = 2 * time.Second

// findOut has the node or device of a remote copy asked whether it is well again, in the
// background, if it is time for that. A node is well when it answers anything; a device, when
// the first byte of the copy can be read. The node comes first: without it, no device can
// be asked.
//
// A device of this process is found out about by a request, see [health.Unit.Try]: what a
// disk does not give can't be given up.
func (e *Edge) findOut(c mogile.Copy, at health.Place, local bool) {
	switch {
	case local:
	case at.Node.Level() != health.Good:
		if at.Node.Ask() {
			e.background.Start(func(ctx context.Context) {
				began := time.Now()
				_, err := e.probe(ctx, http.MethodHead, rootOf(c.URL))
				at.Node.Asked(err, time.Since(began))
			})
		}
	case at.Device.Ask():
		e.background.Start(func(ctx context.Context) {
			status, err := e.probe(ctx, http.MethodGet, c.URL)
			if err == nil && status >= http.StatusInternalServerError {
				err = refusal(status)
			}
			at.Device.Asked(err)
		})
	}
}

// rootOf is the root of the node that a URL is of.
func rootOf(url string) string {
	scheme, rest, ok := strings.Cut(url, "://")
	if !ok {
		return url
	}
	addr, _, _ := strings.Cut(rest, "/")
	return scheme + "://" + addr + "/"
}

// probe asks for one byte, and reads no more than that.
func (e *Edge) probe(ctx context.Context, method, url string) (status int, err error) {
	ctx, cancel := context.WithTimeout(ctx, probeFor)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return 0, err
	}
	req.Header.Set("Accept-Encoding", "identity")
	req.Header.Set("Range", "bytes=0-0")
	resp, err := e.nodes.RoundTrip(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if method == http.MethodGet && resp.ContentLength != 0 && resp.StatusCode < http.StatusInternalServerError {
		if _, err := io.ReadFull(resp.Body, make([]byte, 1)); err != nil {
			return 0, err
		}
	}
	return resp.StatusCode, nil
}
