package edge_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mogilefs/caddy-mogilefs/cache"
	"github.com/mogilefs/caddy-mogilefs/edge"
	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// withContents gives an edge a content cache.
func withContents(t testing.TB, config cache.ContentsConfig) func(*edge.Config) {
	return func(c *edge.Config) {
		contents, err := cache.NewContents(config)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(contents.Close)
		c.Contents = contents
	}
}

// inMemory builds a house with a content cache and returns that too. Its nodes may take
// their time: these tests have many readers, and no node that is slow.
func inMemory(t testing.TB, config cache.ContentsConfig, with ...func(*edge.Config)) (*house, *cache.Contents) {
	var contents *cache.Contents
	patient := func(c *edge.Config) { c.Timeouts = edge.Timeouts{FirstByte: time.Minute, Idle: time.Minute} }
	h := build(t, append(with, patient, withContents(t, config), func(c *edge.Config) { contents = c.Contents })...)
	return h, contents
}

// awaitKept waits until all of a file is in memory.
func awaitKept(t testing.TB, c *cache.Contents, fid mogile.FID, length int) {
	t.Helper()
	eventually(t, "content in memory", func() bool {
		x := c.Get(fid, int64(length))
		if x != nil {
			x.Release()
		}
		return x != nil
	})
}

func TestSmallFileIsReadOnce(t *testing.T) {
	content := noise(30_000)
	h, contents := inMemory(t, cache.ContentsConfig{})
	n := newNode(t, 1)
	remote := h.tracker.add("remote.jpg", content, n)
	h.disks.put(t, remote+1, content)
	h.tracker.set("local.jpg", mogile.Location{FID: remote + 1, Length: 30_000, Copies: []mogile.Copy{h.disks.copyOf(remote + 1)}})
	for key, fid := range map[string]mogile.FID{"remote.jpg": remote, "local.jpg": remote + 1} {
		first := h.get(key)
		first.wantBody(t, http.StatusOK, content)
		awaitKept(t, contents, fid, len(content))
		if key == "remote.jpg" {
			n.srv.CloseClientConnections()
			n.breaks(answers(http.StatusInternalServerError))
		} else {
			h.disks.put(t, fid, []byte("other"))
		}
		second := h.get(key)
		second.wantBody(t, http.StatusOK, content)
		first.Header.Del("Date")
		for name := range first.Header {
			second.wantHeader(t, name, first.Header.Get(name))
		}
		second.wantHeader(t, "Etag", `"`+fid.String()+`"`)
		h.do(http.MethodHead, key, nil).wantHeader(t, "Content-Length", "30000")
		h.get(key, "If-None-Match", `"`+fid.String()+`"`).want(t, http.StatusNotModified)
		h.get(key, "If-Modified-Since", first.Header.Get("Last-Modified")).want(t, http.StatusNotModified)
		part := h.get(key, "Range", "bytes=-100")
		part.wantBody(t, http.StatusPartialContent, content[29_900:])
		part.wantHeader(t, "Content-Range", "bytes 29900-29999/30000")
		parts := h.get(key, "Range", "bytes=0-9,100-199")
		parts.want(t, http.StatusPartialContent)
		if !bytes.Contains(parts.body, content[100:200]) {
			t.Errorf("%s: got %d bytes of parts; want both", key, len(parts.body))
		}
	}
	if got := len(n.requests("GET")); got != 1 {
		t.Errorf("got %d requests to the node; want 1", got)
	}
}

// checker is a client that compares what it gets.
type checker struct {
	header http.Header
	want   []byte
	n      int
	status int
	wrong  bool
	first  func() // called before the first byte; nil is nothing
}

func (c *checker) Header() http.Header    { return c.header }
func (c *checker) WriteHeader(status int) { c.status = status }
func (c *checker) Write(p []byte) (int, error) {
	if c.n == 0 && c.first != nil {
		c.first()
	}
	c.wrong = c.wrong || c.n+len(p) > len(c.want) || !bytes.Equal(p, c.want[c.n:c.n+len(p)])
	c.n += len(p)
	return len(p), nil
}

