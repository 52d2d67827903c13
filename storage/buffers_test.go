package storage_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
)

// serve has the node answer without a connection, so that it is through with the request
// when it returns.
func (s server) serve(t *testing.T, method string, body io.Reader, rng string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(method, fidPath, body)
	if rng != "" {
		r.Header.Set("Range", rng)
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

func TestNodeServesWhenAllBuffersAreLent(t *testing.T) {
	s := newServer(t)
	for _, size := range []int{0, 1, 5000, 70_000, 1 << 20} {
		content := strings.Repeat("0123456789abcdef", size/16+1)[:size]
		release := s.LendBuffers()
		if got := s.serve(t, "PUT", strings.NewReader(content), ""); got.Code != http.StatusCreated {
			t.Fatalf("PUT of %d bytes: got %d; want 201", size, got.Code)
		}
		for range 3 { // the file may be kept open
			if got := s.serve(t, "GET", nil, ""); got.Code != http.StatusOK || got.Body.String() != content {
				t.Errorf("GET of %d bytes: got %d with %d bytes, or they differ", size, got.Code, got.Body.Len())
			}
			if got := s.serve(t, "GET", nil, "bytes=100-199"); size > 200 && got.Body.String() != content[100:200] {
				t.Errorf("GET of a part of %d bytes: got %q; want %q", size, got.Body, content[100:200])
			}
		}
		release()
		if got := s.serve(t, "GET", nil, ""); got.Body.String() != content {
			t.Errorf("GET of %d bytes afterwards: got %d bytes, or they differ", size, got.Body.Len())
		}
		if got := s.LentBuffers(); got != 0 {
			t.Fatalf("%d buffers are lent in the end; want none", got)
		}
	}
}

func TestBodiesInPiecesArriveWhole(t *testing.T) {
	s := newServer(t)
	for _, size := range []int{0, 1, 4095, 4096, 4097, 8192, 200_000, 1<<20 + 1} {
		content := strings.Repeat("0123456789abcdef", size/16+1)[:size]
		for name, pieces := range map[string]func(io.Reader) io.Reader{
			"whole":             func(r io.Reader) io.Reader { return r },
			"one byte":          iotest.OneByteReader,
			"half":              iotest.HalfReader,
			"the end with data": iotest.DataErrReader,
			"now fast now slow": func(r io.Reader) io.Reader { return &uneven{r: r} },
		} {
			t.Run(fmt.Sprintf("%d bytes, %s", size, name), func(t *testing.T) {
				if got := s.serve(t, "PUT", pieces(strings.NewReader(content)), ""); got.Code != http.StatusCreated {
					t.Fatalf("got %d; want 201", got.Code)
				}
				got, err := os.ReadFile(filepath.Join(s.root, fidPath))
				if err != nil || string(got) != content {
					t.Errorf("got %d bytes, %v; want %d, or they differ", len(got), err, size)
				}
				if got := s.LentBuffers(); got != 0 {
					t.Errorf("%d buffers are lent in the end; want none", got)
				}
			})
		}
	}
}

// uneven gives many bytes, then few, and so on.
type uneven struct {
	r     io.Reader
	calls int
}

func (u *uneven) Read(p []byte) (int, error) {
	u.calls++
	if u.calls%3 == 0 {
		p = p[:min(len(p), 100)]
	}
	return u.r.Read(p)
}

// watching calls seen before each read.
type watching struct {
	r    io.Reader
	seen func()
}

func (w watching) Read(p []byte) (int, error) {
	w.seen()
	return w.r.Read(p)
}

func TestOnlyFastBodiesTakeLargeBuffers(t *testing.T) {
	s := newServer(t)
	for _, c := range []struct {
		name string
		body io.Reader
		want int32
	}{
		{"slow", iotest.OneByteReader(strings.NewReader(strings.Repeat("x", 4000))), 0},
		{"fast", strings.NewReader(strings.Repeat("x", 100_000)), 1},
	} {
		most := int32(0)
		body := watching{c.body, func() { most = max(most, s.LentBuffers()) }}
		if got := s.serve(t, "PUT", body, ""); got.Code != http.StatusCreated {
			t.Fatalf("%s: got %d; want 201", c.name, got.Code)
		}
		if most != c.want {
			t.Errorf("%s: got %d large buffers lent at most; want %d", c.name, most, c.want)
		}
	}
}
