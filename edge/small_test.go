package edge_test

import (
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mogilefs/caddy-mogilefs/edge"
	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// readers are disks whose files need not be opened: they are in memory.
type readers struct {
	*disks
	files map[mogile.FID][]byte
	reads atomic.Int64
}

func (d *readers) ReadCopy(_ mogile.Copy, fid mogile.FID, p []byte, off int64) (int64, time.Time, error) {
	d.reads.Add(1)
	content, ok := d.files[fid]
	if !ok {
		return 0, time.Time{}, fs.ErrNotExist
	}
	if off+int64(len(p)) <= int64(len(content)) {
		copy(p, content[off:])
	}
	return int64(len(content)), modifiedOnDisk, nil
}

var modifiedOnDisk = time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)

// withReaders makes a house that has one file on its disks: 1, also as an ordinary file of
// another content.
func withReaders(t testing.TB, content []byte) (*house, *readers) {
	r := &readers{files: map[mogile.FID][]byte{1: content}}
	h := build(t, func(c *edge.Config) {
		r.disks = c.Disks.(*disks)
		c.Disks = r
	})
	r.put(t, 1, content)
	h.tracker.set("a", mogile.Location{FID: 1, Length: int64(len(content)), Copies: []mogile.Copy{r.copyOf(1)}})
	return h, r
}

func TestSmallLocalFileIsReadWithoutOpeningIt(t *testing.T) {
	for _, size := range []int{1, 30_000, 64 << 10, 64<<10 + 1} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			content := noise(size)
			h, r := withReaders(t, content)
			got := h.get("a")
			got.wantBody(t, http.StatusOK, content)
			want := int64(1)
			if size > 64<<10 {
				want = 0
			} else {
				got.wantHeader(t, "Last-Modified", modifiedOnDisk.Format(http.TimeFormat))
			}
			if reads := r.reads.Load(); reads != want {
				t.Errorf("got %d reads; want %d", reads, want)
			}
			h.get("a", "Range", "bytes=0-0").wantBody(t, http.StatusPartialContent, content[:1])
			h.get("a", "Range", fmt.Sprintf("bytes=%d-", size-1)).wantBody(t, http.StatusPartialContent, content[size-1:])
			h.do(http.MethodHead, "a", nil).want(t, http.StatusOK)
			if size > 1000 {
				h.get("a", "Range", "bytes=0-9,100-199").want(t, http.StatusPartialContent)
			}
			h.edge.TakeParts() // all room is taken by clients that take long
			before := r.reads.Load()
			h.get("a").wantBody(t, http.StatusOK, content)
			if reads := r.reads.Load(); reads != before {
				t.Error("got it read into a buffer although there is no room for more; want it sent by the system")
			}
		})
	}
}

func TestSmallLocalFileThatIsNotTheFileIsPassedOver(t *testing.T) {
	content := noise(1000)
	for name, on := range map[string][]byte{"missing": nil, "shorter": content[:999], "longer": noise(1001)} {
		t.Run(name, func(t *testing.T) {
			h, r := withReaders(t, content)
			if r.files[1] = on; on == nil {
				delete(r.files, 1)
			}
			n := newNode(t, 2)
			n.put(1, content)
			h.tracker.set("a", mogile.Location{FID: 1, Length: 1000, Copies: []mogile.Copy{r.copyOf(1), n.copyOf(1)}})
			h.get("a").wantBody(t, http.StatusOK, content)
			if r.reads.Load() == 0 {
				t.Error("got the disk never asked; want it first")
			}
			eventually(t, "every buffer given back", func() bool { return h.edge.PartsInUse() == 0 })
		})
	}
}

// localAllocations is what a small file from a disk of ours may cost: as from memory, and what
// holds its buffer.
const localAllocations = hitAllocations + 1

func TestHotLocalReadAllocatesLittle(t *testing.T) {
	content := noise(30 << 10)
	h, _ := withReaders(t, content)
	h.get("a").wantBody(t, http.StatusOK, content)
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/a", nil)
	w := &checker{header: http.Header{}, want: content}
	got := testing.AllocsPerRun(1000, func() {
		w.n = 0
		clear(w.header)
		if err := h.edge.Serve(w, r, edge.Request{Domain: "images", Key: "a"}); err != nil || w.n != len(content) {
			t.Fatalf("got %v, %d bytes; want %d", err, w.n, len(content))
		}
	})
	t.Logf("%v allocations", got)
	if got > localAllocations+raceAllocations {
		t.Errorf("got %v allocations; want at most %d", got, localAllocations+raceAllocations)
	}
	if w.wrong {
		t.Error("got wrong bytes")
	}
}