// TestThousandFirstRequestsAskTheNodeOnce has them all begin before the node ends.
func TestThousandFirstRequestsAskTheNodeOnce(t *testing.T) {
	const clients, length = 1000, 5 << 20
	h, _ := inMemory(t, cache.ContentsConfig{Bytes: 64 << 20})
	content := noise(length)
	n := newNode(t, 1)
	h.tracker.add("cold.mp4", content, n)
	var here atomic.Int64
	all := make(chan struct{})
	n.breaks(func(w http.ResponseWriter, r *http.Request, content []byte) bool {
		sendSome(w, r, content, length/2)
		<-all
		_, err := w.Write(content[length/2:])
		return err == nil
	})
	begun := func() {
		if here.Add(1) == clients {
			close(all)
		}
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var running sync.WaitGroup
	for range clients {
		running.Go(func() {
			w := &checker{header: http.Header{}, want: content, first: begun}
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/cold.mp4", nil)
			if err := h.edge.Serve(w, r, edge.Request{Domain: "images", Key: "cold.mp4"}); err != nil || w.wrong || w.n != length {
				t.Errorf("got %v, %d bytes, wrong ones %t; want all of it", err, w.n, w.wrong)
			}
		})
	}
	running.Wait()
	runtime.ReadMemStats(&after)
	if got := len(n.requests("GET")); got != 1 {
		t.Errorf("got %d requests to the node; want 1", got)
	}
	// All that was ever allocated is more than what was in use at any time.
	used := after.TotalAlloc - before.TotalAlloc
	t.Logf("%d KiB allocated for %d readers of %d KiB", used>>10, clients, length>>10)
	if used > 4*length {
		t.Errorf("got %d bytes allocated; want less than four times the file", used)
	}
}

func TestFileOnItsWayComesFromAnotherCopyWhenTheFirstFails(t *testing.T) {
	content := noise(500_000)
	for name, f := range map[string]fault{
		"dies before the header": dieBeforeHeader,
		"dies in the middle":     dieAfter(200_000),
		"has another length":     longer,
		"is not there":           answers(http.StatusNotFound),
	} {
		t.Run(name, func(t *testing.T) {
			h, contents := inMemory(t, cache.ContentsConfig{})
			bad, good := newNode(t, 1), newNode(t, 2)
			fid := h.tracker.add("a", content, bad, good)
			bad.breaks(f)
			h.get("a").wantBody(t, http.StatusOK, content)
			awaitKept(t, contents, fid, len(content))
			h.get("a").wantBody(t, http.StatusOK, content)
			if got := len(good.requests("GET")); got != 1 {
				t.Errorf("got %d requests to the good node; want 1", got)
			}
		})
	}
}

func TestFileThatCantBeHadIsKeptNowhere(t *testing.T) {
	h, contents := inMemory(t, cache.ContentsConfig{})
	content := noise(100_000)
	n := newNode(t, 1)
	fid := h.tracker.add("a", content, n)
	n.breaks(answers(http.StatusInternalServerError))
	h.get("a").want(t, http.StatusServiceUnavailable)
	n.breaks(dieAfter(50_000))
	if got := h.get("a"); got.cut == nil || !bytes.HasPrefix(content, got.body) {
		t.Errorf("got %d bytes, cut by %v; want a part that is cut", len(got.body), got.cut)
	}
	if x := contents.Get(fid, int64(len(content))); x != nil {
		t.Error("got a part kept; want nothing")
	}
	n.breaks(nil)
	h.get("a").wantBody(t, http.StatusOK, content)
}

func TestWrongBytesAreNeitherKeptNorSent(t *testing.T) {
	h, contents := inMemory(t, cache.ContentsConfig{})
	content := noise(200_000)
	wrong := slices.Clone(content)
	wrong[150_000]++
	sum := md5.Sum(content)
	bad, good := newNode(t, 1), newNode(t, 2)
	fid := h.tracker.add("a", content, good)
	bad.put(fid, wrong)
	h.tracker.set("a", mogile.Location{
		FID: fid, Length: 200_000, Checksum: mogile.Checksum{Type: mogile.HashMD5, Sum: sum[:]},
		Copies: []mogile.Copy{bad.copyOf(fid), good.copyOf(fid)},
	})
	for range 3 {
		h.get("a").wantBody(t, http.StatusOK, content)
	}
	awaitKept(t, contents, fid, len(content))
	if got := len(bad.requests("GET")); got != 1 {
		t.Errorf("got %d requests to the node with wrong bytes; want 1", got)
	}
	// With no right copy nothing is sent at all.
	h.tracker.set("b", mogile.Location{
		FID: fid + 1, Length: 200_000, Checksum: mogile.Checksum{Type: mogile.HashMD5, Sum: sum[:]},
		Copies: []mogile.Copy{bad.copyOf(fid + 1)},
	})
	bad.put(fid+1, wrong)
	h.get("b").want(t, http.StatusServiceUnavailable)
}

func TestPartOfAColdFileDoesNotBringAllOfItIn(t *testing.T) {
	h, contents := inMemory(t, cache.ContentsConfig{})
	content := noise(100_000)
	n := newNode(t, 1)
	fid := h.tracker.add("a", content, n)
	h.get("a", "Range", "bytes=10-19").wantBody(t, http.StatusPartialContent, content[10:20])
	if got := n.requests("GET")[0].Header.Get("Range"); got != "bytes=10-19" {
		t.Errorf("got range %q at the node; want just what was asked for", got)
	}
	h.get("a", "Range", "bytes=0-").wantBody(t, http.StatusPartialContent, content)
	awaitKept(t, contents, fid, len(content))
}

func TestLargeFileOnADiskIsLeftToTheSystem(t *testing.T) {
	h, contents := inMemory(t, cache.ContentsConfig{MaxFile: 1000})
	content := noise(5000)
	h.disks.put(t, 1, content)
	h.tracker.set("a", mogile.Location{FID: 1, Length: 5000, Copies: []mogile.Copy{h.disks.copyOf(1)}})
	h.get("a").wantBody(t, http.StatusOK, content)
	if x, began := contents.Join(cache.Wanted{FID: 1, Length: 5000}, nil); !began {
		t.Error("got the file in memory; want it sent from the disk")
	} else {
		x.Release()
	}
}

func TestReadersGoOnWhenTheContentCacheIsClosed(t *testing.T) {
	h, contents := inMemory(t, cache.ContentsConfig{})
	content := noise(400_000)
	n := newNode(t, 1)
	h.tracker.add("a", content, n)
	sent := make(chan struct{})
	var asked atomic.Int64
	n.breaks(func(w http.ResponseWriter, r *http.Request, content []byte) bool {
		if asked.Add(1) > 1 {
			return false // to those who go on by themselves
		}
		sendSome(w, r, content, 100_000)
		close(sent)
		<-r.Context().Done()
		return true
	})
	var running sync.WaitGroup
	for range 5 {
		running.Go(func() { h.get("a").wantBody(t, http.StatusOK, content) })
	}
	<-sent
	contents.Close()
	running.Wait()
	n.breaks(nil)
	h.get("a").wantBody(t, http.StatusOK, content)
}

func TestNodeIsLeftAloneWhenAllWhoAskedHaveGone(t *testing.T) {
	h, _ := inMemory(t, cache.ContentsConfig{})
	n := newNode(t, 1)
	h.tracker.add("a", noise(1000), n)
	asked, left := make(chan struct{}), make(chan struct{})
	n.breaks(func(_ http.ResponseWriter, r *http.Request, _ []byte) bool {
		close(asked)
		<-r.Context().Done()
		close(left)
		return true
	})
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/a", nil)
	ctx, leave := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		_ = h.edge.Serve(httptest.NewRecorder(), r.WithContext(ctx), edge.Request{Domain: "images", Key: "a"})
	})
	<-asked
	leave()
	<-left
	running.Wait()
	n.breaks(nil)
	h.get("a").wantBody(t, http.StatusOK, noise(1000))
}

