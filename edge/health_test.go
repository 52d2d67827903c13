package edge_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/mogilefs/caddy-mogilefs/edge"
	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// inGoodTime is what no request may take that meets a node which is silent: far less than
// the timeouts that patient gives nodes, and far more than the second that it takes.
const inGoodTime = 20 * time.Second

// patient gives nodes more time than any test has.
func patient(c *edge.Config) {
	c.Timeouts.FirstByte, c.Timeouts.Idle = time.Hour, time.Hour
}

// quickly fails a request that takes long.
func (h *house) quickly() { h.srv.Client().Timeout = inGoodTime }

// many runs n requests at once.
func many(n int, f func(i int)) {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { f(i) })
	}
	all.Wait()
}

func TestSilentNodeCostsOnlyThoseThatAreThere(t *testing.T) {
	h := build(t, patient)
	h.quickly()
	bad, good := newNode(t, 1), newNode(t, 2)
	for i := range 40 {
		h.tracker.add(mogile.Key(fmt.Sprint("k", i)), noise(1000+i), bad, good)
	}
	bad.breaks(bad.stall)
	many(20, func(i int) { h.get(fmt.Sprint("k", i)).wantBody(t, http.StatusOK, noise(1000+i)) })
	first := len(bad.requests("GET"))
	if first == 0 {
		t.Error("got no request at the silent node; want some that came before anybody knew")
	}
	for i := 20; i < 40; i++ {
		h.get(fmt.Sprint("k", i)).wantBody(t, http.StatusOK, noise(1000+i))
	}
	if got := len(bad.requests("GET")); got > first+1 { // a question perhaps
		t.Errorf("got %d requests at the silent node, and then %d more; want no more of them", first, got-first)
	}
}

func TestBodyOfASilentNodeGoesOnFromAnother(t *testing.T) {
	h := build(t, patient)
	h.quickly()
	bad, good := newNode(t, 1), newNode(t, 2)
	content := noise(300_000)
	h.tracker.add("a", content, bad, good)
	bad.breaks(stallAfter(100_000))
	h.get("a").wantBody(t, http.StatusOK, content)
	h.get("a", "Range", "bytes=1000-250000").wantBody(t, http.StatusPartialContent, content[1000:250_001])
}

func TestHeadLeavesASilentNode(t *testing.T) {
	h := build(t, patient)
	h.quickly()
	bad, good := newNode(t, 1), newNode(t, 2)
	h.tracker.add("a", noise(1000), bad, good)
	bad.breaks(bad.stall)
	h.do(http.MethodHead, "a", nil).wantHeader(t, "Last-Modified", good.modified.Format(http.TimeFormat))
}

// When a location was loaded, one of two nodes was away, and the tracker told of one copy.
func TestTheTrackerIsAskedWhenTheOnlyKnownCopyIsSilent(t *testing.T) {
	content := noise(300_000)
	for name, silence := range map[string]func(*node) fault{
		"before the first byte": func(n *node) fault { return n.stall },
		"in the middle":         func(*node) fault { return stallAfter(100_000) },
	} {
		t.Run(name, func(t *testing.T) {
			h := build(t, patient)
			h.quickly()
			known, back := newNode(t, 1), newNode(t, 2)
			fid := h.tracker.add("a", content, known)
			h.get("a").wantBody(t, http.StatusOK, content)
			known.breaks(silence(known))
			back.put(fid, content)
			h.tracker.set("a", mogile.Location{FID: fid, Length: int64(len(content)), Copies: []mogile.Copy{known.copyOf(fid), back.copyOf(fid)}})
			h.get("a").wantBody(t, http.StatusOK, content)
			h.wantLocates(2)
		})
	}
}

// A node that failed is asked ever more rarely whether it is back. It is not left to be asked
// while what is thought to be better says nothing.
func TestCopyAtANodeThatFailedLatelyIsTriedWhenTheOtherIsSilent(t *testing.T) {
	for name, remembered := range map[string]bool{"location that is new": false, "location that was remembered": true} {
		t.Run(name, func(t *testing.T) {
			h := build(t, patient)
			h.quickly()
			silent, back := newNode(t, 1), newNode(t, 2)
			h.tracker.add("a", noise(1000), silent, back)
			h.tracker.add("b", noise(1000), back)
			if remembered {
				h.get("a").wantBody(t, http.StatusOK, noise(1000))
			}
			back.breaks(dieBeforeHeader)
			h.get("b").want(t, http.StatusServiceUnavailable)
			back.breaks(nil)
			silent.breaks(silent.stall)
			h.get("a").wantBody(t, http.StatusOK, noise(1000))
		})
	}
}

