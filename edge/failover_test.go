package edge_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/mogilefs/caddy-mogilefs/edge"
	"github.com/mogilefs/caddy-mogilefs/mogile"
)

func TestCopyThatFailsIsFollowedByTheNext(t *testing.T) {
	content := noise(200_000)
	for name, f := range map[string]fault{
		"dies before the header": dieBeforeHeader,
		"dies before the body":   dieAfter(0),
		"dies in the middle":     dieAfter(70_000),
		"dies at the last byte":  dieAfter(199_999),
		"stalls at once":         func(_ http.ResponseWriter, r *http.Request, _ []byte) bool { <-r.Context().Done(); return true },
		"stalls in the middle":   stallAfter(100_000),
		"has no file":            answers(http.StatusNotFound),
		"is in trouble":          answers(http.StatusInternalServerError),
		"redirects":              answers(http.StatusFound),
		"has a longer file":      longer,
	} {
		t.Run(name, func(t *testing.T) {
			h := build(t)
			bad, good := newNode(t, 1), newNode(t, 2)
			h.tracker.add("a", content, bad, good)
			bad.breaks(f)
			h.get("a").wantBody(t, http.StatusOK, content)
			if got := len(good.requests("GET")); got != 1 {
				t.Errorf("got %d requests at the good node; want 1", got)
			}
		})
	}
}

func TestRangeIsContinuedFromAnotherCopy(t *testing.T) {
	h := build(t)
	content := noise(200_000)
	bad, good := newNode(t, 1), newNode(t, 2)
	h.tracker.add("a", content, bad, good)
	bad.breaks(dieAfter(1000))
	h.get("a", "Range", "bytes=50-99999").wantBody(t, http.StatusPartialContent, content[50:100_000])
	if got := good.requests("GET")[0].Header.Get("Range"); got == "bytes=50-99999" {
		t.Errorf("got %q at the second node; want to go on where the first ended", got)
	}
}

func TestNodeThatIgnoresRangesIsReadOver(t *testing.T) {
	h := build(t)
	content := noise(100_000)
	n := newNode(t, 1)
	h.tracker.add("a", content, n)
	n.breaks(ignoreRange)
	h.get("a", "Range", "bytes=70000-70009").wantBody(t, http.StatusPartialContent, content[70_000:70_010])
}

func TestWrongLocalCopyIsFollowedByARemoteOne(t *testing.T) {
	content := noise(1000)
	for name, onDisk := range map[string][]byte{"longer": noise(1001), "shorter": noise(999), "missing": nil} {
		t.Run(name, func(t *testing.T) {
			h := build(t)
			n := newNode(t, 1)
			fid := h.tracker.add("a", content, n)
			if onDisk != nil {
				h.disks.put(t, fid, onDisk)
			}
			h.tracker.set("a", mogile.Location{FID: fid, Length: 1000, Copies: []mogile.Copy{h.disks.copyOf(fid), n.copyOf(fid)}})
			h.get("a").wantBody(t, http.StatusOK, content)
			h.do(http.MethodHead, "a", nil).want(t, http.StatusOK)
		})
	}
}

func TestHeadLooksAtTheNextCopyToo(t *testing.T) {
	for name, f := range map[string]fault{
		"dies":              dieBeforeHeader,
		"has no file":       answers(http.StatusNotFound),
		"is in trouble":     answers(http.StatusInternalServerError),
		"has a longer file": longer,
	} {
		t.Run(name, func(t *testing.T) {
			h := build(t)
			bad, good := newNode(t, 1), newNode(t, 2)
			h.tracker.add("a", noise(1000), bad, good)
			bad.breaks(f)
			h.do(http.MethodHead, "a", nil).wantHeader(t, "Last-Modified", good.modified.Format(http.TimeFormat))
			h.tracker.add("b", noise(1000), bad)
			h.do(http.MethodHead, "b", nil).want(t, http.StatusServiceUnavailable)
		})
	}
}

func TestHeadOfALocalCopyAsksNoNode(t *testing.T) {
	h := build(t)
	n := newNode(t, 1)
	fid := h.tracker.add("a", noise(10), n)
	h.tracker.set("a", mogile.Location{FID: fid, Length: 10, Copies: []mogile.Copy{h.disks.copyOf(fid), n.copyOf(fid)}})
	h.do(http.MethodHead, "a", nil).wantHeader(t, "Last-Modified", n.modified.Format(http.TimeFormat)) // not on disk yet
	fid = h.tracker.add("b", noise(10), n)
	h.tracker.set("b", mogile.Location{FID: fid, Length: 10, Copies: []mogile.Copy{h.disks.copyOf(fid), n.copyOf(fid)}})
	h.disks.put(t, fid, noise(10))
	h.do(http.MethodHead, "b", nil).want(t, http.StatusOK)
	if got := len(n.requests("HEAD")); got != 1 {
		t.Errorf("got %d requests at the node; want 1", got)
	}
}

