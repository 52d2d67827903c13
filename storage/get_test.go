package storage_test

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/storage"
	"github.com/mogilefs/caddy-mogilefs/storage/openfiles"
)

func TestGetAndHeadOfAllKindsOfPath(t *testing.T) {
	s := newServer(t)
	s.mustPut(t, fidPath, "xyz")
	s.mustPut(t, "/dev1/0/000/000/0000000002.fid", "")
	temp := filepath.Join(s.root, "dev1", "a.c0123456789abcdef.tmp")
	for _, name := range []string{temp, filepath.Join(s.root, "dev1", ".hidden"), filepath.Join(s.root, "secret")} {
		if err := os.WriteFile(name, []byte("secret"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(s.root, filepath.Join(s.root, "dev1", "up")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path   string
		status int
		body   string
	}{
		{"/", 200, ""},
		{fidPath, 200, "xyz"},
		{"/" + fidPath, 200, "xyz"},
		{fidPath + "?a=b", 200, "xyz"},
		{strings.Replace(fidPath, "dev1", "%64ev1", 1), 200, "xyz"},
		{"/dev1/0/000/000/0000000002.fid", 200, ""},
		{"/dev1/0/000/000/0000000003.fid", 404, ""},
		{fidPath + "/", 404, ""},
		{fidPath + "/x", 404, ""},
		{"/dev1", 403, ""},
		{"/dev1/", 403, ""},
		{"/dev1/0/000", 403, ""},
		{"/dev1/0/000/", 403, ""},
		{"/dev1/nothing/", 404, ""},
		{"/dev9", 404, ""},
		{"/dev9/usage", 404, ""},
		{"/dev01/0/000/000/0000000001.fid", 404, ""},
		{"/secret", 404, ""},
		{"/other/x", 404, ""},
		{"/dev1/../secret", 403, ""},
		{"/dev1/%2e%2e/secret", 403, ""},
		{"/..", 403, ""},
		{"/dev1/up/secret", 403, ""},
		{"/dev1/.hidden", 404, ""},
		{"/dev1/a.c0123456789abcdef.tmp", 404, ""},
		{"/dev1/0//000/x", 404, ""},
		{"/dev1/a%00b", 404, ""},
		{"/dev1/a%20b", 404, ""},
		{"/dev1/" + strings.Repeat("a", 300), 404, ""},
		{"/dev1/" + strings.Repeat("a/", 300) + "a", 404, ""},
	} {
		get := s.do(t, "GET", c.path, "")
		if get.status != c.status || c.status == 200 && get.body != c.body {
			t.Errorf("GET %s: got %d %q; want %d %q", c.path, get.status, get.body, c.status, c.body)
		}
		head := s.do(t, "HEAD", c.path, "")
		if head.status != c.status || head.body != "" || head.length != get.length || head.length < 0 {
			t.Errorf("HEAD %s: got %d, length %d; want %d, length %d", c.path, head.status, head.length, c.status, get.length)
		}
	}
}

func TestHeadersOfAFile(t *testing.T) {
	s := newServer(t)
	s.mustPut(t, fidPath, "xyz")
	info, err := os.Stat(filepath.Join(s.root, fidPath))
	if err != nil {
		t.Fatal(err)
	}
	for _, method := range []string{"GET", "HEAD"} {
		h := s.do(t, method, fidPath, "").header
		for name, want := range map[string]string{
			"Content-Type":   "application/octet-stream",
			"Content-Length": "3",
			"Accept-Ranges":  "bytes",
			"Last-Modified":  info.ModTime().UTC().Format(http.TimeFormat),
		} {
			if got := h.Get(name); got != want {
				t.Errorf("%s %s: got %q; want %q", method, name, got, want)
			}
		}
		if h.Get("Etag") == "" || h.Get("Date") == "" {
			t.Errorf("%s: got %v; want ETag and Date", method, h)
		}
	}
}

func TestRangesOfThreeBytes(t *testing.T) {
	s := newServer(t)
	s.mustPut(t, fidPath, "xyz")
	for _, c := range []struct {
		value  string
		status int
		body   string
		rng    string
	}{
		{"bytes=0-1", 206, "xy", "bytes 0-1/3"},
		{"bytes=1-1", 206, "y", "bytes 1-1/3"},
		{"bytes=1-", 206, "yz", "bytes 1-2/3"},
		{"bytes=-2", 206, "yz", "bytes 1-2/3"},
		{"bytes=-99", 206, "xyz", "bytes 0-2/3"},
		{"bytes=0-99", 206, "xyz", "bytes 0-2/3"},
		{"bytes=0-99999999999999999999", 206, "xyz", "bytes 0-2/3"},
		{"Bytes=0-0", 206, "x", "bytes 0-0/3"},
		{"bytes= 0-0 ,", 206, "x", "bytes 0-0/3"},
		{"bytes=0-0,7-9", 206, "x", "bytes 0-0/3"},
		{"bytes=-0", 416, "", "bytes */3"},
		{"bytes=3-", 416, "", "bytes */3"},
		{"bytes=5-9", 416, "", "bytes */3"},
		{"bytes=99999999999999999999-", 416, "", "bytes */3"},
		{"bytes=2-1", 200, "xyz", ""},
		{"bytes=abc", 200, "xyz", ""},
		{"bytes=-", 200, "xyz", ""},
		{"bytes=--1", 200, "xyz", ""},
		{"bytes=+1-2", 200, "xyz", ""},
		{"bytes=", 200, "xyz", ""},
		{"bytes=,", 200, "xyz", ""},
		{"lines=0-1", 200, "xyz", ""},
		{"bytes=0-1,0-2", 200, "xyz", ""}, // more than the file
		{"bytes=" + strings.Repeat("0-0,", 20), 200, "xyz", ""},
	} {
		a := s.do(t, "GET", fidPath, "", "Range: "+c.value)
		if a.status != c.status || a.body != c.body || a.header.Get("Content-Range") != c.rng {
			t.Errorf("Range %s: got %d %q %q; want %d %q %q", c.value,
				a.status, a.body, a.header.Get("Content-Range"), c.status, c.body, c.rng)
		}
		if a.length != int64(len(c.body)) {
			t.Errorf("Range %s: Content-Length %d; want %d", c.value, a.length, len(c.body))
		}
		if head := s.do(t, "HEAD", fidPath, "", "Range: "+c.value); head.status != 200 || head.length != 3 {
			t.Errorf("HEAD with Range %s: got %d, %d; want 200, 3", c.value, head.status, head.length)
		}
	}
}

func TestSeveralRangesComeInParts(t *testing.T) {
	s := newServer(t)
	s.mustPut(t, fidPath, "0123456789")
	a := s.do(t, "GET", fidPath, "", "Range: bytes=0-1,-2,50-")
	if a.status != 206 || !strings.HasPrefix(a.header.Get("Content-Type"), "multipart/byteranges") {
		t.Fatalf("got %d %v; want 206 multipart/byteranges", a.status, a.header)
	}
	for _, want := range []string{"Content-Range: bytes 0-1/10\r\n", "\r\n01\r\n", "Content-Range: bytes 8-9/10\r\n", "\r\n89\r\n"} {
		if !strings.Contains(a.body, want) {
			t.Errorf("body: got %q; want %q in it", a.body, want)
		}
	}
}

func TestConditions(t *testing.T) {
	s := newServer(t)
	const date = "Sun, 02 Feb 2020 03:04:05 GMT"
	const before, after = "Sun, 02 Feb 2020 03:04:04 GMT", "Mon, 03 Feb 2020 00:00:00 GMT"
	s.do(t, "PUT", fidPath, "xyz", "Last-Modified: "+date)
	first := s.do(t, "HEAD", fidPath, "")
	tag := first.header.Get("Etag")
	if got := first.header.Get("Last-Modified"); got != date {
		t.Fatalf("Last-Modified: got %s; want what PUT said, %s", got, date)
	}
	for _, c := range []struct {
		headers []string
		status  int
	}{
		{[]string{"If-Modified-Since: " + date}, 304},
		{[]string{"If-Modified-Since: " + after}, 304},
		{[]string{"If-Modified-Since: " + before}, 200},
		{[]string{"If-Modified-Since: yesterday"}, 200},
		{[]string{"If-None-Match: " + tag}, 304},
		{[]string{"If-None-Match: W/" + tag}, 304},
		{[]string{"If-None-Match: *"}, 304},
		{[]string{`If-None-Match: "a", ` + tag}, 304},
		{[]string{`If-None-Match: "a"`}, 200},
		{[]string{`If-None-Match: "a"`, "If-Modified-Since: " + date}, 200},
		{[]string{"If-None-Match: " + tag, "Range: bytes=9-"}, 304},
		{[]string{"If-Match: " + tag}, 200},
		{[]string{"If-Match: *"}, 200},
		{[]string{`If-Match: "a"`}, 412},
		{[]string{"If-Match: W/" + tag}, 412},
		{[]string{"If-Unmodified-Since: " + date}, 200},
		{[]string{"If-Unmodified-Since: " + before}, 412},
		{[]string{"If-Match: " + tag, "If-Unmodified-Since: " + before}, 200},
		{[]string{"Range: bytes=0-0", "If-Range: " + tag}, 206},
		{[]string{"Range: bytes=0-0", "If-Range: " + date}, 206},
		{[]string{"Range: bytes=0-0", `If-Range: "a"`}, 200},
		{[]string{"Range: bytes=0-0", "If-Range: W/" + tag}, 200},
		{[]string{"Range: bytes=0-0", "If-Range: " + after}, 200},
		{[]string{"Range: bytes=9-", `If-Range: "a"`}, 200},
	} {
		a := s.do(t, "GET", fidPath, "", c.headers...)
		if a.status != c.status {
			t.Errorf("%v: got %d; want %d", c.headers, a.status, c.status)
		}
		if a.status == 304 && (a.body != "" || a.header.Get("Etag") != tag) {
			t.Errorf("%v: got %q, ETag %s; want no body, ETag %s", c.headers, a.body, a.header.Get("Etag"), tag)
		}
	}
}

func TestAnotherContentHasAnotherETag(t *testing.T) {
	s := newServer(t)
	s.mustPut(t, fidPath, "abc")
	first := s.do(t, "HEAD", fidPath, "").header.Get("Etag")
	// The clock of a file system may be as coarse as a tick.
	eventually(t, "the tag changes", func() bool {
		s.mustPut(t, fidPath, "xyz")
		return s.do(t, "HEAD", fidPath, "").header.Get("Etag") != first
	})
}

func TestLargeFilesComeWhole(t *testing.T) {
	s := newServer(t)
	want := strings.Repeat("0123456789abcdef", 1<<17)
	s.mustPut(t, fidPath, want)
	for rng, part := range map[string]string{
		"":                   want,
		"bytes=1000000-":     want[1000000:],
		"bytes=-1000001":     want[len(want)-1000001:],
		"bytes=1000-1999999": want[1000:2000000],
		"bytes=0-0":          want[:1],
	} {
		if got := s.do(t, "GET", fidPath, "", "Range: "+rng); got.body != part {
			t.Errorf("Range %q: got %d bytes; want %d, or their content differs", rng, len(got.body), len(part))
		}
	}
}

// plainWriter has no ReadFrom, as a middleware's writer may not.
type plainWriter struct{ http.ResponseWriter }

func TestWritersWithoutReadFromGetTheSameBytes(t *testing.T) {
	s := newServer(t)
	s.mustPut(t, fidPath, "0123456789")
	for rng, want := range map[string]string{"": "0123456789", "bytes=3-": "3456789", "bytes=3-4": "34"} {
		r, err := http.NewRequest("GET", fidPath, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Range", rng)
		w := httptest.NewRecorder()
		s.ServeHTTP(plainWriter{w}, r)
		if got := w.Body.String(); got != want {
			t.Errorf("Range %q: got %q; want %q", rng, got, want)
		}
	}
}

// onHeader is a client to which something happens once it has the header.
type onHeader struct {
	http.ResponseWriter
	happens func() error // what Write returns from then on
	err     error
}

func (w *onHeader) WriteHeader(status int) {
	w.ResponseWriter.WriteHeader(status)
	w.err = w.happens()
}

func (w *onHeader) Write(p []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	return w.ResponseWriter.Write(p)
}

func TestBodyThatFallsShortIsAborted(t *testing.T) {
	core, logged := observer.New(zap.WarnLevel)
	s := serverWith(t, storage.Config{Root: t.TempDir(), Devices: []mogile.DevID{1}, Logger: zap.New(core)}, nil)
	path := filepath.Join(s.root, fidPath)
	for _, c := range []struct {
		name, rng string
		size      int
		happens   func() error
		logs      int
	}{
		{"file shrinks", "", 2 * openfiles.MaxShared, func() error { return os.Truncate(path, 3) }, 1},
		{"file shrinks under a range", "bytes=1-80000", 2 * openfiles.MaxShared, func() error { return os.Truncate(path, 3) }, 1},
		{"client goes", "", 2 * openfiles.MaxShared, func() error { return io.ErrClosedPipe }, 0},
		{"client goes, small file", "", 10, func() error { return io.ErrClosedPipe }, 0},
	} {
		s.mustPut(t, fidPath, strings.Repeat("x", c.size))
		r := httptest.NewRequest("GET", fidPath, nil)
		r.Header.Set("Range", c.rng)
		aborted := func() (p any) {
			defer func() { p = recover() }()
			s.ServeHTTP(&onHeader{ResponseWriter: httptest.NewRecorder(), happens: c.happens}, r)
			return nil
		}()
		if aborted != http.ErrAbortHandler {
			t.Errorf("%s: got %v; want http.ErrAbortHandler", c.name, aborted)
		}
		if got := logged.TakeAll(); len(got) != c.logs {
			t.Errorf("%s: logged %v; want %d entries", c.name, got, c.logs)
		}
	}
}

func TestSmallFileThatCantBeReadHasAStatus(t *testing.T) {
	core, logged := observer.New(zap.WarnLevel)
	s := serverWith(t, storage.Config{Root: t.TempDir(), Devices: []mogile.DevID{1}, Logger: zap.New(core)}, nil)
	s.mustPut(t, fidPath, "0123456789")
	w := httptest.NewRecorder()
	w.Header().Set("Server", "test")
	r := httptest.NewRequest("GET", fidPath, nil)
	r.Header.Set("Range", "bytes=1-8")
	if err := s.GetAfter(w, r, func() error { return os.Truncate(filepath.Join(s.root, fidPath), 3) }); err != nil {
		t.Fatal(err)
	}
	want := http.Header{"Server": {"test"}, "Content-Type": {"text/plain; charset=utf-8"}, "Content-Length": {"13"}}
	if w.Code != http.StatusInternalServerError || !maps.EqualFunc(w.Header(), want, slices.Equal) {
		t.Errorf("got %d with %v; want 500 with %v", w.Code, w.Header(), want)
	}
	if got := logged.TakeAll(); len(got) != 1 {
		t.Errorf("logged %v; want one entry", got)
	}
}

func FuzzRange(f *testing.F) {
	for _, v := range []string{"bytes=0-1", "bytes=-0", "bytes=1-,2-3", "bytes=-", "bytes=99999999999999999999-"} {
		f.Add(v, int64(3))
	}
	f.Fuzz(func(t *testing.T, v string, size int64) {
		if size < 0 {
			size = -(size + 1)
		}
		list, ok := storage.ParseRange(v, size)
		if !ok {
			return
		}
		if len(list) > 16 {
			t.Errorf("%q of %d: got %d parts; want at most 16", v, size, len(list))
		}
		for _, part := range list {
			var first, last int64
			_, err := fmt.Sscanf(part, "%d-%d", &first, &last)
			if err != nil || first < 0 || last < first || last >= size {
				t.Errorf("%q of %d: got %s, %v; want a part of the file", v, size, part, err)
			}
		}
	})
}

func TestUnmodifiedTimesAreWholeSeconds(t *testing.T) {
	s := newServer(t)
	s.mustPut(t, fidPath, "x")
	odd := time.Date(2021, 1, 1, 0, 0, 0, 999_999_999, time.UTC)
	if err := os.Chtimes(filepath.Join(s.root, fidPath), odd, odd); err != nil {
		t.Fatal(err)
	}
	date := s.do(t, "HEAD", fidPath, "").header.Get("Last-Modified")
	var got []int
	for _, name := range []string{"If-Modified-Since", "If-Unmodified-Since"} {
		got = append(got, s.do(t, "GET", fidPath, "", name+": "+date).status)
	}
	if want := []int{304, 200}; !slices.Equal(got, want) {
		t.Errorf("got %v; want %v", got, want)
	}
}
