package storage_test

import (
	"bufio"
	"crypto/md5"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/storage"
	"github.com/mogilefs/caddy-mogilefs/storage/disk"
)

func md5Of(s string) string {
	sum := md5.Sum([]byte(s))
	return base64.StdEncoding.EncodeToString(sum[:])
}

func TestPutOfAllKindsOfPath(t *testing.T) {
	s := newServer(t)
	for _, c := range []struct {
		path   string
		status int
		text   string
	}{
		{fidPath, 201, ""},
		{fidPath, 201, ""}, // again
		{"//dev1/0/000/000/0000000002.fid", 201, ""},
		{"/dev1/0/000/000/x", 201, ""},
		{"/dev1/test-write/test-write-42", 201, ""},
		{"/dev2/a_b/C-d.e", 201, ""},
		{"/dev1/1/234/567/12345678901.fid", 201, ""},
		{"/dev9/0/000/000/0000000001.fid", 404, "Base directory does not exist"},
		{"/foo", 400, "Does not meet minimum directory requirement"},
		{"/foo/bar", 400, "Does not meet minimum directory requirement"},
		{"/", 400, "Does not meet minimum directory requirement"},
		{"/dev1", 400, "Invalid filename"},
		{"/dev1/", 400, "Invalid filename"},
		{"/dev1/0/000/000/", 400, "Invalid filename"},
		{"/dev1/a%20b", 400, "Invalid filename"},
		{"/dev1/a%2Bb", 400, "Invalid filename"},
		{"/dev1/a%00b", 400, "Invalid filename"},
		{"/dev1/%C3%A9", 400, "Invalid filename"},
		{"/dev1/a//b", 400, "Invalid filename"},
		{"/dev1/./b", 400, "Invalid filename"},
		{"/dev1/.hidden", 400, "Invalid filename"},
		{"/dev1/a/.tmp/b", 400, "Invalid filename"},
		{"/dev1/a.c0123456789abcdef.tmp", 400, "Invalid filename"},
		{"/dev1/" + strings.Repeat("a", 250), 400, "Invalid filename"},
		{"/dev1/../dev2/x", 403, ""},
		{"/dev1/%2e%2e/x", 403, ""},
		{"/../x", 403, ""},
		{"/dev1/usage", 403, ""},
		{"/dev1/0/000", 403, "Is a directory"},
		{fidPath + "/x", 404, ""},
	} {
		a := s.do(t, "PUT", c.path, "body")
		if a.status != c.status || !strings.Contains(a.body, c.text) {
			t.Errorf("PUT %s: got %d %q; want %d %q", c.path, a.status, a.body, c.status, c.text)
		}
	}
	got, want := s.stored(t), []string{
		"/dev1/0/000/000/0000000001.fid", "/dev1/0/000/000/0000000002.fid", "/dev1/0/000/000/x",
		"/dev1/1/234/567/12345678901.fid", "/dev1/test-write/test-write-42", "/dev2/a_b/C-d.e",
	}
	if !slices.Equal(got, want) {
		t.Errorf("stored: got %v; want %v", got, want)
	}
}

func TestLongestNameCanBeStored(t *testing.T) {
	s := newServer(t)
	s.mustPut(t, "/dev1/"+strings.Repeat("a", 255-disk.TempSuffixLen), "x")
}

func TestContentMD5IsChecked(t *testing.T) {
	s := newServer(t)
	s.mustPut(t, fidPath, "old")
	for _, c := range []struct {
		value  string
		status int
		text   string
	}{
		{md5Of("new"), 201, ""},
		{md5Of("bad"), 400, "Content-MD5 mismatch, expected: " + md5Of("bad") + " actual: " + md5Of("new")},
		{"!", 400, "malformed"},
		{"abcd", 400, "malformed"},
		{"", 400, "malformed"},
	} {
		s.mustPut(t, fidPath, "old")
		a := s.do(t, "PUT", fidPath, "new", "Content-MD5: "+c.value)
		if a.status != c.status || !strings.Contains(a.body, c.text) {
			t.Errorf("Content-MD5 %q: got %d %q; want %d %q", c.value, a.status, a.body, c.status, c.text)
		}
		want := "old"
		if c.status == 201 {
			want = "new"
		}
		if got := s.do(t, "GET", fidPath, "").body; got != want {
			t.Errorf("Content-MD5 %q: the target is %q; want %q", c.value, got, want)
		}
	}
	if got := s.stored(t); len(got) != 1 {
		t.Errorf("stored: got %v; want one", got)
	}
}

