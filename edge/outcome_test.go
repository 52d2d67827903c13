package edge_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/mogilefs/caddy-mogilefs/cache"
	"github.com/mogilefs/caddy-mogilefs/edge"
	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// asked is an answer with what the edge says of it.
type asked struct {
	*httptest.ResponseRecorder
	edge.Outcome
	err error
}

func (h *house) ask(method, key string, headers ...string) asked {
	h.t.Helper()
	r := httptest.NewRequestWithContext(h.t.Context(), method, "/"+key, http.NoBody)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	a := asked{ResponseRecorder: httptest.NewRecorder()}
	a.err = h.edge.Serve(a, r, edge.Request{Domain: "images", Key: mogile.Key(key), Outcome: &a.Outcome})
	return a
}

// wantStatus compares the Cache-Status, in which a number of seconds is N.
func (a asked) wantStatus(t *testing.T, use edge.CacheUse, want string) {
	t.Helper()
	got := regexp.MustCompile(`ttl=[0-9]+`).ReplaceAllString(a.Header().Get("Cache-Status"), "ttl=N")
	if a.Cache != use || got != want {
		t.Errorf("got %q and Cache-Status %q; want %q and %q", a.Cache, got, use, want)
	}
}

func TestOutcomeAndCacheStatusSayHowFarMemoryHelped(t *testing.T) {
	h, contents := inMemory(t, cache.ContentsConfig{}, func(c *edge.Config) {
		locations, err := cache.NewLocations(cache.Config{TTL: time.Minute, NegativeTTL: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(locations.Close)
		c.Locations, c.CacheStatus = locations, true
	})
	n := newNode(t, 7)
	fid := h.tracker.add("a", noise(1000), n)

	a := h.ask("GET", "a")
	a.wantStatus(t, edge.CacheMiss, "mogilefs; fwd=uri-miss; detail=miss")
	if a.FID != fid || a.Copy != 7 {
		t.Errorf("got fid %d from device %d; want fid %d from 7", a.FID, a.Copy, fid)
	}
	awaitKept(t, contents, fid, 1000)
	a = h.ask("GET", "a")
	a.wantStatus(t, edge.CacheContent, "mogilefs; hit; ttl=N; detail=content")
	if a.FID != fid || a.Copy != 0 {
		t.Errorf("got fid %d from device %d; want fid %d from none", a.FID, a.Copy, fid)
	}
	h.ask("GET", "a", "Range", "bytes=1-2").wantStatus(t, edge.CacheContent, "mogilefs; hit; ttl=N; detail=content")
	h.ask("HEAD", "a").wantStatus(t, edge.CacheLocation, "mogilefs; hit; ttl=N; detail=location")
	h.ask("GET", "a", "If-None-Match", "*").wantStatus(t, edge.CacheLocation, "mogilefs; hit; ttl=N; detail=location")
	h.ask("GET", "a", "If-Match", `"0"`).wantStatus(t, edge.CacheLocation, "mogilefs; hit; ttl=N; detail=location")
	h.ask("GET", "a", "Range", "bytes=1000-").wantStatus(t, edge.CacheLocation, "mogilefs; hit; ttl=N; detail=location")
	contents.Remove(fid)
	h.ask("GET", "a", "Range", "bytes=1-2").wantStatus(t, edge.CacheLocation, "mogilefs; fwd=miss; ttl=N; detail=location")

	gone := h.ask("GET", "gone")
	gone.wantStatus(t, edge.CacheMiss, "mogilefs; fwd=uri-miss; detail=miss")
	if gone.err == nil || gone.FID != 0 || gone.Copy != 0 {
		t.Errorf("got %v, fid %d, device %d; want an error and neither", gone.err, gone.FID, gone.Copy)
	}
	eventually(t, "absence remembered", func() bool { return h.ask("GET", "gone").Cache == edge.CacheLocation })
	h.ask("GET", "gone").wantStatus(t, edge.CacheLocation, "mogilefs; hit; ttl=N; detail=location")

	if d := h.ask("DELETE", "a"); d.Header().Get("Cache-Status") != "" || d.Cache != "" {
		t.Errorf("DELETE: got %q, Cache-Status %q; want none", d.Cache, d.Header().Get("Cache-Status"))
	}
}

func TestOutcomeSaysThatALocationIsStale(t *testing.T) {
	h := build(t, func(c *edge.Config) {
		locations, err := cache.NewLocations(cache.Config{TTL: time.Nanosecond})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(locations.Close)
		c.Locations, c.CacheStatus = locations, true
	})
	h.tracker.add("a", noise(1000), newNode(t, 7))
	h.ask("GET", "a")
	h.tracker.fail("locate", errors.New("down"))
	eventually(t, "stale location", func() bool { return h.ask("GET", "a").err == nil })
	h.ask("GET", "a").wantStatus(t, edge.CacheStale, "mogilefs; fwd=stale; ttl=N; detail=stale")
}

// begun is a client that tells when it gets a header.
type begun struct {
	*httptest.ResponseRecorder
	header chan struct{}
}

func (b *begun) WriteHeader(status int) {
	b.ResponseRecorder.WriteHeader(status)
	close(b.header)
}

func TestOutcomeSaysThatAFetchIsShared(t *testing.T) {
	h, contents := inMemory(t, cache.ContentsConfig{}, func(c *edge.Config) { c.CacheStatus = true })
	content := noise(1000)
	fid := h.tracker.add("a", content, newNode(t, 7))
	h.ask("HEAD", "a") // and the location is remembered
	w := &begun{httptest.NewRecorder(), make(chan struct{})}
	x, _ := contents.Join(cache.Wanted{FID: fid, Length: 1000}, func(_ context.Context, to *cache.Filling) error {
		to.Describe(7, time.Time{})
		if _, err := to.Write(content[:10]); err != nil {
			return err
		}
		<-w.header // somebody follows
		_, err := to.Write(content[10:])
		return err
	})
	defer x.Release()
	a := asked{ResponseRecorder: w.ResponseRecorder}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/a", nil)
	if err := h.edge.Serve(w, r, edge.Request{Domain: "images", Key: "a", Outcome: &a.Outcome}); err != nil || !bytes.Equal(w.Body.Bytes(), content) {
		t.Errorf("got %v, %d bytes; want all", err, w.Body.Len())
	}
	a.wantStatus(t, edge.CacheShared, "mogilefs; fwd=miss; collapsed; ttl=N; detail=shared")
	if a.Copy != 7 {
		t.Errorf("got device %d; want 7", a.Copy)
	}
}

func TestServerTimingNamesTheSteps(t *testing.T) {
	h := build(t, func(c *edge.Config) { c.ServerTiming = true })
	h.toDisks()
	for _, c := range []struct {
		method, key string
		want        string
	}{
		{"PUT", "a", "open write close"},
		{"PUT", "with/../dots", ""},
		{"GET", "a", "locate"}, // an empty file needs no copy
		{"GET", "b", "locate open"},
		{"HEAD", "b", "locate"},
		{"GET", "nowhere", "locate"},
		{"DELETE", "a", "delete"},
	} {
		if c.key == "b" {
			h.tracker.add("b", noise(1000), newNode(t, 1))
		}
		got := h.ask(c.method, c.key).Header().Get("Server-Timing")
		if !regexp.MustCompile(`^(\w+;dur=\d+\.\d{3}(, |$))*$`).MatchString(got) {
			t.Errorf("%s %s: got %q; want names with milliseconds", c.method, c.key, got)
		}
		var names []string
		for _, s := range strings.Split(got, ", ") {
			name, _, _ := strings.Cut(s, ";")
			names = append(names, name)
		}
		if got := strings.Join(names, " "); got != c.want {
			t.Errorf("%s %s: got steps %q; want %q", c.method, c.key, got, c.want)
		}
	}
	quiet := build(t)
	quiet.toDisks()
	if got := quiet.ask("PUT", "a").Header().Get("Server-Timing"); got != "" {
		t.Errorf("got %q; want none unless asked for", got)
	}
}