// speaksAgain is silent to the first n requests until the time is over.
func (n *node) speaksAgain(after time.Duration) fault {
	over := time.After(after)
	gone := make(chan struct{})
	go func() { // ends with the time, or with the test
		defer close(gone)
		select {
		case <-over:
		case <-n.end:
		}
	}()
	return func(http.ResponseWriter, *http.Request, []byte) bool {
		<-gone
		return false
	}
}

func TestSilentNodeIsWaitedForWhenThereIsNothingElse(t *testing.T) {
	for name, others := range map[string]int{"no other copy": 0, "another copy at a dead node": 1} {
		t.Run(name, func(t *testing.T) {
			h := build(t, patient)
			h.quickly()
			nodes := []*node{newNode(t, 1)}
			if others > 0 {
				dead := newNode(t, 2)
				dead.srv.Close()
				nodes = append(nodes, dead)
			}
			h.tracker.add("a", noise(1000), nodes...)
			nodes[0].breaks(nodes[0].speaksAgain(2500 * time.Millisecond))
			h.get("a").wantBody(t, http.StatusOK, noise(1000))
		})
	}
}

func TestCopiesAtBadNodesAreTriedAllTheSame(t *testing.T) {
	h := build(t)
	a, b := newNode(t, 1), newNode(t, 2)
	h.tracker.add("a", noise(1000), a, b)
	a.breaks(dieBeforeHeader)
	b.breaks(dieBeforeHeader)
	h.get("a").want(t, http.StatusServiceUnavailable)
	a.breaks(nil)
	h.get("a").wantBody(t, http.StatusOK, noise(1000))
}

func TestNodeThatIsBackIsFoundOutAndUsed(t *testing.T) {
	for name, f := range map[string]fault{
		"the node": dieBeforeHeader, "its device": answers(http.StatusInternalServerError),
	} {
		t.Run(name, func(t *testing.T) {
			h := build(t, func(c *edge.Config) { c.Locations = nil })
			n, other := newNode(t, 1), newNode(t, 2)
			h.tracker.add("a", noise(1000), n, other)
			n.breaks(f)
			for range 10 {
				h.get("a").wantBody(t, http.StatusOK, noise(1000))
			}
			if got := len(n.requests("GET")); got > 2 { // the first, and a question perhaps
				t.Errorf("got %d requests at what failed; want no more", got)
			}
			n.breaks(nil)
			before := len(other.requests("GET"))
			eventually(t, "request at what is back", func() bool {
				h.get("a").wantBody(t, http.StatusOK, noise(1000))
				now := len(other.requests("GET"))
				same := now == before
				before = now
				return same
			})
		})
	}
}

func TestUploadsPassOverWhatFailed(t *testing.T) {
	h := build(t)
	bad, good := newNode(t, 1), newNode(t, 2)
	h.tracker.destinations = func(fid mogile.FID) []mogile.Copy { return []mogile.Copy{bad.copyOf(fid), good.copyOf(fid)} }
	bad.breaks(dieBeforeHeader)
	for i := range 3 {
		h.put(fmt.Sprint("k", i), noise(100)).want(t, http.StatusCreated)
	}
	if got := len(bad.requests("PUT")); got != 1 {
		t.Errorf("got %d uploads at the node that failed; want 1", got)
	}
}

// hang has n clients begin to download a key and read no further.
func (h *house) hang(n int, path string) {
	h.t.Helper()
	for range n {
		conn, err := net.Dial("tcp", h.srv.Listener.Addr().String())
		if err != nil {
			h.t.Fatal(err)
		}
		h.t.Cleanup(func() { conn.Close() })
		fmt.Fprintf(conn, "GET /%s HTTP/1.1\r\nHost: x\r\n\r\n", path)
		if _, err := bufio.NewReader(conn).ReadString('\n'); err != nil {
			h.t.Fatal(err)
		}
	}
}