func TestPartThatIsNotWhatWasAskedIsRefused(t *testing.T) {
	content := noise(1000)
	for name, f := range map[string]fault{
		"another part": func(w http.ResponseWriter, _ *http.Request, content []byte) bool {
			w.Header().Set("Content-Range", "bytes 0-9/1000")
			w.WriteHeader(http.StatusPartialContent)
			_, _ = w.Write(content[:10])
			return true
		},
		"part of another file": func(w http.ResponseWriter, _ *http.Request, content []byte) bool {
			w.Header().Set("Content-Range", "bytes 10-19/2000")
			w.WriteHeader(http.StatusPartialContent)
			_, _ = w.Write(content[:10])
			return true
		},
		"whole file that ends early": func(w http.ResponseWriter, _ *http.Request, content []byte) bool {
			w.Header().Set("Content-Length", "1000")
			_, _ = w.Write(content[:5])
			return true
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := build(t)
			bad, good := newNode(t, 1), newNode(t, 2)
			h.tracker.add("a", content, bad, good)
			bad.breaks(f)
			h.get("a", "Range", "bytes=10-19").wantBody(t, http.StatusPartialContent, content[10:20])
		})
	}
}

func TestURLThatCantBeAskedIsPassedOver(t *testing.T) {
	h := build(t)
	n := newNode(t, 2)
	fid := h.tracker.add("a", noise(10), n)
	h.tracker.set("a", mogile.Location{FID: fid, Length: 10, Copies: []mogile.Copy{{Dev: 1, URL: "http://%"}, n.copyOf(fid)}})
	h.get("a").wantBody(t, http.StatusOK, noise(10))
	h.tracker.destinations = func(fid mogile.FID) []mogile.Copy { return []mogile.Copy{{Dev: 3, URL: "http://%"}, n.copyOf(fid)} }
	h.put("b", noise(10)).want(t, http.StatusCreated)
}

func TestRemoteCopyThatDiesIsContinuedLocally(t *testing.T) {
	h := build(t)
	content := noise(200_000)
	bad, n := newNode(t, 1), newNode(t, 2)
	fid := h.tracker.add("a", content, bad, n)
	h.disks.put(t, fid, content)
	bad.breaks(dieAfter(50_000))
	n.breaks(dieAfter(100_000))
	// The tracker comes to know the local copy only after both began to fail.
	h.tracker.onLocate = func() {
		if h.tracker.calls["locate"] == 1 {
			h.tracker.keys["a"] = mogile.Location{FID: fid, Length: 200_000, Copies: []mogile.Copy{h.disks.copyOf(fid), n.copyOf(fid)}}
		}
	}
	h.get("a").wantBody(t, http.StatusOK, content)
	if got := len(n.requests("GET")); got != 1 {
		t.Errorf("got %d requests at the second node; want 1: a copy that failed is not tried again", got)
	}
}

func TestTrackerIsAskedOnceMoreWhenAllCopiesFail(t *testing.T) {
	h := build(t)
	content, changed := noise(1000), noise(2000)
	dead, alive := newNode(t, 1), newNode(t, 2)
	h.tracker.add("a", content, dead)
	h.get("a").wantBody(t, http.StatusOK, content)
	dead.srv.Close()
	got := h.get("a")
	got.want(t, http.StatusServiceUnavailable)
	h.tracker.add("a", changed, alive) // by another process: the cache does not know
	got = h.get("a")
	got.wantBody(t, http.StatusOK, changed)
	got.wantHeader(t, "Etag", `"2"`)
	h.do(http.MethodHead, "a", nil).wantHeader(t, "Content-Length", "2000")
}

func TestKeyThatIsGoneSinceIsNotFound(t *testing.T) {
	h := build(t)
	dead := newNode(t, 1)
	h.tracker.add("a", noise(1000), dead)
	h.get("a").want(t, http.StatusOK)
	dead.breaks(answers(http.StatusNotFound))
	if err := h.tracker.Delete(t.Context(), "images", "a"); err != nil {
		t.Fatal(err)
	}
	h.get("a").want(t, http.StatusNotFound)
}

func TestBodyThatCantBeFinishedIsCutShort(t *testing.T) {
	content := noise(200_000)
	for name, then := range map[string]func(h *house){
		"no other copy": func(*house) {},
		"overwritten":   func(h *house) { h.tracker.keys["a"] = mogile.Location{FID: 99, Length: 200_000} },
		"tracker down":  func(h *house) { h.tracker.fault["locate"] = errors.New("down") },
	} {
		t.Run(name, func(t *testing.T) {
			h := build(t)
			n := newNode(t, 1)
			h.tracker.add("a", content, n)
			n.breaks(dieAfter(100_000))
			h.tracker.onLocate = func() {
				if h.tracker.calls["locate"] > 0 {
					then(h)
				}
			}
			got := h.get("a")
			if got.StatusCode != http.StatusOK || got.cut == nil || len(got.body) >= len(content) {
				t.Errorf("got %d, %d bytes, %v; want 200, a part and an error", got.StatusCode, len(got.body), got.cut)
			}
		})
	}
}

