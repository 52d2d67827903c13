package node_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/mogilefs/caddy-mogilefs/tracker/node"
)

const path = "/dev1/0/000/000/0000000007.fid"

func TestSizeTellsMissingFromUnknown(t *testing.T) {
	n, c := newNode(t), newClient(t, node.Config{})
	n.put(path, "hello")
	for _, q := range []struct {
		path  string
		size  int64
		found bool
	}{{path, 5, true}, {"/dev1/0/000/000/0000000008.fid", 0, false}} {
		size, found, err := c.Size(t.Context(), n.URL+q.path)
		if size != q.size || found != q.found || err != nil {
			t.Errorf("%s: got %d, %v, %v; want %d, %v", q.path, size, found, err, q.size, q.found)
		}
	}
	n.says(http.MethodHead, http.StatusInternalServerError)
	if _, found, err := c.Size(t.Context(), n.URL+path); found || err == nil {
		t.Errorf("node says 500: got found %v, error %v; want an error", found, err)
	}
}

func TestSizeOfALighttpdNodeWithoutLengthIsZero(t *testing.T) {
	n, c := newNode(t), newClient(t, node.Config{})
	for server, want := range map[string]bool{"lighttpd/1.4": true, "other": false} {
		n.answers(func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Server", server)
			w.Header().Set("Transfer-Encoding", "chunked")
			w.WriteHeader(http.StatusOK)
			return true
		})
		size, found, err := c.Size(t.Context(), n.URL+path)
		if found != want || size != 0 || (err == nil) != want {
			t.Errorf("server %s: got %d, %v, %v; want found %v", server, size, found, err, want)
		}
	}
}

func TestDeleteSucceedsWhenTheFileIsGone(t *testing.T) {
	for status, want := range map[int]bool{204: true, 200: true, 404: true, 400: false, 403: false, 500: false, 302: false} {
		n, c := newNode(t), newClient(t, node.Config{})
		n.says(http.MethodDelete, status)
		if err := c.Delete(t.Context(), n.URL+path); (err == nil) != want {
			t.Errorf("node says %d: got error %v; want success %v", status, err, want)
		}
	}
}

func TestNoRedirectIsFollowed(t *testing.T) {
	n, c := newNode(t), newClient(t, node.Config{})
	n.answers(func(w http.ResponseWriter, r *http.Request) bool {
		http.Redirect(w, r, "/elsewhere", http.StatusFound)
		return true
	})
	if _, _, err := c.Size(t.Context(), n.URL+path); err == nil {
		t.Error("got a size; want an error")
	}
	if heard := n.hears(); len(heard) != 1 {
		t.Errorf("node heard %v; want one request", heard)
	}
}

func TestAStallingNodeTimesOut(t *testing.T) {
	n, c := newNode(t), newClient(t, node.Config{NodeTimeout: soon, ConnTimeout: soon})
	n.answers(stalls(http.MethodHead))
	if _, _, err := c.Size(t.Context(), n.URL+path); !errors.Is(err, node.ErrTimeout) {
		t.Errorf("got error %v; want %v", err, node.ErrTimeout)
	}
}

// The wait is for each piece of an answer, not for all of it.
func TestASlowNodeThatGoesOnIsLetAlone(t *testing.T) {
	n, c := newNode(t), newClient(t, node.Config{NodeTimeout: 4 * soon})
	piece := strings.Repeat("x", 100)
	n.answers(func(w http.ResponseWriter, r *http.Request) bool {
		for range 6 {
			<-after(soon)
			_, _ = io.WriteString(w, piece)
			w.(http.Flusher).Flush()
		}
		return true
	})
	if _, err := c.Digest(t.Context(), n.URL+path, md5Type); err != nil {
		t.Errorf("got error %v after more than the timeout in all; want none", err)
	}
}

func TestConnectionsAreKept(t *testing.T) {
	n, c := newNode(t), newClient(t, node.Config{})
	n.put(path, "hello")
	ports := map[string]bool{}
	for range 5 {
		if _, err := c.Digest(t.Context(), n.URL+path, md5Type); err != nil {
			t.Fatal(err)
		}
		ports[n.lastRequest().RemoteAddr] = true
		if _, _, err := c.Size(t.Context(), n.URL+"/none"); err != nil {
			t.Fatal(err)
		}
		ports[n.lastRequest().RemoteAddr] = true
	}
	if len(ports) != 1 {
		t.Errorf("got %d connections for 10 requests in a row; want 1", len(ports))
	}
}