func TestOverwriteAndDeleteShowAtOnceAlthoughTheContentIsInMemory(t *testing.T) {
	h, contents := inMemory(t, cache.ContentsConfig{})
	h.toDisks()
	for i := range 3 {
		content := noise(1000 + i)
		h.put("a", content).want(t, http.StatusCreated)
		h.get("a").wantBody(t, http.StatusOK, content)
		loc, _ := h.tracker.location("a")
		awaitKept(t, contents, loc.FID, len(content))
		h.get("a").wantBody(t, http.StatusOK, content)
	}
	h.do(http.MethodDelete, "a", nil).want(t, http.StatusNoContent)
	h.get("a").want(t, http.StatusNotFound)
}

// hitAllocations is what a file from memory may cost: the values of the header and the
// text that three of them share, and the outcome of a caller who does not bring one.
const hitAllocations = 3

func TestHitInMemoryAllocatesLittle(t *testing.T) {
	h, contents := inMemory(t, cache.ContentsConfig{})
	n := newNode(t, 1)
	content := noise(30 << 10)
	fid := h.tracker.add("a.jpg", content, n)
	h.get("a.jpg").wantBody(t, http.StatusOK, content)
	awaitKept(t, contents, fid, len(content))
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/a.jpg", nil)
	w := &checker{header: http.Header{}, want: content}
	got := testing.AllocsPerRun(1000, func() {
		w.n = 0
		if err := h.edge.Serve(w, r, edge.Request{Domain: "images", Key: "a.jpg"}); err != nil || w.n != len(content) {
			t.Fatalf("got %v, %d bytes; want %d", err, w.n, len(content))
		}
	})
	if got > hitAllocations+raceAllocations {
		t.Errorf("got %v allocations; want at most %d", got, hitAllocations+raceAllocations)
	}
	if w.wrong {
		t.Error("got wrong bytes")
	}
}

