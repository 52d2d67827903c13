package job_test

import (
	"crypto/md5"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// fakeHost is a storage node with files in memory. It remembers what it heard, and the
// most copies that came to one device at a time. With script it can be told to behave
// badly.
type fakeHost struct {
	*httptest.Server

	mu     sync.Mutex // guards what follows
	files  map[string]string
	heard  []string // METHOD /path, but for what monitors ask
	script func(w http.ResponseWriter, r *http.Request) bool
	strict bool // checks Content-MD5
	puts   map[mogile.DevID]int
	most   int
}

// newHost listens on an address of the loopback network.
func newHost(t *testing.T, ip string) *fakeHost {
	t.Helper()
	h := &fakeHost{files: map[string]string{}, puts: map[mogile.DevID]int{}}
	ln, err := net.Listen("tcp", ip+":0")
	if err != nil {
		t.Fatal(err)
	}
	h.Server = httptest.NewUnstartedServer(h)
	_ = h.Listener.Close()
	h.Listener = ln
	h.Start()
	t.Cleanup(h.Close)
	return h
}

func (h *fakeHost) port() uint16 { return uint16(h.Listener.Addr().(*net.TCPAddr).Port) }

// behaves sets the script, which reports whether it has answered; nil means well. It
// does not see what monitors ask.
func (h *fakeHost) behaves(script func(w http.ResponseWriter, r *http.Request) bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.script = script
}

func (h *fakeHost) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasSuffix(r.URL.Path, "/usage") {
		_, _ = io.WriteString(w, "total: 10485760\nused: 1048576\n")
		return
	}
	if !strings.Contains(r.URL.Path, "/test-write/") {
		h.mu.Lock()
		h.heard = append(h.heard, r.Method+" "+r.URL.Path)
		script := h.script
		h.mu.Unlock()
		if r.Method == http.MethodPut {
			defer h.putting(r.URL.Path)()
		}
		if script != nil && script(w, r) {
			return
		}
	}
	h.serveFile(w, r)
}

func (h *fakeHost) serveFile(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		content, ok := h.file(r.URL.Path)
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		w.Header().Set("Content-Length", fmt.Sprint(len(content)))
		_, _ = io.WriteString(w, content)
	case http.MethodPut:
		content, err := io.ReadAll(r.Body)
		if err == nil && !h.accepts(r, content) {
			w.WriteHeader(http.StatusBadRequest)
		} else if err == nil {
			h.put(r.URL.Path, string(content))
			w.WriteHeader(http.StatusCreated)
		}
	case http.MethodDelete:
		h.mu.Lock()
		defer h.mu.Unlock()
		if _, ok := h.files[r.URL.Path]; !ok {
			w.WriteHeader(http.StatusNotFound)
		}
		delete(h.files, r.URL.Path)
	default:
		w.WriteHeader(http.StatusBadRequest)
	}
}

// accepts compares with the digest that was sent ahead, if the host does such things.
func (h *fakeHost) accepts(r *http.Request, content []byte) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	want, sum := r.Header.Get("Content-MD5"), md5.Sum(content)
	return !h.strict || want == "" || want == base64.StdEncoding.EncodeToString(sum[:])
}

// putting counts a PUT until what it returns is called.
func (h *fakeHost) putting(path string) (done func()) {
	dev, _, err := mogile.ParsePath(path)
	if err != nil {
		return func() {}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.puts[dev]++
	h.most = max(h.most, h.puts[dev])
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.puts[dev]--
	}
}

func (h *fakeHost) mostPuts() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.most
}

func (h *fakeHost) put(path, content string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.files[path] = content
}

func (h *fakeHost) file(path string) (string, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	content, ok := h.files[path]
	return content, ok
}

// heardOf lists what was heard of a method.
func (h *fakeHost) heardOf(method string) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(h.heard), func(s string) bool { return !strings.HasPrefix(s, method+" ") })
}

// refuses answers a method with a status.
func refuses(method string, status int) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == method {
			drainBody(r)
			w.WriteHeader(status)
		}
		return r.Method == method
	}
}

func drainBody(r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }
