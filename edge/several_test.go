package edge_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mogilefs/caddy-mogilefs/edge"
	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// buildSeveral makes a house whose uploads get n copies. Nobody in it is slow, but for those
// who never answer at all.
func buildSeveral(t testing.TB, n int, with ...func(*edge.Config)) *house {
	h := build(t, append([]func(*edge.Config){func(c *edge.Config) {
		c.Copies, c.Timeouts = n, edge.Timeouts{FirstByte: time.Minute, Idle: time.Minute}
	}}, with...)...)
	h.tracker.copies = n
	return h
}

// wantCopies expects the last upload to be closed with so many copies that are whole, and
// returns where they are.
func (h *house) wantCopies(n int, content []byte, nodes ...*node) (devs []mogile.DevID) {
	h.t.Helper()
	h.tracker.mu.Lock()
	c := h.tracker.closed[len(h.tracker.closed)-1]
	abandoned := h.tracker.abandoned
	h.tracker.mu.Unlock()
	if len(c.Copies) != n || c.Size != int64(len(content)) || len(abandoned) != 0 {
		h.t.Fatalf("got %d bytes closed at %+v, abandoned %v; want %d bytes at %d places", c.Size, c.Copies, abandoned, len(content), n)
	}
	for _, at := range c.Copies {
		devs = append(devs, at.Dev)
		if at.Stored != h.disks.Local(at.Copy) {
			h.t.Errorf("dev %d: got stored=%t; want it of local copies only", at.Dev, at.Stored)
		}
		got, err := h.disks.stored(c.FID)
		for _, n := range nodes {
			if n.dev == at.Dev {
				got, _ = n.stored(c.FID)
				err = nil
			}
		}
		if err != nil || !bytes.Equal(got, content) {
			h.t.Errorf("dev %d: got %d bytes, %v; want the %d of the upload", at.Dev, len(got), err, len(content))
		}
	}
	if slices.Sort(devs); len(slices.Compact(slices.Clone(devs))) != n {
		h.t.Errorf("got copies on devs %v; want each on another", devs)
	}
	return devs
}

func TestSeveralCopiesAreWrittenBeforeTheAnswer(t *testing.T) {
	for _, size := range []int{0, 1, 30_000, 1 << 20} {
		for _, chunked := range []bool{false, true} {
			t.Run(fmt.Sprint(size, " chunked=", chunked), func(t *testing.T) {
				h := buildSeveral(t, 2)
				one, two, spare := newNode(t, 1), newNode(t, 2), newNode(t, 3)
				content := noise(size)
				body := func() io.Reader {
					if chunked {
						return io.MultiReader(bytes.NewReader(content))
					}
					return bytes.NewReader(content)
				}
				h.toNodes(one, two, spare)
				h.do(http.MethodPut, "a", body(), "Content-MD5", md5Of(content)).want(t, http.StatusCreated)
				h.wantCopies(2, content, one, two)
				h.tracker.destinations = func(fid mogile.FID) []mogile.Copy {
					return []mogile.Copy{h.disks.copyOf(fid), one.copyOf(fid), spare.copyOf(fid)}
				}
				h.do(http.MethodPut, "a", body()).want(t, http.StatusCreated)
				h.wantCopies(2, content, one)
				if got := spare.requests(http.MethodPut); len(got) != 0 {
					t.Errorf("got %d PUTs at the spare; want none", len(got))
				}
				h.get("a").wantBody(t, http.StatusOK, content)
			})
		}
	}
}

// TestSeveralCopiesAreWrittenAtTheSameTime has each node wait for the other.
func TestSeveralCopiesAreWrittenAtTheSameTime(t *testing.T) {
	h := buildSeveral(t, 2)
	one, two := newNode(t, 1), newNode(t, 2)
	var both sync.WaitGroup
	both.Add(2)
	wait := func(n *node) fault {
		return func(w http.ResponseWriter, r *http.Request, _ []byte) bool {
			if r.Method != http.MethodPut {
				return false
			}
			if _, err := r.Body.Read(make([]byte, 1)); err != nil {
				t.Errorf("first byte at dev %d: %v", n.dev, err)
			}
			both.Done()
			both.Wait()
			_, _ = io.Copy(io.Discard, r.Body)
			w.WriteHeader(http.StatusCreated)
			return true
		}
	}
	one.breaks(wait(one))
	two.breaks(wait(two))
	h.toNodes(one, two)
	h.put("a", noise(1<<20)).want(t, http.StatusCreated)
}

