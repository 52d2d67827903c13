package node_test

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/mogilefs/caddy-mogilefs/tracker/node"
)

func TestTestWriteFindsOutWhetherMD5IsChecked(t *testing.T) {
	for answer, want := range map[int]string{201: "0", 400: "1"} {
		n, c := newNode(t), newClient(t, node.Config{})
		n.answers(func(w http.ResponseWriter, r *http.Request) bool {
			bad := r.Header.Get("Content-MD5") != ""
			if bad {
				w.WriteHeader(answer)
			}
			return bad
		})
		got, err := c.TestWrite(t.Context(), 1, n.URL, n.URL)
		if got != want || err != nil {
			t.Errorf("node answers a wrong digest with %d: got %q, %v; want %q", answer, got, err, want)
		}
	}
}

func TestTestWriteReadsFromTheGetPort(t *testing.T) {
	write, read, c := newNode(t), newNode(t), newClient(t, node.Config{})
	read.answers(func(w http.ResponseWriter, r *http.Request) bool {
		content, _ := write.file(r.URL.Path)
		_, _ = io.WriteString(w, content)
		return true
	})
	if _, err := c.TestWrite(t.Context(), 1, write.URL, read.URL); err != nil {
		t.Errorf("got error %v; want none", err)
	}
	if heard := read.hears(); len(heard) != 1 || !strings.HasPrefix(heard[0], "GET /dev1/test-write/test-write-") {
		t.Errorf("get port heard %v; want one GET of the test file", heard)
	}
}

func TestTestWriteFailsWhenTheNodeDoes(t *testing.T) {
	for name, answer := range map[string]func(w http.ResponseWriter, r *http.Request) bool{
		"PUT is refused": func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodPut {
				w.WriteHeader(http.StatusInsufficientStorage)
			}
			return r.Method == http.MethodPut
		},
		"GET is refused": func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodGet {
				w.WriteHeader(http.StatusNotFound)
			}
			return r.Method == http.MethodGet
		},
		"PUT stalls": stalls(http.MethodPut),
		"file is never what was written": func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodGet {
				_, _ = io.WriteString(w, "time=1 rand=1")
			}
			return r.Method == http.MethodGet
		},
	} {
		n, c := newNode(t), newClient(t, node.Config{ConnTimeout: soon})
		n.answers(answer)
		if _, err := c.TestWrite(t.Context(), 1, n.URL, n.URL); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
}

func TestTestWriteTriesTwiceWhenAnotherTrackerWasQuicker(t *testing.T) {
	n, c := newNode(t), newClient(t, node.Config{})
	var reads atomic.Int32
	n.answers(func(w http.ResponseWriter, r *http.Request) bool {
		other := r.Method == http.MethodGet && reads.Add(1) == 1
		if other {
			_, _ = io.WriteString(w, "time=1 rand=1")
		}
		return other
	})
	if _, err := c.TestWrite(t.Context(), 1, n.URL, n.URL); err != nil || reads.Load() != 2 {
		t.Errorf("got error %v after %d reads; want none after 2", err, reads.Load())
	}
}