func BenchmarkHitInMemory(b *testing.B) {
	for _, length := range []int{4 << 10, 30 << 10, 1 << 20} {
		b.Run(fmt.Sprint(length), func(b *testing.B) {
			h, contents := inMemory(b, cache.ContentsConfig{})
			n := newNode(b, 1)
			fid := h.tracker.add("a.jpg", noise(length), n)
			h.get("a.jpg")
			awaitKept(b, contents, fid, length)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/a.jpg", nil)
				w := &counter{header: http.Header{}}
				for pb.Next() {
					if err := h.edge.Serve(w, r, edge.Request{Domain: "images", Key: "a.jpg"}); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}

// counter is a client that takes everything.
type counter struct {
	header http.Header
	n      int
}

func (c *counter) Header() http.Header { return c.header }
func (c *counter) WriteHeader(int)     {}
func (c *counter) Write(p []byte) (int, error) {
	c.n += len(p)
	return len(p), nil
}

// TestWrongBytesAreReportedAndLeftAside also when they were only the first part of what two
// copies gave: the one that goes on is not to blame, and gives all.
func TestWrongBytesAreReportedAndLeftAside(t *testing.T) {
	content := noise(200_000)
	wrong := slices.Clone(content)
	wrong[10]++
	sum := md5.Sum(content)
	for name, f := range map[string]fault{"all of it": nil, "before another goes on": dieAfter(100_000)} {
		t.Run(name, func(t *testing.T) {
			fids := make(chan mogile.FID, 10)
			h, contents := inMemory(t, cache.ContentsConfig{}, func(c *edge.Config) {
				c.Tracker = repairing{c.Tracker.(*tracker), fids}
				c.Timeouts = edge.Timeouts{}
			})
			bad, good := newNode(t, 1), newNode(t, 2)
			fid := h.tracker.add("a", content, good)
			bad.put(fid, wrong)
			bad.breaks(f)
			h.tracker.set("a", mogile.Location{
				FID: fid, Length: 200_000, Checksum: mogile.Checksum{Type: mogile.HashMD5, Sum: sum[:]},
				Copies: []mogile.Copy{bad.copyOf(fid), good.copyOf(fid)},
			})
			h.get("a").wantBody(t, http.StatusOK, content)
			awaitKept(t, contents, fid, len(content))
			if got := <-fids; got != fid {
				t.Errorf("got fid %d reported; want %d", got, fid)
			}
			contents.Remove(fid)
			bad.breaks(nil)
			asked := len(bad.requests("GET"))
			h.get("a").wantBody(t, http.StatusOK, content)
			if got := len(bad.requests("GET")); got != asked {
				t.Error("got the wrong copy asked again; want it left aside")
			}
		})
	}
}
