package edge_test

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mogilefs/caddy-mogilefs/edge"
	"github.com/mogilefs/caddy-mogilefs/mogile"
)

func cacheControl(c *edge.Config) { c.CacheControl = "max-age=60" }

func TestGetSendsTheFileWithItsHeaders(t *testing.T) {
	h := build(t, cacheControl)
	n := newNode(t, 1)
	content := noise(100_000)
	h.tracker.add("dir/aqua.jpg", content, n)
	for range 2 {
		got := h.get("dir/aqua.jpg")
		got.wantBody(t, http.StatusOK, content)
		got.wantHeader(t, "Etag", `"1"`)
		got.wantHeader(t, "Content-Type", "image/jpeg")
		got.wantHeader(t, "Content-Length", "100000")
		got.wantHeader(t, "Accept-Ranges", "bytes")
		got.wantHeader(t, "Cache-Control", "max-age=60")
		got.wantHeader(t, "Last-Modified", n.modified.Format(http.TimeFormat))
	}
	if got := len(n.requests("GET")); got != 2 {
		t.Errorf("got %d requests at the node; want 2", got)
	}
}

func TestLocalCopyIsSentWithoutItsNode(t *testing.T) {
	h := build(t)
	n := newNode(t, 1)
	content := noise(100_000)
	fid := h.tracker.add("a.png", content, n)
	h.disks.put(t, fid, content)
	h.tracker.set("a.png", mogile.Location{FID: fid, Length: 100_000, Copies: []mogile.Copy{n.copyOf(fid), h.disks.copyOf(fid)}})
	st, err := os.Stat(h.disks.path(fid))
	if err != nil {
		t.Fatal(err)
	}
	got := h.get("a.png")
	got.wantBody(t, http.StatusOK, content)
	got.wantHeader(t, "Last-Modified", st.ModTime().UTC().Format(http.TimeFormat))
	h.get("a.png", "Range", "bytes=99990-").wantBody(t, http.StatusPartialContent, content[99990:])
	h.get("a.png", "Range", "bytes=5-9").wantBody(t, http.StatusPartialContent, content[5:10])
	if asked := len(n.requests("GET")); asked != 0 {
		t.Errorf("got %d requests at the node; want none", asked)
	}
}

func TestHeadTellsWhatGetWouldWithoutFetching(t *testing.T) {
	h := build(t)
	n := newNode(t, 1)
	h.tracker.add("a.webp", noise(5000), n)
	head := h.do(http.MethodHead, "a.webp", nil, "Range", "bytes=0-1")
	head.wantBody(t, http.StatusOK, nil)
	if got := len(n.requests("GET")); got != 0 {
		t.Errorf("got %d GETs at the node; want none", got)
	}
	h.do(http.MethodHead, "a.webp", nil).want(t, http.StatusOK)
	if got := len(n.requests("HEAD")); got != 1 {
		t.Errorf("got %d HEADs at the node; want 1, and then the time remembered", got)
	}
	get := h.get("a.webp")
	for _, name := range []string{"Etag", "Content-Type", "Content-Length", "Last-Modified", "Accept-Ranges"} {
		head.wantHeader(t, name, get.Header.Get(name))
	}
}

func TestConditionsAreAnsweredWithoutACopy(t *testing.T) {
	h := build(t, cacheControl)
	n := newNode(t, 1)
	h.tracker.add("a", noise(10), n)
	for _, c := range []struct {
		name, value string
		status      int
	}{
		{"If-None-Match", `"1"`, http.StatusNotModified},
		{"If-None-Match", `W/"1"`, http.StatusNotModified},
		{"If-None-Match", `*`, http.StatusNotModified},
		{"If-Match", `"2"`, http.StatusPreconditionFailed},
		{"If-Match", `W/"1"`, http.StatusPreconditionFailed},
		{"Range", "bytes=10-", http.StatusRequestedRangeNotSatisfiable},
		{"Range", "bytes=-0", http.StatusRequestedRangeNotSatisfiable},
	} {
		got := h.get("a", c.name, c.value)
		got.wantBody(t, c.status, nil)
		switch c.status {
		case http.StatusNotModified:
			got.wantHeader(t, "Etag", `"1"`)
			got.wantHeader(t, "Cache-Control", "max-age=60")
		case http.StatusRequestedRangeNotSatisfiable:
			got.wantHeader(t, "Content-Range", "bytes */10")
		}
	}
	if got := len(n.requests("GET")) + len(n.requests("HEAD")); got != 0 {
		t.Errorf("got %d requests at the node; want none", got)
	}
}

