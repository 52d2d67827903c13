package node_test

import (
	"io"
	"net/http"
	"runtime"
	"strconv"
	"testing"

	"github.com/mogilefs/caddy-mogilefs/tracker/node"
)

// What is under way between two nodes is never the whole file: the source here sends its
// second half when the destination has the first, and what the tracker takes for it is
// far less than a half.
func TestCopyHoldsLittleOfTheFile(t *testing.T) {
	const half = 32 << 20
	from, to, c := newNode(t), newNode(t), newClient(t, node.Config{})
	arrived := make(chan struct{})
	chunk := make([]byte, 64<<10)
	from.answers(func(w http.ResponseWriter, r *http.Request) bool {
		w.Header().Set("Content-Length", strconv.Itoa(2*half))
		for n := 0; n < 2*half; n += len(chunk) {
			if n == half {
				select {
				case <-arrived:
				case <-r.Context().Done():
					return true
				}
			}
			if _, err := w.Write(chunk); err != nil {
				return true
			}
		}
		return true
	})
	to.answers(func(w http.ResponseWriter, r *http.Request) bool {
		if _, err := io.CopyN(io.Discard, r.Body, half); err == nil {
			close(arrived)
			_, _ = io.Copy(io.Discard, r.Body)
			w.WriteHeader(http.StatusCreated)
		}
		return true
	})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := c.Copy(t.Context(), node.CopyArgs{From: from.URL + path, To: to.URL + path, Length: 2 * half, Hash: md5Type}); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > 8<<20 {
		t.Errorf("got %d bytes allocated for a copy of %d; want a few buffers", took, 2*half)
	}
}