func TestChunkedTrailerIsChecked(t *testing.T) {
	s := newServer(t)
	for _, c := range []struct {
		name, declared, trailer string
		status                  string
	}{
		{"right", "Trailer: Content-MD5\r\n", "Content-MD5: " + md5Of("hello") + "\r\n", "201"},
		{"wrong", "Trailer: Content-MD5\r\n", "Content-MD5: " + md5Of("other") + "\r\n", "400"},
		{"malformed", "Trailer: Content-MD5\r\n", "Content-MD5: !\r\n", "400"},
		{"absent", "Trailer: Content-MD5\r\n", "", "201"},
		{"none", "", "", "201"},
		{"wrong beside a right header", "Trailer: Content-MD5\r\nContent-MD5: " + md5Of("hello") + "\r\n",
			"Content-MD5: " + md5Of("other") + "\r\n", "400"},
	} {
		got := s.wire(t, "PUT "+fidPath+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n"+
			c.declared+"\r\n2;ext=1\r\nhe\r\n3\r\nllo\r\n0\r\n"+c.trailer+"\r\n")
		if !strings.HasPrefix(got, "HTTP/1.1 "+c.status+" ") {
			t.Errorf("%s: got %q; want %s", c.name, got, c.status)
		}
		stored := s.do(t, "GET", fidPath, "")
		if (stored.status == 200) != (c.status == "201") {
			t.Errorf("%s: stored is %d", c.name, stored.status)
		}
		s.do(t, "DELETE", fidPath, "")
	}
}

func TestOddFramings(t *testing.T) {
	s := newServer(t)
	const close = "Host: x\r\nConnection: close\r\n"
	for _, c := range []struct{ name, request, status, stored string }{
		{"no length", "PUT " + fidPath + " HTTP/1.1\r\n" + close + "\r\n", "HTTP/1.1 201", ""},
		{"no length, 1.0", "PUT " + fidPath + " HTTP/1.0\r\n\r\n", "HTTP/1.0 201", ""},
		{"length 0", "PUT " + fidPath + " HTTP/1.1\r\n" + close + "Content-Length: 0\r\n\r\n", "HTTP/1.1 201", ""},
		{"old Perl client", "PUT " + fidPath + " HTTP/1.0\r\nContent-length: 2\r\n\r\nhi", "HTTP/1.0 201", "hi"},
		{"absolute URI", "PUT http://x" + fidPath + " HTTP/1.1\r\n" + close + "Content-Length: 2\r\n\r\nhi", "HTTP/1.1 201", "hi"},
		{"bad length", "PUT " + fidPath + " HTTP/1.1\r\n" + close + "Content-Length: abc\r\n\r\n", "HTTP/1.1 400", "-"},
		{"negative length", "PUT " + fidPath + " HTTP/1.1\r\n" + close + "Content-Length: -1\r\n\r\n", "HTTP/1.1 400", "-"},
		{"overflowing length", "PUT " + fidPath + " HTTP/1.1\r\n" + close + "Content-Length: 99999999999999999999\r\n\r\n", "HTTP/1.1 400", "-"},
		{"more than any disk", "PUT " + fidPath + " HTTP/1.1\r\n" + close + "Content-Length: 9000000000000000000\r\n\r\n", "HTTP/1.1 507", "-"},
		{"broken chunk", "PUT " + fidPath + " HTTP/1.1\r\n" + close + "Transfer-Encoding: chunked\r\n\r\nzz\r\n", "HTTP/1.1 400", "-"},
	} {
		got := s.wire(t, c.request)
		if !strings.HasPrefix(got, c.status+" ") {
			t.Errorf("%s: got %q; want %s", c.name, got, c.status)
		}
		a := s.do(t, "GET", fidPath, "")
		if c.stored == "-" && a.status != 404 || c.stored != "-" && a.body != c.stored {
			t.Errorf("%s: stored is %d %q; want %q", c.name, a.status, a.body, c.stored)
		}
		s.do(t, "DELETE", fidPath, "")
	}
}

func TestExpectIsAnsweredBeforeTheBody(t *testing.T) {
	s := newServer(t)
	for _, framing := range []string{"Content-Length: 2\r\n", "Transfer-Encoding: chunked\r\n"} {
		conn := s.dial(t)
		fmt.Fprintf(conn, "PUT %s HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n%s\r\n", fidPath, framing)
		if line, err := bufio.NewReader(conn).ReadString('\n'); line != "HTTP/1.1 100 Continue\r\n" {
			t.Errorf("%s: got %q, %v; want 100", framing, line, err)
		}
	}
	// A body that is wrapped, as Caddy's are, keeps net/http from knowing that the
	// client waits.
	wrapped := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = struct{ io.ReadCloser }{r.Body}
		s.ServeHTTP(w, r)
	}))
	t.Cleanup(wrapped.Close)
	for _, addr := range []string{s.addr, wrapped.Listener.Addr().String()} {
		s.addr = addr
		for _, unsent := range []string{"Expect: 100-continue\r\nContent-Length: 2", "Content-Length: 300000"} {
			conn := s.dial(t)
			fmt.Fprintf(conn, "PUT /dev9/x HTTP/1.1\r\nHost: x\r\n%s\r\n\r\n", unsent)
			if line, err := bufio.NewReader(conn).ReadString('\n'); line != "HTTP/1.1 404 Not Found\r\n" {
				t.Errorf("missing device, %s: got %q, %v; want 404 at once", unsent, line, err)
			}
		}
	}
}

