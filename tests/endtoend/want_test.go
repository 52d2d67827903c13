package endtoend

import (
	"bytes"
	"net/http"
	"os"
	"testing"

	"github.com/mogilefs/caddy-mogilefs/tests/process"
)

// ask sends a request without a body and with more headers.
func ask(t *testing.T, c *process.Cluster, method, key string, header http.Header) process.Reply {
	t.Helper()
	req := c.Request(method, key, nil)
	for name, values := range header {
		req.Header[name] = values
	}
	reply, err := c.Do(req)
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", method, key, err, c.Tail())
	}
	return reply
}

func wantStatus(t *testing.T, what string, got process.Reply, want int) {
	t.Helper()
	if got.Status != want {
		t.Fatalf("%s: got status %d with %.200q; want %d", what, got.Status, got.Body, want)
	}
}

func wantHeader(t *testing.T, got process.Reply, name, want string) {
	t.Helper()
	if v := got.Header.Get(name); v != want {
		t.Errorf("got %s %q; want %q", name, v, want)
	}
}

func wantBody(t *testing.T, what string, got process.Reply, want []byte) {
	t.Helper()
	if !bytes.Equal(got.Body, want) {
		t.Errorf("%s: got %d bytes, %.40q; want %d, %.40q", what, len(got.Body), got.Body, len(want), want)
	}
}

func wantFile(t *testing.T, name string, want []byte) {
	t.Helper()
	got, err := os.ReadFile(name)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s: got %d bytes (%v); want the %d of the upload", name, len(got), err, len(want))
	}
}
