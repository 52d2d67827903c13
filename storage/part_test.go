package storage_test

import (
	"bufio"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/storage"
	"github.com/mogilefs/caddy-mogilefs/storage/disk"
)

func TestPartsAreWrittenInPlace(t *testing.T) {
	s := newServer(t)
	for _, c := range []struct {
		name, value, body string
		status            int
		want              string // of the file after it; "-" for none
	}{
		{"not a part", "bytes 0-1", "hi", 400, "-"},
		{"another unit", "lines 0-1/*", "hi", 400, "-"},
		{"last before first", "bytes 2-1/*", "", 400, "-"},
		{"negative", "bytes -1-1/*", "hi", 400, "-"},
		{"no such length", "bytes */6", "hi", 400, "-"},
		{"half a length", "bytes 0-1/x", "hi", 400, "-"},
		{"beyond all files", "bytes 9223372036854775806-9223372036854775806/*", "x", 400, "-"},
		{"beyond all numbers", "bytes 99999999999999999999-99999999999999999999/*", "x", 400, "-"},
		{"shorter than it says", "bytes 0-2/*", "hi", 400, "-"},
		{"longer than it says", "bytes 0-0/*", "hi", 400, "-"},
		{"a gap before it", "bytes 3-4/*", "lo", 201, "\x00\x00\x00lo"},
		{"the gap", "bytes 0-2/*", "hel", 201, "hello"},
		{"nothing is cut off", "Bytes 0-0/*", "H", 201, "Hello"},
		{"appended", "bytes 5-5/*", "!", 201, "Hello!"},
		{"a total makes it a whole file", "bytes 5-5/6", "?", 201, "?"},
	} {
		a := s.do(t, "PUT", fidPath, c.body, "Content-Range: "+c.value)
		if a.status != c.status {
			t.Errorf("%s: got %d %s; want %d", c.name, a.status, a.body, c.status)
		}
		got := s.do(t, "GET", fidPath, "")
		if c.want == "-" && got.status != 404 || c.want != "-" && got.body != c.want {
			t.Errorf("%s: the file is %d %q; want %q", c.name, got.status, got.body, c.want)
		}
	}
	if a := s.do(t, "PUT", fidPath, "x", "Content-Range: bytes 0-0/*", "Content-Range: bytes 1-1/*"); a.status != 400 {
		t.Errorf("two headers: got %d; want 400", a.status)
	}
}

func TestPartsKeepToTheDevice(t *testing.T) {
	s := newServer(t)
	s.mustPut(t, fidPath, "x")
	for path, status := range map[string]int{
		"/dev1/a/b/c":                   201,
		"/dev1/usage":                   403,
		"/dev1/../x":                    403,
		"/dev1/0/000":                   403,
		"/dev9/x":                       404,
		"/foo":                          400,
		"/dev1/.hidden":                 400,
		fidPath + "/x":                  404,
		"/dev1/a.c0123456789abcdef.tmp": 400,
	} {
		if a := s.do(t, "PUT", path, "y", "Content-Range: bytes 1-1/*"); a.status != status {
			t.Errorf("PUT of a part of %s: got %d %s; want %d", path, a.status, a.body, status)
		}
	}
	if got, want := s.stored(t), []string{fidPath, "/dev1/a/b/c"}; !slices.Equal(got, want) {
		t.Errorf("stored: got %v; want %v", got, want)
	}
}

