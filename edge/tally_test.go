package edge_test

import (
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/mogilefs/caddy-mogilefs/cache"
	"github.com/mogilefs/caddy-mogilefs/edge"
	"github.com/mogilefs/caddy-mogilefs/tally"
)

// tallied is a house whose edge counts, with what it has counted.
func tallied(t *testing.T, with ...func(*edge.Config)) (*house, *tally.Edge) {
	counts := new(tally.Edge)
	return build(t, append(with, func(c *edge.Config) { c.Tally = counts })...), counts
}

func (h *house) wantCount(what string, c *tally.Counter, want int64) {
	h.t.Helper()
	// The client may have the answer a moment before the request is over.
	eventually(h.t, what, func() bool { return c.Read() >= want })
	if got := c.Read(); got != want {
		h.t.Errorf("%s: got %d; want %d", what, got, want)
	}
}

func TestFailOversAndResumesAreCounted(t *testing.T) {
	content := noise(200_000)
	for name, x := range map[string]struct {
		fault              fault
		failovers, resumes int64
	}{
		"dies before the header": {dieBeforeHeader, 1, 0},
		"dies in the middle":     {dieAfter(70_000), 0, 1},
		"has no file":            {answers(http.StatusNotFound), 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			h, counts := tallied(t)
			bad, good := newNode(t, 1), newNode(t, 2)
			h.tracker.add("a", content, bad, good)
			bad.breaks(x.fault)
			h.get("a").wantBody(t, http.StatusOK, content)
			h.wantCount("served", &counts.Requests[tally.Get][tally.Served], 1)
			h.wantCount("fail-overs", &counts.Failovers, x.failovers)
			h.wantCount("resumes", &counts.Resumes, x.resumes)
			h.wantCount("bytes from nodes", &counts.Sent[tally.Remote], int64(len(content)))
			if got := counts.FirstByte[tally.Remote].Read().Count; got != 1 {
				t.Errorf("got %d first bytes; want 1", got)
			}
		})
	}
}

func TestABodyThatIsCutShortCountsAsAborted(t *testing.T) {
	h, counts := tallied(t)
	n := newNode(t, 1)
	h.tracker.add("a", noise(200_000), n)
	n.breaks(dieAfter(70_000))
	resp, err := h.srv.Client().Get(h.srv.URL + "/a")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err == nil {
		t.Error("got a whole body; want it cut short")
	}
	h.wantCount("aborted", &counts.Requests[tally.Get][tally.Aborted], 1)
	h.wantCount("served", &counts.Requests[tally.Get][tally.Served], 0)
	if got := counts.Duration[tally.Get].Read().Count; got != 1 {
		t.Errorf("got %d durations; want 1", got)
	}
}

func TestEveryEndIsCounted(t *testing.T) {
	h, counts := tallied(t)
	n := newNode(t, 1)
	h.tracker.add("a", noise(1000), n)
	n.breaks(answers(http.StatusInternalServerError))
	h.get("a").want(t, http.StatusServiceUnavailable)
	h.wantCount("no copy", &counts.Requests[tally.Get][tally.NoCopy], 1)
	h.get("b").want(t, http.StatusNotFound)
	h.wantCount("not found", &counts.Requests[tally.Get][tally.NotFound], 1)
	h.do(http.MethodHead, "b", nil).want(t, http.StatusNotFound)
	h.wantCount("not found", &counts.Requests[tally.Head][tally.NotFound], 1)
	h.put("a/../b", nil).want(t, http.StatusBadRequest)
	h.wantCount("refused", &counts.Requests[tally.Put][tally.Refused], 1)
	if got := counts.FirstByte[tally.Remote].Read().Count; got != 0 {
		t.Errorf("got %d first bytes; want none", got)
	}
}

func TestBytesFromMemoryAreCountedOnce(t *testing.T) {
	contents, err := cache.NewContents(cache.ContentsConfig{Bytes: 8 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(contents.Close)
	h, counts := tallied(t, func(c *edge.Config) { c.Contents = contents })
	content := noise(10_000)
	h.tracker.add("a", content, newNode(t, 1))
	for range 5 {
		h.get("a").wantBody(t, http.StatusOK, content)
	}
	h.wantCount("served", &counts.Requests[tally.Get][tally.Served], 5)
	h.wantCount("bytes from nodes", &counts.Sent[tally.Remote], int64(len(content)))
	h.wantCount("bytes from memory", &counts.Sent[tally.Memory], int64(4*len(content))-counts.Sent[tally.Shared].Read())
}

func TestHedgesAreCounted(t *testing.T) {
	h, counts := tallied(t, func(c *edge.Config) { c.Hedge = 10 * time.Millisecond })
	content := noise(1000)
	slow, fast := newNode(t, 1), newNode(t, 2)
	h.tracker.add("a", content, slow, fast)
	slow.breaks(func(_ http.ResponseWriter, r *http.Request, _ []byte) bool { <-r.Context().Done(); return true })
	h.get("a").wantBody(t, http.StatusOK, content)
	h.wantCount("hedges", &counts.Hedges, 1)
	h.wantCount("hedges won", &counts.HedgesWon, 1)
}

func TestUploadsAreCounted(t *testing.T) {
	h, counts := tallied(t)
	n := newNode(t, 1)
	h.toNodes(n)
	h.put("a", noise(1000)).want(t, http.StatusCreated)
	h.wantCount("served", &counts.Requests[tally.Put][tally.Served], 1)
	h.wantCount("stored", &counts.Stored, 1000)
}