func TestKeepAliveOfHTTP10AndPipelining(t *testing.T) {
	s := newServer(t)
	const put = "PUT %s HTTP/1.0\r\nConnection: keep-alive\r\nContent-length: 2\r\n\r\n%s"
	const get = "GET %s HTTP/1.0\r\nConnection: %s\r\n\r\n"
	conn := s.dial(t)
	// All at once: pipelined PUTs, a wrong MD5 in between, then reads.
	fmt.Fprintf(conn, put, fidPath, "ab")
	fmt.Fprintf(conn, "PUT %s HTTP/1.1\r\nHost: x\r\nContent-MD5: %s\r\nContent-Length: 2\r\n\r\nzz", fidPath, md5Of("a"))
	fmt.Fprintf(conn, put, "/dev9/x", "zz")
	fmt.Fprintf(conn, put, "/dev2/y", "cd")
	fmt.Fprintf(conn, get, fidPath, "keep-alive")
	fmt.Fprintf(conn, get, "/dev2/y", "close")
	in := bufio.NewReader(conn)
	for i, want := range []struct {
		status int
		body   string
	}{{201, ""}, {400, "*"}, {404, "*"}, {201, ""}, {200, "ab"}, {200, "cd"}} {
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatalf("answer %d: %v", i, err)
		}
		b, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != want.status || want.body != "*" && string(b) != want.body {
			t.Errorf("answer %d: got %d %q, %v; want %v", i, resp.StatusCode, b, err, want)
		}
	}
	if _, err := in.ReadByte(); err != io.EOF {
		t.Errorf("at the end: got %v; want EOF", err)
	}
}

func TestEarlyDisconnectLeavesNothing(t *testing.T) {
	s := newServer(t)
	s.mustPut(t, fidPath, "old")
	for _, head := range []string{"Content-Length: 1000\r\n\r\nhalf", "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"} {
		conn := s.dial(t)
		fmt.Fprintf(conn, "PUT %s HTTP/1.1\r\nHost: x\r\n%s", fidPath, head)
		eventually(t, "the upload has begun", func() bool { return len(s.stored(t)) == 2 })
		// Half closed, so that the answer can still be read.
		conn.CloseWrite()
		if line, err := bufio.NewReader(conn).ReadString('\n'); !strings.HasPrefix(line, "HTTP/1.1 400 ") {
			t.Errorf("answer: got %q, %v; want 400", line, err)
		}
		eventually(t, "the temporary is gone", func() bool { return len(s.stored(t)) == 1 })
		if a := s.do(t, "GET", fidPath, ""); a.body != "old" {
			t.Errorf("target: got %q; want old", a.body)
		}
	}
}

func TestPutSetsATimeThatIsNotToCome(t *testing.T) {
	s := newServer(t)
	start := time.Now().Add(-time.Second)
	for value, kept := range map[string]bool{
		"Sun, 02 Feb 2020 03:04:05 GMT": true,
		"Sun, 02 Feb 2120 03:04:05 GMT": false,
		"Sun, 02 Feb 1920 03:04:05 GMT": false,
		"yesterday":                     false,
		"":                              false,
	} {
		s.do(t, "PUT", fidPath, "x", "Last-Modified: "+value)
		info, err := os.Stat(filepath.Join(s.root, fidPath))
		if err != nil {
			t.Fatal(err)
		}
		got := info.ModTime()
		if kept && got.UTC().Format(http.TimeFormat) != value || !kept && (got.Before(start) || got.After(time.Now().Add(time.Second))) {
			t.Errorf("Last-Modified %q: got %v", value, got)
		}
	}
}

func TestTroubleOfTheDiskIsToldAndStoresNothing(t *testing.T) {
	for _, c := range []struct {
		name   string
		open   disk.Opener
		status int
	}{
		{"full", full, 507},
		{"too little space", crowded, 507},
		{"sync fails", unsyncable, 503},
	} {
		config := storage.Config{Root: t.TempDir(), Devices: []mogile.DevID{1}}
		s := serverWith(t, config, c.open)
		a := s.do(t, "PUT", fidPath, strings.Repeat("x", 200))
		if a.status != c.status {
			t.Errorf("%s: got %d %s; want %d", c.name, a.status, a.body, c.status)
		}
		if strings.Contains(a.body, s.root) {
			t.Errorf("%s: the answer names a path: %s", c.name, a.body)
		}
		if got := s.stored(t); len(got) != 0 {
			t.Errorf("%s: stored %v; want nothing", c.name, got)
		}
	}
}

func TestFastNodesDoNotSync(t *testing.T) {
	config := storage.Config{Root: t.TempDir(), Devices: []mogile.DevID{1}, Fast: true}
	serverWith(t, config, unsyncable).mustPut(t, fidPath, "x")
}

func TestTooLargeABodyForTheServerIs413(t *testing.T) {
	s := newServer(t)
	r, err := http.NewRequest("PUT", fidPath, strings.NewReader("0123456789"))
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	r.Body = http.MaxBytesReader(w, r.Body, 5)
	s.ServeHTTP(w, r)
	if w.Code != 413 {
		t.Errorf("got %d; want 413", w.Code)
	}
}
