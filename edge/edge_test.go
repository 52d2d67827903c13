package edge_test

import (
	"mime"
	"net/http"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/edge"
	"github.com/mogilefs/caddy-mogilefs/mogile"
)

func TestConfigIsChecked(t *testing.T) {
	good := edge.Config{Tracker: newTracker(), Logger: zap.NewNop()}
	for name, c := range map[string]struct {
		change func(*edge.Config)
		ok     bool
	}{
		"least":            {func(*edge.Config) {}, true},
		"no tracker":       {func(c *edge.Config) { c.Tracker = nil }, false},
		"no logger":        {func(c *edge.Config) { c.Logger = nil }, false},
		"negative timeout": {func(c *edge.Config) { c.Timeouts.Idle = -time.Second }, false},
		"negative limit":   {func(c *edge.Config) { c.MaxUpload = -1 }, false},
	} {
		config := good
		c.change(&config)
		e, err := edge.New(config)
		if (err == nil) != c.ok {
			t.Errorf("%s: got %v; want ok=%t", name, err, c.ok)
		}
		if err == nil {
			e.Close()
		}
	}
}

func TestContentTypeIsTheExtensions(t *testing.T) {
	h := build(t)
	if err := mime.AddExtensionType(".edgetest", "application/x-edge-test"); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{
		"a.jpg": "image/jpeg", "A.JPG": "image/jpeg", "d.png/x.webp": "image/webp", "a.avif": "image/avif",
		"a": "application/octet-stream", "a.unknowable": "application/octet-stream", "d.png/x": "application/octet-stream",
		"a.html": "text/html; charset=utf-8", "a.edgetest": "application/x-edge-test",
	} {
		h.tracker.set(mogile.Key(key), mogile.Location{FID: 1})
		h.get(key).wantHeader(t, "Content-Type", want)
	}
}

// trips is a transport that counts.
type trips struct {
	http.RoundTripper
	n int
}

func (c *trips) RoundTrip(r *http.Request) (*http.Response, error) {
	c.n++
	return c.RoundTripper.RoundTrip(r)
}

func TestNodesAreReachedThroughTheTransportGiven(t *testing.T) {
	own := &http.Transport{}
	c := &trips{RoundTripper: own}
	h := build(t, func(config *edge.Config) { config.Transport = c })
	t.Cleanup(own.CloseIdleConnections)
	n := newNode(t, 1)
	h.tracker.add("a", noise(10), n)
	h.get("a").wantBody(t, http.StatusOK, noise(10))
	if got := n.requests("GET")[0].Header.Get("Accept-Encoding"); c.n != 1 || got != "identity" {
		t.Errorf("got %d trips, Accept-Encoding %q; want 1 that asks for no compression", c.n, got)
	}
}
