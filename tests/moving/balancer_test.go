package moving

import (
	"net/http"
	"net/http/httptrace"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"testing"
	"time"
)

// balancer stands before the sites, and gives each request to one of them. A reload of Caddy
// closes connections without a byte of an answer: those that are idle or have just brought a
// request, and, when the old listener goes, those that wait in it. Such a request is sent again over
// a new connection until the old listener is gone, as docs/moving.md wants it from who stands there.
// Whatever is answered is the answer.
type balancer struct {
	url    string
	target atomic.Pointer[url.URL]
	// again is how many requests were sent more than once.
	again atomic.Int64

	kept, fresh *http.Transport
}

func newBalancer(t *testing.T, site string) *balancer {
	t.Helper()
	b := &balancer{kept: &http.Transport{MaxIdleConnsPerHost: readers}, fresh: &http.Transport{DisableKeepAlives: true}}
	b.give(t, site)
	t.Cleanup(b.kept.CloseIdleConnections)
	b.url = serve(t, &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(b.target.Load()) },
		Transport: b,
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			http.Error(w, err.Error(), http.StatusBadGateway)
		},
	})
	return b
}

// give has all requests that come now go to a site.
func (b *balancer) give(t *testing.T, site string) {
	t.Helper()
	u, err := url.Parse(site)
	if err != nil {
		t.Fatal(err)
	}
	b.target.Store(u)
}

// goneWithin bounds how long an old listener takes to go, once a connection to it has broken.
const goneWithin = 20 * time.Second

// RoundTrip implements http.RoundTripper. Readers send no bodies.
func (b *balancer) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, answered, err := ask(b.kept, req)
	if err == nil || answered {
		return resp, err
	}
	b.again.Add(1)
	pause := time.NewTicker(20 * time.Millisecond)
	defer pause.Stop()
	for late := time.After(goneWithin); err != nil && !answered; {
		select {
		case <-pause.C:
			resp, answered, err = ask(b.fresh, req)
		case <-req.Context().Done():
			return nil, err
		case <-late:
			return nil, err
		}
	}
	return resp, err
}

// ask sends a request; answered says that a byte of an answer came.
func ask(over *http.Transport, req *http.Request) (resp *http.Response, answered bool, err error) {
	var first atomic.Bool
	ctx := httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{GotFirstResponseByte: func() { first.Store(true) }})
	resp, err = over.RoundTrip(req.WithContext(ctx))
	return resp, first.Load(), err
}