func TestPartsThatCantBeFinishedAreCutShort(t *testing.T) {
	h := build(t)
	n := newNode(t, 1)
	h.tracker.add("a", noise(200_000), n)
	n.breaks(dieAfter(50_000))
	got := h.get("a", "Range", "bytes=0-1,100-199999")
	if got.StatusCode != http.StatusPartialContent || got.cut == nil {
		t.Errorf("got %d, %d bytes, %v; want 206, a part and an error", got.StatusCode, len(got.body), got.cut)
	}
}

func TestDeviceThatFailedIsTriedLast(t *testing.T) {
	h := build(t)
	bad, good := newNode(t, 1), newNode(t, 2)
	for i := range 5 {
		key := fmt.Sprint("k", i)
		h.tracker.add(mogile.Key(key), noise(100), bad, good)
		bad.breaks(answers(http.StatusInternalServerError))
		h.get(key).want(t, http.StatusOK)
	}
	if got := len(bad.requests("GET")); got != 1 {
		t.Errorf("got %d requests at the bad node; want 1", got)
	}
}

func TestDeviceThatLacksOneCopyIsNotBlamed(t *testing.T) {
	h := build(t)
	first, second := newNode(t, 1), newNode(t, 2)
	h.tracker.add("missing", noise(100), first, second)
	h.tracker.add("there", noise(100), first, second)
	first.mu.Lock()
	delete(first.files, mogile.FID(1).Path(1))
	first.mu.Unlock()
	h.get("missing").want(t, http.StatusOK)
	h.get("there").want(t, http.StatusOK)
	if got := len(first.requests("GET")); got != 2 {
		t.Errorf("got %d requests at the first node; want 2", got)
	}
}

func TestClientThatGoesAwayDoesNotCostAnotherCopy(t *testing.T) {
	h := build(t)
	first, second := newNode(t, 1), newNode(t, 2)
	content := noise(50 << 20)
	h.tracker.add("a", content, first, second)
	fid, _ := h.tracker.location("a")
	h.disks.put(t, fid.FID, content)
	h.tracker.set("local", mogile.Location{FID: fid.FID, Length: fid.Length, Copies: []mogile.Copy{h.disks.copyOf(fid.FID), second.copyOf(fid.FID)}})
	for _, path := range []string{"a", "local"} {
		conn, err := net.Dial("tcp", h.srv.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "GET /%s HTTP/1.1\r\nHost: x\r\n\r\n", path)
		if _, err := bufio.NewReader(conn).ReadString('\n'); err != nil {
			t.Fatal(err)
		}
		conn.Close()
	}
	h.srv.Close() // waits for the handlers
	if got := len(second.requests("GET")); got != 0 {
		t.Errorf("got %d requests at the second node; want none", got)
	}
}

func TestClientThatLeavesBeforeTheAnswerIsNotTheNodesFault(t *testing.T) {
	h := build(t)
	n := newNode(t, 1)
	h.tracker.add("a", noise(100), n)
	ctx, leave := context.WithCancel(t.Context())
	n.breaks(func(_ http.ResponseWriter, r *http.Request, _ []byte) bool {
		leave()
		<-r.Context().Done()
		return true
	})
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "/a", nil)
	if err != nil {
		t.Fatal(err)
	}
	var fault *edge.Error
	if err := h.edge.Serve(httptest.NewRecorder(), req, edge.Request{Domain: "images", Key: "a"}); !errors.As(err, &fault) || !errors.Is(err, edge.ErrClientGone) {
		t.Errorf("got %v; want %v", err, edge.ErrClientGone)
	}
}

func TestSlowClientIsNotTheNodesFault(t *testing.T) {
	h := build(t, func(c *edge.Config) { c.Timeouts.Idle = 50 * time.Millisecond })
	n := newNode(t, 1)
	content := noise(200_000)
	h.tracker.add("a", content, n)
	w := &slowWriter{header: http.Header{}, delay: 150 * time.Millisecond}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "/a", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.edge.Serve(w, req, edge.Request{Domain: "images", Key: "a"}); err != nil || w.n != len(content) {
		t.Errorf("got %v, %d bytes; want %d", err, w.n, len(content))
	}
}

// slowWriter takes its time for each write.
type slowWriter struct {
	header http.Header
	delay  time.Duration
	n      int
}

func (w *slowWriter) Header() http.Header { return w.header }
func (w *slowWriter) WriteHeader(int)     {}
func (w *slowWriter) Write(p []byte) (int, error) {
	<-time.After(w.delay)
	w.n += len(p)
	return len(p), nil
}