func TestSeveralCopiesAreOnDifferentHosts(t *testing.T) {
	h := buildSeveral(t, 2)
	one, other := newNode(t, 1), newNode(t, 3)
	content := noise(1000)
	same := func(fid mogile.FID) mogile.Copy { return mogile.Copy{Dev: 2, URL: one.srv.URL + fid.Path(2)} }
	h.tracker.destinations = func(fid mogile.FID) []mogile.Copy {
		return []mogile.Copy{one.copyOf(fid), same(fid), other.copyOf(fid)}
	}
	h.put("a", content).want(t, http.StatusCreated)
	if got := h.wantCopies(2, content, one, other); !slices.Equal(got, []mogile.DevID{1, 3}) {
		t.Errorf("got copies on devs %v; want them on both hosts", got)
	}
	other.srv.Close()
	h.put("b", content).want(t, http.StatusCreated) // better on two disks of one host than not at all
	h.tracker.mu.Lock()
	defer h.tracker.mu.Unlock()
	if c := h.tracker.closed[1]; len(c.Copies) != 2 || c.Copies[0].Dev+c.Copies[1].Dev != 3 {
		t.Errorf("got %+v; want devs 1 and 2", c.Copies)
	}
}

// failures are how a device fails that was one of several.
func failures(n *node) map[string]fault {
	onPut := func(f fault) fault {
		return func(w http.ResponseWriter, r *http.Request, content []byte) bool {
			return r.Method == http.MethodPut && f(w, r, content)
		}
	}
	return map[string]fault{
		"dies":          onPut(dieBeforeHeader),
		"is in trouble": onPut(answers(http.StatusInternalServerError)),
		"is full":       onPut(answers(http.StatusInsufficientStorage)),
		"stalls":        onPut(n.stall),
		"dies in the middle": onPut(func(_ http.ResponseWriter, r *http.Request, _ []byte) bool {
			_, _ = io.CopyN(io.Discard, r.Body, 20_000)
			panic(http.ErrAbortHandler)
		}),
		"stalls in the middle": onPut(func(w http.ResponseWriter, r *http.Request, c []byte) bool {
			_, _ = io.CopyN(io.Discard, r.Body, 20_000)
			return n.stall(w, r, c)
		}),
		"dies late": onPut(func(_ http.ResponseWriter, r *http.Request, _ []byte) bool {
			_, _ = io.Copy(io.Discard, r.Body)
			panic(http.ErrAbortHandler)
		}),
		"stalls late": onPut(func(_ http.ResponseWriter, r *http.Request, _ []byte) bool {
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
			return true
		}),
	}
}

// TestAnotherDeviceTakesOverForOneOfSeveral whatever was lost of the body.
func TestAnotherDeviceTakesOverForOneOfSeveral(t *testing.T) {
	for name := range failures(nil) {
		for _, size := range []int{30_000, 3 << 20} {
			t.Run(fmt.Sprint(name, " ", size), func(t *testing.T) {
				// Only what stalls is to take too long.
				limit := time.Minute
				if strings.HasPrefix(name, "stalls") {
					limit = 2 * time.Second
				}
				h := buildSeveral(t, 2, func(c *edge.Config) { c.Timeouts = edge.Timeouts{FirstByte: limit, Idle: limit} })
				bad, good, spare := newNode(t, 1), newNode(t, 2), newNode(t, 3)
				bad.breaks(failures(bad)[name])
				h.toNodes(bad, good, spare)
				content := noise(size)
				h.put("a", content).want(t, http.StatusCreated)
				if got := h.wantCopies(2, content, good, spare); !slices.Equal(got, []mogile.DevID{2, 3}) {
					t.Errorf("got copies on devs %v; want 2 and 3", got)
				}
			})
		}
	}
}

func TestTheDiskTakesOverAndIsTakenOverFor(t *testing.T) {
	content := noise(1 << 20)
	h := buildSeveral(t, 2)
	bad, good := newNode(t, 1), newNode(t, 2)
	bad.breaks(failures(bad)["dies in the middle"])
	h.tracker.destinations = func(fid mogile.FID) []mogile.Copy {
		return []mogile.Copy{bad.copyOf(fid), good.copyOf(fid), h.disks.copyOf(fid)}
	}
	h.put("a", content).want(t, http.StatusCreated)
	h.wantCopies(2, content, good)

	bad.breaks(nil)
	h.disks.writeErr = errors.New("input/output error")
	h.tracker.destinations = func(fid mogile.FID) []mogile.Copy {
		return []mogile.Copy{h.disks.copyOf(fid), good.copyOf(fid), bad.copyOf(fid)}
	}
	h.put("b", content).want(t, http.StatusCreated)
	h.wantCopies(2, content, good, bad)
	h.disks.writeErr, h.disks.createErr = nil, errors.New("unmounted")
	h.put("c", content).want(t, http.StatusCreated)
	h.wantCopies(2, content, good, bad)
	h.disks.mu.Lock()
	defer h.disks.mu.Unlock()
	if h.disks.aborted != 1 {
		t.Errorf("got %d local copies aborted; want 1", h.disks.aborted)
	}
}