func TestLoadedNodeIsLeftToOthersOfItsZone(t *testing.T) {
	for name, near := range map[string]int{"same zone": 0, "other zone": 1} {
		t.Run(name, func(t *testing.T) {
			h := build(t)
			first, second := newNode(t, 1), newNode(t, 2)
			h.tracker.add("large", noise(20<<20), first)
			h.tracker.add("small", noise(100), first, second)
			loc, _ := h.tracker.location("small")
			loc.Near = near
			h.tracker.set("small", loc)
			h.hang(9, "large")
			before := len(first.requests("GET"))
			h.get("small").wantBody(t, http.StatusOK, noise(100))
			if atFirst := len(first.requests("GET")) > before; atFirst != (near == 1) {
				t.Errorf("got the loaded node asked: %t; want %t", atFirst, near == 1)
			}
		})
	}
}

// repairing is a tracker that is to have files repaired, and fails.
type repairing struct {
	*tracker
	fids chan mogile.FID
}

func (r repairing) Repair(_ context.Context, fid mogile.FID) error {
	r.fids <- fid
	return errors.New("no")
}

func TestCopyThatIsNotTheFileIsReportedAndLeftAside(t *testing.T) {
	for name, f := range map[string]fault{"missing": answers(http.StatusNotFound), "longer": longer} {
		t.Run(name, func(t *testing.T) {
			fids := make(chan mogile.FID, 10)
			h := build(t, func(c *edge.Config) { c.Tracker = repairing{c.Tracker.(*tracker), fids} })
			bad, good := newNode(t, 1), newNode(t, 2)
			fid := h.tracker.add("a", noise(1000), bad, good)
			h.tracker.add("b", noise(1000), bad, good)
			bad.breaks(f)
			for range 5 {
				h.get("a").wantBody(t, http.StatusOK, noise(1000))
			}
			if got := len(bad.requests("GET")); got != 1 {
				t.Errorf("got %d requests for the wrong copy; want 1", got)
			}
			if got := <-fids; got != fid {
				t.Errorf("got fid %d reported; want %d", got, fid)
			}
			bad.breaks(nil)
			h.get("b").want(t, http.StatusOK)
			if got := len(bad.requests("GET")); got != 2 {
				t.Errorf("got %d requests at the node; want its other copies to be used", got)
			}
			if len(fids) > 0 {
				t.Errorf("got it reported again; want it once")
			}
		})
	}
}

func hedged(c *edge.Config) {
	patient(c)
	c.Hedge = 10 * time.Millisecond
}

func TestHedgedReadTakesTheFasterCopyAndCancelsTheOther(t *testing.T) {
	for name, at := range map[string]func(n *node, gone chan<- struct{}) fault{
		"before the header": func(_ *node, gone chan<- struct{}) fault {
			return func(_ http.ResponseWriter, r *http.Request, _ []byte) bool {
				<-r.Context().Done()
				gone <- struct{}{}
				return true
			}
		},
		"before the first byte": func(_ *node, gone chan<- struct{}) fault {
			return func(w http.ResponseWriter, r *http.Request, content []byte) bool {
				sendSome(w, r, content, 0)
				<-r.Context().Done()
				gone <- struct{}{}
				return true
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := build(t, hedged)
			h.quickly()
			slow, fast := newNode(t, 1), newNode(t, 2)
			content := noise(200_000)
			h.tracker.add("a", content, slow, fast)
			gone := make(chan struct{}, 1)
			slow.breaks(at(slow, gone))
			h.get("a").wantBody(t, http.StatusOK, content)
			<-gone
			slow.breaks(nil)
			for range 20 { // on a busy machine the hedge may win before the node is asked
				h.get("a", "Range", "bytes=5-100").wantBody(t, http.StatusPartialContent, content[5:101])
			}
			if got := len(slow.requests("GET")); got < 2 {
				t.Errorf("got %d requests at the slow node; want it not to be blamed", got)
			}
		})
	}
}

func TestHedgedReadIsContinuedFromTheLoser(t *testing.T) {
	h := build(t, hedged)
	slow, dies := newNode(t, 1), newNode(t, 2)
	content := noise(200_000)
	h.tracker.add("a", content, slow, dies)
	dies.breaks(dieAfter(100_000))
	slow.breaks(slow.speaksAgain(50 * time.Millisecond))
	h.get("a").wantBody(t, http.StatusOK, content)
}

func TestHedgeThatFailsLeavesTheFirst(t *testing.T) {
	h := build(t, hedged)
	slow, dies := newNode(t, 1), newNode(t, 2)
	h.tracker.add("a", noise(1000), slow, dies)
	dies.breaks(dieBeforeHeader)
	slow.breaks(slow.speaksAgain(100 * time.Millisecond))
	h.get("a").wantBody(t, http.StatusOK, noise(1000))
}

