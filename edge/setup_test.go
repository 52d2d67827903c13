package edge_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/cache"
	"github.com/mogilefs/caddy-mogilefs/edge"
	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// house is an edge with what is around it, behind a server.
type house struct {
	t       testing.TB
	tracker *tracker
	disks   *disks
	edge    *edge.Edge
	srv     *httptest.Server
}

// build makes a house; with changes the config before the edge is made of it. When
// the test ends, no goroutine and no descriptor may be left.
func build(t testing.TB, with ...func(*edge.Config)) *house {
	t.Helper()
	noLeaks(t)
	locations, err := cache.NewLocations(cache.Config{Bytes: 2 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(locations.Close)
	h := &house{t: t, tracker: newTracker(), disks: newDisks(t)}
	config := edge.Config{
		Tracker: h.tracker, Disks: h.disks, Locations: locations, Logger: zap.NewNop(),
		Timeouts: edge.Timeouts{FirstByte: 300 * time.Millisecond, Idle: 300 * time.Millisecond},
	}
	for _, change := range with {
		change(&config)
	}
	if h.edge, err = edge.New(config); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.edge.Close)
	h.srv = httptest.NewServer(http.HandlerFunc(h.serve))
	t.Cleanup(h.srv.Close)
	return h
}

// serve is the caller that writes error pages.
func (h *house) serve(w http.ResponseWriter, r *http.Request) {
	req := edge.Request{
		Domain: mogile.DomainName(r.Header.Get("X-Domain")),
		Key:    mogile.Key(strings.TrimPrefix(r.URL.Path, "/")),
		Class:  mogile.ClassName(r.Header.Get("X-Class")),
	}
	if fid, err := mogile.ParseFID(r.Header.Get("X-Fid")); err == nil {
		req.FID = fid
	}
	if req.Domain == "" {
		req.Domain = "images"
	}
	err := h.edge.Serve(w, r, req)
	if err == nil {
		return
	}
	var e *edge.Error
	if !errors.As(err, &e) {
		h.t.Errorf("%s %s: got %T; want *edge.Error", r.Method, r.URL.Path, err)
		return
	}
	if e.RetryAfter > 0 {
		w.Header().Set("Retry-After", e.RetryAfter.String())
	}
	http.Error(w, err.Error(), e.Status)
}

// reply is an answer with its body read.
type reply struct {
	*http.Response
	body []byte
	// cut is why the body could not be read to its end.
	cut error
}

// do sends a request; headers come in pairs. The reply must name no inner address.
func (h *house) do(method, path string, body io.Reader, headers ...string) reply {
	h.t.Helper()
	req, err := http.NewRequest(method, h.srv.URL+"/"+path, body)
	if err != nil {
		h.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	resp, err := h.srv.Client().Do(req)
	if err != nil {
		h.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	got := reply{Response: resp}
	got.body, got.cut = io.ReadAll(resp.Body)
	if resp.StatusCode >= 400 && bytes.Contains(got.body, []byte("127.0.0.1")) {
		h.t.Errorf("%s %s: the reply names an inner address: %s", method, path, got.body)
	}
	return got
}

func (h *house) get(path string, headers ...string) reply {
	h.t.Helper()
	return h.do(http.MethodGet, path, nil, headers...)
}

func (h *house) put(path string, content []byte, headers ...string) reply {
	h.t.Helper()
	return h.do(http.MethodPut, path, bytes.NewReader(content), headers...)
}

func (r reply) want(t testing.TB, status int) {
	t.Helper()
	if r.StatusCode != status {
		t.Fatalf("%s %s: got %d %q; want %d", r.Request.Method, r.Request.URL.Path, r.StatusCode, r.body[:min(len(r.body), 200)], status)
	}
}

func (r reply) wantBody(t testing.TB, status int, body []byte) {
	t.Helper()
	r.want(t, status)
	if r.cut != nil || !bytes.Equal(r.body, body) {
		t.Fatalf("%s %s: got %d bytes, cut by %v; want %d bytes", r.Request.Method, r.Request.URL.Path, len(r.body), r.cut, len(body))
	}
}

func (r reply) wantHeader(t testing.TB, name, want string) {
	t.Helper()
	if got := r.Header.Get(name); got != want {
		t.Errorf("%s %s: got %s %q; want %q", r.Request.Method, r.Request.URL.Path, name, got, want)
	}
}

// noise is n bytes that look the same on every run but nowhere the same.
func noise(n int) []byte {
	b := make([]byte, n)
	rnd := rand.NewChaCha8([32]byte{byte(n), byte(n >> 8), byte(n >> 16)})
	_, _ = rnd.Read(b)
	return b
}

// noLeaks compares goroutines and descriptors at the test's end with now. It is to be
// called before anything is started.
func noLeaks(t testing.TB) {
	goroutines, files := runtime.NumGoroutine(), descriptors(t)
	t.Cleanup(func() {
		http.DefaultTransport.(*http.Transport).CloseIdleConnections()
		eventually(t, "goroutines and descriptors of the start", func() bool {
			return runtime.NumGoroutine() <= goroutines && descriptors(t) <= files
		})
	})
}

func descriptors(t testing.TB) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// eventually waits for what the kernel or net/http ends in its own time.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(5 * time.Second)
	for tick := time.NewTicker(time.Millisecond); !ok(); {
		select {
		case <-deadline:
			tick.Stop()
			buf := make([]byte, 1<<16)
			t.Errorf("got none of: %s\n%s", what, buf[:runtime.Stack(buf, true)])
			return
		case <-tick.C:
		}
	}
}