func TestConditionsOnDatesUseTheTimeSeenFirst(t *testing.T) {
	h := build(t)
	a, b := newNode(t, 1), newNode(t, 2)
	h.tracker.add("a", noise(10), a, b)
	first := a.modified.Format(http.TimeFormat)
	h.get("a", "If-Modified-Since", first).wantBody(t, http.StatusNotModified, nil)
	h.get("a", "If-Modified-Since", a.modified.Add(-time.Second).Format(http.TimeFormat)).want(t, http.StatusOK)
	h.get("a", "If-Unmodified-Since", a.modified.Add(-time.Second).Format(http.TimeFormat)).want(t, http.StatusPreconditionFailed)
	a.srv.Close()
	h.get("a").wantHeader(t, "Last-Modified", first) // from the other copy, which has another time
	if got := len(b.requests("GET")); got != 1 {
		t.Errorf("got %d requests at the other node; want 1", got)
	}
}

func TestRangesAreAbsoluteBeforeANodeSeesThem(t *testing.T) {
	h := build(t)
	n := newNode(t, 1)
	content := noise(1000)
	h.tracker.add("a", content, n)
	for _, c := range []struct {
		asked, atNode string
		body          []byte
	}{
		{"bytes=-100", "bytes=900-999", content[900:]},
		{"bytes=-5000", "", content},
		{"bytes=990-", "bytes=990-999", content[990:]},
		{"bytes=10-5000", "bytes=10-999", content[10:]},
		{"BYTES=0-0", "bytes=0-0", content[:1]},
	} {
		got := h.get("a", "Range", c.asked)
		got.wantBody(t, http.StatusPartialContent, c.body)
		asked := n.requests("GET")
		if last := asked[len(asked)-1].Header.Get("Range"); last != c.atNode {
			t.Errorf("%s: got %q at the node; want %q", c.asked, last, c.atNode)
		}
	}
}

func TestRangeThatCantBeMeansTheWholeFile(t *testing.T) {
	h := build(t)
	content := noise(1000)
	h.tracker.add("a", content, newNode(t, 1))
	for _, asked := range []string{"bytes", "bytes=", "bytes=x", "bytes=2-1", "bytes=2000-1", "bytes=+1-2", "bytes=1 - 2", "bytes=-", "lines=1-2", "bytes=0-9,5-14",
		"bytes=" + strings.Repeat("0-0,", 17)} {
		h.get("a", "Range", asked).wantBody(t, http.StatusOK, content)
	}
	h.get("a", "Range", "bytes=0-1", "If-Range", `"2"`).wantBody(t, http.StatusOK, content)
	h.get("a", "Range", "bytes=0-1", "If-Range", `"1"`).wantBody(t, http.StatusPartialContent, content[:2])
	h.get("a", "Range", "bytes=0-1", "If-Range", time.Now().Format(http.TimeFormat)).wantBody(t, http.StatusOK, content)
}

func TestSeveralRangesComeAsParts(t *testing.T) {
	h := build(t)
	content := noise(1000)
	fid := h.tracker.add("a.gif", content, newNode(t, 1))
	h.disks.put(t, fid, content)
	remote, _ := h.tracker.location("a.gif")
	for name, copies := range map[string][]mogile.Copy{"remote": remote.Copies, "local": {h.disks.copyOf(fid)}} {
		h.tracker.set(mogile.Key(name+".gif"), mogile.Location{FID: fid, Length: 1000, Copies: copies})
		got := h.get(name+".gif", "Range", "bytes=900-, 2000-, 0-9,-1000000,")
		got.wantBody(t, http.StatusOK, content) // they overlap
		got = h.get(name+".gif", "Range", "bytes=900-, 2000-, 0-9")
		got.want(t, http.StatusPartialContent)
		got.wantHeader(t, "Content-Length", strconv.Itoa(len(got.body)))
		kind, params, err := mime.ParseMediaType(got.Header.Get("Content-Type"))
		if err != nil || kind != "multipart/byteranges" {
			t.Fatalf("%s: got %s, %v; want multipart/byteranges", name, kind, err)
		}
		parts := multipart.NewReader(bytes.NewReader(got.body), params["boundary"])
		for _, want := range []struct {
			part string
			body []byte
		}{{"bytes 900-999/1000", content[900:]}, {"bytes 0-9/1000", content[:10]}} {
			p, err := parts.NextPart()
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(p)
			if p.Header.Get("Content-Range") != want.part || p.Header.Get("Content-Type") != "image/gif" || !bytes.Equal(body, want.body) {
				t.Errorf("%s: got part %v of %d bytes; want %s", name, p.Header, len(body), want.part)
			}
		}
		if _, err := parts.NextPart(); err != io.EOF {
			t.Errorf("%s: got %v after the last part; want %v", name, err, io.EOF)
		}
	}
}

