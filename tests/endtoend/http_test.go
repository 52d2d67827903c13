package endtoend

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"io"
	"math/rand/v2"
	"mime"
	"mime/multipart"
	"net/http"
	"strconv"
	"testing"

	"github.com/mogilefs/caddy-mogilefs/tests/process"
)

// picture is a JPEG of some 30 KiB; the same seed gives the same picture.
func picture(t *testing.T, seed uint64) []byte {
	t.Helper()
	rnd := rand.New(rand.NewPCG(seed, 0))
	img := image.NewGray(image.Rect(0, 0, 192, 192))
	for y := range 192 {
		for x := range 192 {
			img.SetGray(x, y, color.Gray{Y: uint8(rnd.UintN(256))})
		}
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, &jpeg.Options{Quality: 75}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestAPictureComesBackAsItWas(t *testing.T) {
	c := process.NewCluster(t, process.ClusterOptions{})
	want := picture(t, 1)
	wantStatus(t, "PUT", c.Put("aqua.jpg", want), http.StatusCreated)

	got := c.Get("aqua.jpg")
	wantStatus(t, "GET", got, http.StatusOK)
	wantBody(t, "GET", got, want)
	wantHeader(t, got, "Content-Type", "image/jpeg")
	wantHeader(t, got, "Accept-Ranges", "bytes")
	wantHeader(t, got, "Content-Length", strconv.Itoa(len(want)))
	wantHeader(t, got, "Etag", fmt.Sprintf(`"%d"`, c.FID("aqua.jpg")))

	head := ask(t, c, http.MethodHead, "aqua.jpg", nil)
	wantStatus(t, "HEAD", head, http.StatusOK)
	wantBody(t, "HEAD", head, nil)
	for _, name := range []string{"Content-Type", "Content-Length", "Accept-Ranges", "Etag"} {
		wantHeader(t, head, name, got.Header.Get(name))
	}
	if img, err := jpeg.Decode(bytes.NewReader(got.Body)); err != nil || img.Bounds().Dx() != 192 {
		t.Errorf("decode the picture: %v", err)
	}
}

func TestFilesOfNoneAndOneByteAreFiles(t *testing.T) {
	c := process.NewCluster(t, process.ClusterOptions{})
	for _, body := range []string{"", "x"} {
		key := fmt.Sprintf("of %d bytes", len(body))
		wantStatus(t, "PUT "+key, c.Put(key, []byte(body)), http.StatusCreated)
		got := c.Get(key)
		wantStatus(t, "GET "+key, got, http.StatusOK)
		wantBody(t, "GET "+key, got, []byte(body))
		wantHeader(t, got, "Content-Length", strconv.Itoa(len(body)))
		for _, name := range c.AwaitCopies(c.FID(key), 2) {
			wantFile(t, name, []byte(body))
		}
	}
}

func TestRangesOfAFile(t *testing.T) {
	c := process.NewCluster(t, process.ClusterOptions{})
	wantStatus(t, "PUT", c.Put("digits", []byte("0123456789")), http.StatusCreated)
	for _, test := range []struct {
		ask    string
		status int
		body   string
		part   string // Content-Range
	}{
		{"bytes=5-9", 206, "56789", "bytes 5-9/10"},
		{"bytes=5-", 206, "56789", "bytes 5-9/10"},
		{"bytes=-5", 206, "56789", "bytes 5-9/10"},
		{"bytes=0-0", 206, "0", "bytes 0-0/10"},
		{"bytes=9-9", 206, "9", "bytes 9-9/10"},
		{"bytes=8-99", 206, "89", "bytes 8-9/10"},
		{"bytes=-99", 206, "0123456789", "bytes 0-9/10"},
		{"bytes=10-", 416, "", "bytes */10"},
		{"bytes=-0", 416, "", "bytes */10"},
		{"bytes=99-100", 416, "", "bytes */10"},
		{"bytes=5-2", 200, "0123456789", ""},
		{"bytes=abc", 200, "0123456789", ""},
		{"lines=1-2", 200, "0123456789", ""},
	} {
		got := ask(t, c, http.MethodGet, "digits", http.Header{"Range": {test.ask}})
		wantStatus(t, test.ask, got, test.status)
		if test.status != http.StatusRequestedRangeNotSatisfiable { // whose body is an error page
			wantBody(t, test.ask, got, []byte(test.body))
		}
		if part := got.Header.Get("Content-Range"); part != test.part {
			t.Errorf("Range %s: got Content-Range %q; want %q", test.ask, part, test.part)
		}
	}
}

func TestTwoRangesComeAsTwoParts(t *testing.T) {
	c := process.NewCluster(t, process.ClusterOptions{})
	wantStatus(t, "PUT", c.Put("digits", []byte("0123456789")), http.StatusCreated)
	got := ask(t, c, http.MethodGet, "digits", http.Header{"Range": {"bytes=0-0,9-9"}})
	wantStatus(t, "GET", got, http.StatusPartialContent)
	kind, params, err := mime.ParseMediaType(got.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/byteranges" {
		t.Fatalf("got Content-Type %q (%v); want multipart/byteranges", got.Header.Get("Content-Type"), err)
	}
	parts := multipart.NewReader(bytes.NewReader(got.Body), params["boundary"])
	for _, want := range []string{"0", "9"} {
		part, err := parts.NextPart()
		if err != nil {
			t.Fatalf("part %s: %v", want, err)
		}
		body, err := io.ReadAll(part)
		if err != nil || string(body) != want {
			t.Errorf("got part %q (%v); want %q", body, err, want)
		}
		if r := part.Header.Get("Content-Range"); r != fmt.Sprintf("bytes %s-%s/10", want, want) {
			t.Errorf("part %s: got Content-Range %q", want, r)
		}
	}
}

func TestConditionalReads(t *testing.T) {
	c := process.NewCluster(t, process.ClusterOptions{})
	wantStatus(t, "PUT", c.Put("digits", []byte("0123456789")), http.StatusCreated)
	etag := c.Get("digits").Header.Get("Etag")
	const (
		past   = "Mon, 02 Jan 2006 15:04:05 GMT"
		future = "Fri, 01 Jan 2100 00:00:00 GMT"
	)
	for _, test := range []struct {
		name   string
		header http.Header
		status int
		body   string
	}{
		{"what the client has", http.Header{"If-None-Match": {etag}}, 304, ""},
		{"one of several", http.Header{"If-None-Match": {`"1000000", W/` + etag}}, 304, ""},
		{"any", http.Header{"If-None-Match": {"*"}}, 304, ""},
		{"another content", http.Header{"If-None-Match": {`"1000000"`}}, 200, "0123456789"},
		{"unchanged since", http.Header{"If-Modified-Since": {future}}, 304, ""},
		{"changed since", http.Header{"If-Modified-Since": {past}}, 200, "0123456789"},
		{"the tag decides", http.Header{"If-None-Match": {`"1000000"`}, "If-Modified-Since": {future}}, 200, "0123456789"},
		{"no date", http.Header{"If-Modified-Since": {"yesterday"}}, 200, "0123456789"},
		{"only this content", http.Header{"If-Match": {`"1000000"`}}, 412, ""},
		{"resumed download", http.Header{"If-Range": {etag}, "Range": {"bytes=5-"}}, 206, "56789"},
		{"resumed, but changed", http.Header{"If-Range": {`"1000000"`}, "Range": {"bytes=5-"}}, 200, "0123456789"},
		{"no range when there is nothing new", http.Header{"If-None-Match": {etag}, "Range": {"bytes=5-"}}, 304, ""},
	} {
		got := ask(t, c, http.MethodGet, "digits", test.header)
		wantStatus(t, test.name, got, test.status)
		if test.status < http.StatusBadRequest { // whose body is an error page
			wantBody(t, test.name, got, []byte(test.body))
		}
		if test.status == http.StatusNotModified {
			wantHeader(t, got, "Etag", etag)
		}
	}
}

func TestAnOverwriteIsANewContentWithANewTag(t *testing.T) {
	c := process.NewCluster(t, process.ClusterOptions{})
	wantStatus(t, "first PUT", c.Put("a", []byte("first")), http.StatusCreated)
	first := c.Get("a")
	old := c.FID("a")
	wantStatus(t, "second PUT", c.Put("a", []byte("second")), http.StatusCreated)
	second := ask(t, c, http.MethodGet, "a", http.Header{"If-None-Match": {first.Header.Get("Etag")}})
	wantStatus(t, "GET after an overwrite", second, http.StatusOK)
	wantBody(t, "GET after an overwrite", second, []byte("second"))
	c.AwaitCopies(old, 0)
	c.AwaitCopies(c.FID("a"), 2)
}