// TestASmallBodyIsSentAgainWhenAllDevicesFailed: to others.
func TestASmallBodyIsSentAgainWhenAllDevicesFailed(t *testing.T) {
	h := buildSeveral(t, 2)
	nodes := []*node{newNode(t, 1), newNode(t, 2), newNode(t, 3), newNode(t, 4)}
	for _, n := range nodes[:2] {
		n.breaks(dieBeforeHeader)
	}
	h.toNodes(nodes...)
	content := noise(30_000)
	h.put("a", content).want(t, http.StatusCreated)
	if got := h.wantCopies(2, content, nodes...); !slices.Equal(got, []mogile.DevID{3, 4}) {
		t.Errorf("got copies on devs %v; want 3 and 4", got)
	}
}

func TestTooFewDevicesForTheCopies(t *testing.T) {
	for _, size := range []int{30_000, 1 << 20} {
		h := buildSeveral(t, 2)
		bad, good, worse := newNode(t, 1), newNode(t, 2), newNode(t, 3)
		h.toNodes(good)
		if got := h.put("a", noise(size)); got.StatusCode != http.StatusServiceUnavailable || !bytes.Contains(got.body, []byte(edge.ErrNoDevices.Error())) {
			t.Errorf("one device: got %d %s; want 503 for want of devices", got.StatusCode, got.body)
		}
		if puts := good.requests(http.MethodPut); len(puts) != 0 {
			t.Errorf("one device: got %d PUTs; want none", len(puts))
		}
		bad.breaks(answers(http.StatusInternalServerError))
		worse.breaks(dieBeforeHeader)
		h.toNodes(bad, good, worse)
		h.put("a", noise(size)).want(t, http.StatusServiceUnavailable)
		h.tracker.mu.Lock()
		if len(h.tracker.closed) != 0 || len(h.tracker.abandoned) != 2 || len(h.tracker.tried) != 3 {
			t.Errorf("got closed %+v, abandoned %v at %v; want it abandoned at all three", h.tracker.closed, h.tracker.abandoned, h.tracker.tried)
		}
		h.tracker.mu.Unlock()
	}
}

func TestAWrongBodyIsStoredNowhere(t *testing.T) {
	for _, size := range []int{10, 1 << 20} {
		h := buildSeveral(t, 2, func(c *edge.Config) { c.MaxUpload = 2 << 20 })
		one := newNode(t, 1)
		h.tracker.destinations = func(fid mogile.FID) []mogile.Copy {
			return []mogile.Copy{one.copyOf(fid), h.disks.copyOf(fid)}
		}
		h.put("a", noise(size), "Content-MD5", md5Of([]byte("other"))).want(t, http.StatusBadRequest)
		h.wantNothing("a")
		if _, ok := one.stored(1); ok || h.disks.aborted != 1 {
			t.Errorf("got stored=%t at the node, %d local copies aborted; want false and 1", ok, h.disks.aborted)
		}
		h.do(http.MethodPut, "b", io.MultiReader(bytes.NewReader(noise(2<<20+1)))).want(t, http.StatusRequestEntityTooLarge)
	}
}

// TestACopyThatReadsBackWrongDoesNotCount: it is the only one that took the body, so there
// is none to make another from.
func TestACopyThatReadsBackWrongDoesNotCount(t *testing.T) {
	h := buildSeveral(t, 2)
	liar, dies, spare := newNode(t, 1), newNode(t, 2), newNode(t, 3)
	liar.breaks(func(w http.ResponseWriter, r *http.Request, content []byte) bool {
		if r.Method == http.MethodGet {
			w.Header().Set("Content-Length", fmt.Sprint(len(content)))
			_, _ = w.Write(make([]byte, len(content)))
			return true
		}
		return false
	})
	dies.breaks(failures(dies)["dies in the middle"])
	h.toNodes(liar, dies, spare)
	h.put("a", noise(1<<20)).want(t, http.StatusServiceUnavailable)
	h.wantNothing("a")
	if _, ok := spare.stored(1); ok {
		t.Error("got wrong bytes at the spare; want none")
	}
}