func TestFirstThatFailsLeavesTheHedge(t *testing.T) {
	h := build(t, hedged)
	dies, slow := newNode(t, 1), newNode(t, 2)
	h.tracker.add("a", noise(1000), dies, slow)
	asked := make(chan struct{})
	slow.breaks(func(http.ResponseWriter, *http.Request, []byte) bool {
		close(asked)
		<-time.After(50 * time.Millisecond)
		return false
	})
	dies.breaks(func(http.ResponseWriter, *http.Request, []byte) bool {
		<-asked
		panic(http.ErrAbortHandler)
	})
	h.get("a").wantBody(t, http.StatusOK, noise(1000))
	dies.breaks(nil)
}

func TestHedgesAreBounded(t *testing.T) {
	h := build(t, func(c *edge.Config) { c.Hedge = time.Millisecond })
	first, second := newNode(t, 1), newNode(t, 2)
	h.tracker.add("a", noise(100), first, second)
	lazy := func(http.ResponseWriter, *http.Request, []byte) bool {
		<-time.After(10 * time.Millisecond)
		return false
	}
	first.breaks(lazy)
	second.breaks(lazy)
	const requests = 200
	for range requests {
		h.get("a").wantBody(t, http.StatusOK, noise(100))
	}
	got := len(first.requests("GET")) + len(second.requests("GET")) - requests
	if most := 32 + requests/10; got < 32 || got > most+1 {
		t.Errorf("got %d hedges of %d requests; want 32 at first and then one in ten", got, requests)
	}
}

// hangs makes opening a copy on a disk of this process hang until the test ends.
func (d *disks) hangs(t *testing.T, fid mogile.FID) {
	t.Helper()
	if err := syscall.Mkfifo(d.path(fid), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		fd, err := syscall.Open(d.path(fid), syscall.O_RDWR|syscall.O_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { syscall.Close(fd) })
	})
}

func TestHedgedReadLeavesADiskOfOursThatHangs(t *testing.T) {
	h := build(t, hedged)
	h.quickly()
	n := newNode(t, 1)
	fid := h.tracker.add("a", noise(1000), n)
	h.disks.hangs(t, fid)
	h.tracker.set("a", mogile.Location{FID: fid, Length: 1000, Copies: []mogile.Copy{h.disks.copyOf(fid), n.copyOf(fid)}})
	for range 3 {
		h.get("a").wantBody(t, http.StatusOK, noise(1000))
	}
}

func TestHedgedReadsFromADiskOfOurs(t *testing.T) {
	h := build(t, hedged)
	n := newNode(t, 1)
	content := noise(200_000)
	fid := h.tracker.add("a", content, n)
	h.disks.put(t, fid, content)
	h.tracker.set("a", mogile.Location{FID: fid, Length: int64(len(content)), Copies: []mogile.Copy{h.disks.copyOf(fid), n.copyOf(fid)}})
	h.get("a").wantBody(t, http.StatusOK, content)
	h.get("a", "Range", "bytes=-7").wantBody(t, http.StatusPartialContent, content[len(content)-7:])
	if got := len(n.requests("GET")); got != 0 {
		t.Errorf("got %d requests at the node; want none", got)
	}
}

func TestClientThatLeavesDuringARaceIsNobodysFault(t *testing.T) {
	h := build(t, hedged)
	a, b := newNode(t, 1), newNode(t, 2)
	h.tracker.add("a", noise(100), a, b)
	ctx, leave := context.WithCancel(t.Context())
	waits := func(_ http.ResponseWriter, r *http.Request, _ []byte) bool {
		<-r.Context().Done()
		return true
	}
	a.breaks(waits)
	b.breaks(func(w http.ResponseWriter, r *http.Request, c []byte) bool {
		leave()
		return waits(w, r, c)
	})
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "/a", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.edge.Serve(httptest.NewRecorder(), req, edge.Request{Domain: "images", Key: "a"}); !errors.Is(err, edge.ErrClientGone) {
		t.Errorf("got %v; want %v", err, edge.ErrClientGone)
	}
	a.breaks(nil)
	b.breaks(nil)
	h.get("a").wantBody(t, http.StatusOK, noise(100))
	if got := len(a.requests("GET")); got != 2 {
		t.Errorf("got %d requests at the first node; want it not to be blamed", got)
	}
}