func TestEmptyFileNeedsNoCopy(t *testing.T) {
	h := build(t)
	h.tracker.set("empty.txt", mogile.Location{FID: 7})
	got := h.get("empty.txt", "Range", "bytes=0-")
	got.wantBody(t, http.StatusOK, nil)
	got.wantHeader(t, "Content-Length", "0")
	got.wantHeader(t, "Etag", `"7"`)
	h.do(http.MethodHead, "empty.txt", nil).wantHeader(t, "Content-Length", "0")
	h.get("empty.txt", "If-None-Match", `"7"`).want(t, http.StatusNotModified)
}

func TestRefusalsHaveTheirStatus(t *testing.T) {
	h := build(t)
	h.tracker.set("lost", mogile.Location{FID: 1, Length: 10})
	h.get("unknown").want(t, http.StatusNotFound)
	h.get("a", "X-Domain", "nowhere").want(t, http.StatusNotFound)
	h.get("").want(t, http.StatusBadRequest)
	h.get(strings.Repeat("x", 300)).want(t, http.StatusBadRequest)
	got := h.get("lost")
	got.want(t, http.StatusServiceUnavailable)
	if got.Header.Get("Retry-After") == "" {
		t.Error("got no Retry-After; want one")
	}
	h.tracker.fail("locate", errors.New("dial tcp 127.0.0.1:7001: connection refused"))
	got = h.get("new")
	got.want(t, http.StatusServiceUnavailable)
	if got.Header.Get("Retry-After") == "" {
		t.Error("got no Retry-After; want one")
	}
}

func TestKnownKeyIsReadWhileTheTrackerIsDown(t *testing.T) {
	h := build(t)
	content := noise(100)
	h.tracker.add("a", content, newNode(t, 1))
	eventually(t, "a read from the cache", func() bool {
		before := h.tracker.count("locate")
		h.get("a").wantBody(t, http.StatusOK, content)
		return h.tracker.count("locate") == before
	})
	h.tracker.fail("locate", errors.New("down"))
	h.get("a").wantBody(t, http.StatusOK, content)
}

func TestEdgeWithoutCacheAsksTheTrackerEachTime(t *testing.T) {
	h := build(t, func(c *edge.Config) { c.Locations = nil })
	n := newNode(t, 1)
	h.tracker.add("a", []byte("1"), n)
	h.get("a").wantBody(t, http.StatusOK, []byte("1"))
	h.tracker.add("a", []byte("22"), n)
	h.get("a").wantBody(t, http.StatusOK, []byte("22"))
	h.get("b").want(t, http.StatusNotFound)
}

func TestLargeFileDoesNotGrowMemory(t *testing.T) {
	const length = 300 << 20
	h := build(t, func(c *edge.Config) { c.Timeouts = edge.Timeouts{} })
	n := newNode(t, 1)
	block := noise(1 << 20)
	n.breaks(func(w http.ResponseWriter, _ *http.Request, _ []byte) bool {
		w.Header().Set("Content-Length", strconv.Itoa(length))
		for range length / len(block) {
			if _, err := w.Write(block); err != nil {
				return true
			}
		}
		return true
	})
	h.tracker.set("a", mogile.Location{FID: 1, Length: length, Copies: []mogile.Copy{n.copyOf(1)}})
	before := allocated()
	resp, err := http.Get(h.srv.URL + "/a")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.Copy(io.Discard, resp.Body)
	if err != nil || got != length {
		t.Fatalf("got %d bytes, %v; want %d", got, err, length)
	}
	if grew := allocated() - before; grew > 4<<20 {
		t.Errorf("got %d bytes allocated for a file of %d; want next to none", grew, length)
	}
}

// allocated counts all that was ever allocated.
func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

func TestAFidIsServedWhateverItsKey(t *testing.T) {
	h := build(t)
	n := newNode(t, 1)
	content := noise(10_000)
	fid := h.tracker.add("dir/a.png", content, n)
	for range 3 {
		got := h.get("other.jpg", "X-Fid", fid.String(), "Range", "bytes=10-19")
		got.wantBody(t, http.StatusPartialContent, content[10:20])
		got.wantHeader(t, "Content-Type", "application/octet-stream") // nobody says what it is
	}
	if located := h.tracker.count("locate fid"); located != 1 {
		t.Errorf("got the tracker asked %d times; want the location remembered", located)
	}
	h.get("other.jpg", "X-Fid", fid.String(), "X-Domain", "nowhere").want(t, http.StatusNotFound)
	h.get("dir/a.png", "X-Fid", "99").want(t, http.StatusNotFound)
	h.get("other.jpg").want(t, http.StatusNotFound)
	h.get("%00"+fid.String()).want(t, http.StatusBadRequest) // how fids are remembered is nobody's business
}