func TestATrackerThatRecordsOneCopyGetsOne(t *testing.T) {
	h := buildSeveral(t, 2)
	one, two, spare := newNode(t, 1), newNode(t, 2), newNode(t, 3)
	h.toNodes(one, two, spare)
	content := noise(30_000)
	h.tracker.copies = 0 // as it says at once
	h.put("a", content).want(t, http.StatusCreated)
	h.wantCopies(1, content, one)
	if n := len(two.requests(http.MethodPut)) + len(spare.requests(http.MethodPut)); n != 0 {
		t.Errorf("got %d PUTs of copies that nobody records; want none", n)
	}

	h.tracker.copies, h.tracker.oneCopy = 2, true // as turns out at the close
	h.put("b", content).want(t, http.StatusCreated)
	h.wantCopies(1, content, one)
	if _, ok := two.stored(2); ok {
		t.Error("got a copy that nobody records; want it removed")
	}

	two.breaks(func(w http.ResponseWriter, r *http.Request, content []byte) bool {
		return r.Method == http.MethodDelete && answers(http.StatusInternalServerError)(w, r, content)
	})
	h.put("c", content).want(t, http.StatusServiceUnavailable) // else the copy would be there for ever
	h.tracker.mu.Lock()
	defer h.tracker.mu.Unlock()
	if len(h.tracker.closed) != 2 || !slices.Equal(h.tracker.abandoned, []mogile.FID{3}) {
		t.Errorf("got closed %+v, abandoned %v; want the third upload left to the tracker's sweep", h.tracker.closed, h.tracker.abandoned)
	}
}

func TestLargeUploadToSeveralDevicesDoesNotGrowMemory(t *testing.T) {
	const length = 100 << 20
	h := buildSeveral(t, 2)
	one, two := newNode(t, 1), newNode(t, 2)
	for _, n := range []*node{one, two} {
		n.breaks(func(w http.ResponseWriter, r *http.Request, _ []byte) bool {
			got, err := io.Copy(io.Discard, r.Body)
			if err != nil || got != length {
				t.Errorf("got %d bytes at dev %d, %v; want %d", got, n.dev, err, length)
			}
			w.WriteHeader(http.StatusCreated)
			return true
		})
	}
	h.toNodes(one, two)
	before := allocated()
	h.do(http.MethodPut, "a", io.LimitReader(zeros{}, length)).want(t, http.StatusCreated)
	if grew := allocated() - before; grew > 8<<20 {
		t.Errorf("got %d bytes allocated for a file of %d; want next to none", grew, length)
	}
}

// TestADiskThatHangsHoldsNobody: what it was given is removed when it comes back.
func TestADiskThatHangsHoldsNobody(t *testing.T) {
	h := buildSeveral(t, 2, func(c *edge.Config) { c.Timeouts.Idle = 2 * time.Second })
	back := make(chan struct{})
	h.disks.writesWait = back
	one, spare := newNode(t, 1), newNode(t, 2)
	h.tracker.destinations = func(fid mogile.FID) []mogile.Copy {
		return []mogile.Copy{h.disks.copyOf(fid), one.copyOf(fid), spare.copyOf(fid)}
	}
	content := noise(1 << 20)
	h.put("a", content).want(t, http.StatusCreated)
	if got := h.wantCopies(2, content, one, spare); !slices.Equal(got, []mogile.DevID{1, 2}) {
		t.Errorf("got copies on devs %v; want 1 and 2", got)
	}
	close(back)
	eventually(t, "the copy of the disk aborted", func() bool {
		h.disks.mu.Lock()
		defer h.disks.mu.Unlock()
		return h.disks.aborted == 1
	})
	if _, err := h.disks.stored(1); err == nil {
		t.Error("got a copy on the disk that nobody records; want none")
	}
}

func TestClientThatLeavesDuringAnUploadLeavesNothingOnAnyDevice(t *testing.T) {
	h := buildSeveral(t, 2)
	one := newNode(t, 1)
	h.tracker.destinations = func(fid mogile.FID) []mogile.Copy { return []mogile.Copy{one.copyOf(fid), h.disks.copyOf(fid)} }
	conn, err := net.Dial("tcp", h.srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "PUT /a HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n%s", noise(100_000))
	eventually(t, "an upload at the node", func() bool { return len(one.requests(http.MethodPut)) == 1 })
	conn.Close()
	h.srv.Close()
	h.wantNothing("a")
	if _, ok := one.stored(1); ok || h.disks.aborted != 1 {
		t.Errorf("got stored=%t at the node, %d local copies aborted; want false and 1", ok, h.disks.aborted)
	}
	if len(h.tracker.tried) != 2 {
		t.Errorf("got it abandoned at %v; want both", h.tracker.tried)
	}
}