func TestAPartThatIsCutShortOrWrongIsNotAcknowledged(t *testing.T) {
	s := newServer(t)
	s.mustPut(t, fidPath, "0123456789")
	const head = "PUT " + fidPath + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Range: bytes 2-4/*\r\n"
	for name, request := range map[string]string{
		"chunked":      head + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
		"no length":    head + "\r\n",
		"wrong MD5":    head + "Content-Length: 3\r\nContent-MD5: " + md5Of("other") + "\r\n\r\nabc",
		"no MD5":       head + "Content-Length: 3\r\nContent-MD5: !\r\n\r\nabc",
		"other length": head + "Content-Length: 4\r\n\r\nabcd",
	} {
		if got := s.wire(t, request); !strings.HasPrefix(got, "HTTP/1.1 400 ") {
			t.Errorf("%s: got %q; want 400", name, got)
		}
	}
	conn := s.dial(t)
	fmt.Fprint(conn, head+"Content-Length: 3\r\n\r\na")
	conn.CloseWrite()
	if line, err := bufio.NewReader(conn).ReadString('\n'); !strings.HasPrefix(line, "HTTP/1.1 400 ") {
		t.Errorf("cut short: got %q, %v; want 400", line, err)
	}
	// A part may have been written before it was refused, but nothing beside it.
	if got := s.do(t, "GET", fidPath, "").body; len(got) != 10 || got[:2] != "01" || got[5:] != "56789" {
		t.Errorf("got %q; want everything but the part as it was", got)
	}
	if a := s.do(t, "PUT", fidPath, "abc", "Content-Range: bytes 2-4/*", "Content-MD5: "+md5Of("abc")); a.status != 201 {
		t.Errorf("right MD5: got %d %s; want 201", a.status, a.body)
	}
	if got := s.do(t, "GET", fidPath, "").body; got != "01abc56789" {
		t.Errorf("got %q; want the part in its place", got)
	}
}

func TestPartsComeAtOnce(t *testing.T) {
	s := newServer(t)
	const parts, length = 16, 100_000
	var wg sync.WaitGroup
	for i := range parts {
		wg.Go(func() {
			body := strings.Repeat(string(rune('a'+i)), length)
			first := i * length
			a := s.do(t, "PUT", fidPath, body, "Content-Range: bytes "+strconv.Itoa(first)+"-"+strconv.Itoa(first+length-1)+"/*")
			if a.status != 201 {
				t.Errorf("part %d: got %d %s; want 201", i, a.status, a.body)
			}
		})
	}
	wg.Wait()
	got := s.do(t, "GET", fidPath, "").body
	if len(got) != parts*length {
		t.Fatalf("got %d bytes; want %d", len(got), parts*length)
	}
	for i := range parts {
		if part := got[i*length : (i+1)*length]; strings.Trim(part, string(rune('a'+i))) != "" {
			t.Errorf("part %d has bytes of another", i)
		}
	}
}

func TestTroubleOfTheDiskWithAPartIsTold(t *testing.T) {
	for _, c := range []struct {
		name   string
		open   disk.Opener
		status int
	}{{"full", full, 507}, {"sync fails", unsyncable, 503}} {
		config := storage.Config{Root: t.TempDir(), Devices: []mogile.DevID{1}}
		s := serverWith(t, config, c.open)
		if a := s.do(t, "PUT", fidPath, "x", "Content-Range: bytes 0-0/*"); a.status != c.status {
			t.Errorf("%s: got %d %s; want %d", c.name, a.status, a.body, c.status)
		}
	}
}

func (b broken) OpenAt(site disk.Site, name string, offset int64) (disk.File, error) {
	f, err := b.FS.OpenAt(site, name, offset)
	return brokenFile{f, b}, err
}

func FuzzContentRange(f *testing.F) {
	for _, v := range []string{"bytes 0-1/*", "bytes 5-5/6", "bytes */6", "bytes 2-1/*", "bytes  1-2/*", "bytes 0-9223372036854775806/*"} {
		f.Add(v)
	}
	f.Fuzz(func(t *testing.T, v string) {
		first, length, part, err := storage.ParseContentRange(http.Header{"Content-Range": {v}})
		switch {
		case err != nil && part:
			t.Errorf("%q: got a part and %v; want one of them", v, err)
		case part && (first < 0 || length < 1 || first > math.MaxInt64-length):
			t.Errorf("%q: got %d bytes at %d; want a part that a file can have", v, length, first)
		case part:
			again := fmt.Sprintf("bytes %d-%d/*", first, first+length-1)
			if f, l, p, err := storage.ParseContentRange(http.Header{"Content-Range": {again}}); f != first || l != length || !p || err != nil {
				t.Errorf("%q: written again as %q it is %d, %d, %v, %v", v, again, f, l, p, err)
			}
		}
	})
}
