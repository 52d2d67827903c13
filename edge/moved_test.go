package edge_test

import (
	"errors"
	"net/http"
	"testing"

	"github.com/mogilefs/caddy-mogilefs/cache"
	"github.com/mogilefs/caddy-mogilefs/edge"
	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// remembered is a house that knows a key with two copies; the first one is gone since.
func remembered(t *testing.T, with ...func(*edge.Config)) (h *house, fid mogile.FID, gone, other *node) {
	h = build(t, with...)
	gone, other = newNode(t, 1), newNode(t, 2)
	content := noise(1000)
	fid = h.tracker.add("a", content, gone, other)
	h.get("a").wantBody(t, http.StatusOK, content)
	gone.breaks(answers(http.StatusNotFound))
	return h, fid, gone, other
}

func (h *house) wantLocates(want int) {
	h.t.Helper()
	if got := h.tracker.count("locate"); got != want {
		h.t.Errorf("got %d questions to the tracker; want %d", got, want)
	}
}

func TestCopyThatHasMovedIsAskedForAtOnce(t *testing.T) {
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		h, fid, gone, other := remembered(t)
		third := newNode(t, 3)
		third.put(fid, noise(1000))
		h.tracker.set("a", mogile.Location{FID: fid, Length: 1000, Copies: []mogile.Copy{third.copyOf(fid), other.copyOf(fid)}})
		for range 3 {
			h.do(method, "a", nil).want(t, http.StatusOK)
			h.get("a").wantBody(t, http.StatusOK, noise(1000))
		}
		if method == http.MethodHead {
			continue // the time of modification is known: no copy was needed, but by the GET
		}
		h.wantLocates(2)
		if asked := len(gone.requests(http.MethodGet)); asked != 2 {
			t.Errorf("%s: got %d requests to where the copy was; want 2", method, asked)
		}
		if asked := len(third.requests(http.MethodGet)); asked != 6 {
			t.Errorf("%s: got %d requests to where it is; want 6", method, asked)
		}
	}
}

func TestHeadLearnsThatACopyHasMoved(t *testing.T) {
	h := build(t)
	gone, there := newNode(t, 1), newNode(t, 2)
	fid := h.tracker.add("a", noise(1000), gone)
	gone.breaks(answers(http.StatusInternalServerError))
	h.do(http.MethodHead, "a", nil).want(t, http.StatusServiceUnavailable) // the location is remembered
	gone.breaks(answers(http.StatusNotFound))
	there.put(fid, noise(1000))
	h.tracker.set("a", mogile.Location{FID: fid, Length: 1000, Copies: []mogile.Copy{there.copyOf(fid)}})
	h.do(http.MethodHead, "a", nil).want(t, http.StatusOK)
}

func TestOverwriteElsewhereShowsAsSoonAsACopyIsGone(t *testing.T) {
	for name, with := range map[string][]func(*edge.Config){
		"from nodes":  nil,
		"into memory": {withContents(t, cache.ContentsConfig{})},
	} {
		t.Run(name, func(t *testing.T) {
			h, _, _, other := remembered(t)
			if len(with) > 0 {
				// Without the file itself in memory: the cache begins empty with its edge.
				h, _, _, other = remembered(t, func(c *edge.Config) {
					withContents(t, cache.ContentsConfig{Bytes: 1 << 20, MaxFile: 10})(c)
				})
			}
			changed := noise(2000)
			h.tracker.add("a", changed, other) // where the old content still is, too
			h.get("a").wantBody(t, http.StatusOK, changed)
		})
	}
}

func TestDeleteElsewhereShowsAsSoonAsACopyIsGone(t *testing.T) {
	h, _, _, _ := remembered(t)
	if err := h.tracker.Delete(t.Context(), "images", "a"); err != nil {
		t.Fatal(err)
	}
	if a := h.ask("GET", "a"); !errors.Is(a.err, edge.ErrUnknownKey) || a.FID != 0 {
		t.Errorf("got %v, fid %d; want %v and no fid", a.err, a.FID, edge.ErrUnknownKey)
	}
}

func TestLostCopyIsAskedForOnce(t *testing.T) {
	h, _, gone, _ := remembered(t)
	for range 5 { // the tracker has not noticed
		h.get("a").wantBody(t, http.StatusOK, noise(1000))
	}
	h.wantLocates(2)
	if asked := len(gone.requests(http.MethodGet)); asked != 2 {
		t.Errorf("got %d requests to where the copy was; want 2, after which it is left aside", asked)
	}
}

func TestCopyThatIsGoneIsPassedOverWhileNoTrackerAnswers(t *testing.T) {
	h, _, _, _ := remembered(t)
	h.tracker.fail("locate", errors.New("down"))
	for range 3 {
		h.get("a").wantBody(t, http.StatusOK, noise(1000))
	}
	h.wantLocates(2)
}
