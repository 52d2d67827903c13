package node_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mogilefs/caddy-mogilefs/tracker/node"
)

// fakeNode keeps files in memory and remembers what it heard. answer, or nil, may answer
// in its stead.
type fakeNode struct {
	*httptest.Server
	answer func(w http.ResponseWriter, r *http.Request) bool

	mu    sync.Mutex // guards what follows
	files map[string]string
	heard []string // METHOD /path
	last  *http.Request
}

func newNode(t *testing.T) *fakeNode {
	n := &fakeNode{files: map[string]string{}}
	n.Server = httptest.NewServer(n)
	t.Cleanup(n.Close)
	return n
}

func (n *fakeNode) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n.mu.Lock()
	n.heard, n.last = append(n.heard, r.Method+" "+r.URL.Path), r
	answer := n.answer
	n.mu.Unlock()
	if answer != nil && answer(w, r) {
		return
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		content, ok := n.file(r.URL.Path)
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		w.Header().Set("Content-Length", fmt.Sprint(len(content)))
		_, _ = io.WriteString(w, content)
	case http.MethodPut:
		content, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		n.put(r.URL.Path, string(content))
		w.WriteHeader(http.StatusCreated)
	case http.MethodDelete:
		n.mu.Lock()
		defer n.mu.Unlock()
		if _, ok := n.files[r.URL.Path]; !ok {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		delete(n.files, r.URL.Path)
		w.WriteHeader(http.StatusNoContent)
	default:
		w.WriteHeader(http.StatusBadRequest)
	}
}

func (n *fakeNode) put(path, content string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.files[path] = content
}

func (n *fakeNode) file(path string) (string, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	content, ok := n.files[path]
	return content, ok
}

// lastRequest is the last request heard.
func (n *fakeNode) lastRequest() *http.Request {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.last
}

// hears returns what was heard since it was last called.
func (n *fakeNode) hears() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	defer func() { n.heard = nil }()
	return slices.Clone(n.heard)
}

// says makes the node answer a method with a status.
func (n *fakeNode) says(method string, status int) {
	n.answers(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == method {
			w.WriteHeader(status)
		}
		return r.Method == method
	})
}

func (n *fakeNode) answers(f func(w http.ResponseWriter, r *http.Request) bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.answer = f
}

// stalls is an answer that never comes.
func stalls(method string) func(http.ResponseWriter, *http.Request) bool {
	return func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == method {
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
		}
		return r.Method == method
	}
}

// soon is a timeout that tests need not wait long for.
const soon = 50 * time.Millisecond

func newClient(t *testing.T, config node.Config) *node.Client {
	if config.Management == 0 {
		config.Management = closedPort(t)
	}
	c := node.New(config)
	t.Cleanup(c.Close)
	return c
}

// closedPort is one that nobody listens on.
func closedPort(t *testing.T) uint16 {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return uint16(ln.Addr().(*net.TCPAddr).Port)
}

// sideChannel answers each line with what answer makes of it, until the test ends.
func sideChannel(t *testing.T, answer func(line string) string) (port uint16, heard func() []string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	var lines []string
	serve := func(conn net.Conn) {
		defer conn.Close()
		for in := bufio.NewScanner(conn); in.Scan(); {
			mu.Lock()
			lines = append(lines, in.Text())
			mu.Unlock()
			if _, err := io.WriteString(conn, answer(strings.TrimSpace(in.Text()))); err != nil {
				return
			}
		}
	}
	wg.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { serve(conn) })
		}
	})
	t.Cleanup(func() { _ = ln.Close(); wg.Wait() })
	return uint16(ln.Addr().(*net.TCPAddr).Port), func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(lines)
	}
}
