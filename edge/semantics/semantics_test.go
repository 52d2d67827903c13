package semantics

import (
	"bytes"
	"math"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestConditionsAgreeWithServeContent holds Read, RangeHolds and ParseRange
// against net/http over generated headers. Where we differ on purpose is in expected.
func TestConditionsAgreeWithServeContent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const tag = `"42"`
		modified := time.Date(2026, 5, 6, 7, 8, 9, 500_000_000, time.UTC)
		length := rapid.SampledFrom([]int64{0, 1, 10, 1000}).Draw(t, "length")
		r := httptest.NewRequest(rapid.SampledFrom([]string{"GET", "HEAD"}).Draw(t, "method"), "/", nil)
		for _, h := range []struct {
			name   string
			values *rapid.Generator[string]
		}{
			{"If-Match", tagLists},
			{"If-None-Match", tagLists},
			{"If-Range", rapid.SampledFrom([]string{tag, `"1"`, `W/"42"`, `x`})},
			{"If-Modified-Since", dates},
			{"If-Unmodified-Since", dates},
			{"Range", rangeHeaders},
		} {
			if rapid.Bool().Draw(t, "has "+h.name) {
				r.Header.Set(h.name, h.values.Draw(t, h.name))
			}
		}
		if r.Method == "HEAD" {
			r.Header.Del("Range") // RFC 9110 §14.2: GET only; net/http answers HEAD with 206
		}
		w := httptest.NewRecorder()
		w.Header().Set("Etag", tag)
		w.Header().Set("Content-Type", "image/png")
		http.ServeContent(w, r, "", modified, bytes.NewReader(make([]byte, length)))

		got, part := ours(r, Current{ETag: tag, Modified: modified}, length)
		status, wantPart := expected(w)
		if got != status || part != wantPart {
			t.Errorf("%s %v of %d bytes: got %d %q; want %d %q", r.Method, r.Header, length, got, part, status, wantPart)
		}
	})
}

// ours is the status and Content-Range that the edge gives.
func ours(r *http.Request, c Current, length int64) (status int, part string) {
	switch Read(r.Header, c) {
	case NotModified:
		return http.StatusNotModified, ""
	case PreconditionFailed:
		return http.StatusPreconditionFailed, ""
	}
	asked := r.Header.Get("Range")
	if asked == "" || !RangeHolds(r.Header, c.ETag) {
		return http.StatusOK, ""
	}
	spans, ok := ParseRange(asked, length)
	switch {
	case !ok:
		return http.StatusRequestedRangeNotSatisfiable, "bytes */" + strconv.FormatInt(length, 10)
	case len(spans) == 0:
		return http.StatusOK, ""
	case len(spans) == 1:
		return http.StatusPartialContent, spans[0].ContentRange(length)
	}
	return http.StatusPartialContent, ""
}

// expected is what net/http answered, but for a malformed Range, to which it says 416
// without a Content-Range and we send the whole file, as RFC 9110 §14.2 permits; and
// for the last bytes of an empty file, which it says to end before they begin.
func expected(w *httptest.ResponseRecorder) (status int, part string) {
	part = w.Header().Get("Content-Range")
	if w.Code == http.StatusRequestedRangeNotSatisfiable && part == "" || part == "bytes 0--1/0" {
		return http.StatusOK, ""
	}
	return w.Code, part
}

var (
	tagLists = rapid.SampledFrom([]string{
		`"42"`, `W/"42"`, `*`, `"1"`, `"1", "42"`, `"1","2"`, `, "42"`, `"1" "42"`, `42`, `"42`, `W/42`, `W/`, `"4 2"`, `"1", x, "42"`,
	})
	dates = rapid.SampledFrom([]string{
		"Wed, 06 May 2026 07:08:09 GMT", "Wed, 06 May 2026 07:08:08 GMT", "Wed, 06 May 2026 07:08:10 GMT",
		"Wednesday, 06-May-26 07:08:09 GMT", "yesterday",
	})
	// Not here, because we differ: a suffix of 0 bytes, which net/http answers with an
	// empty part; overlapping parts, to which we send the whole file; what is malformed
	// and begins beyond the end, which for us is malformed first.
	rangeHeaders = rapid.OneOf(
		rapid.SampledFrom([]string{
			"bytes=0-", "bytes=-1", "bytes=-5000", "bytes=x", "bytes=", "bytes=,", "octets=0-1", "bytes", "bytes=--1",
			"bytes= 1-2 ,5-6", "bytes=0-0,-1", "bytes=2000-,0-0", "bytes=2000-,3000-", "bytes=0-0,x",
		}),
		rapid.Custom(func(t *rapid.T) string {
			from := rapid.IntRange(0, 1200).Draw(t, "from")
			return "bytes=" + strconv.Itoa(from) + "-" + strconv.Itoa(from+rapid.IntRange(0, 1200).Draw(t, "more"))
		}),
	)
)

func TestUnknownTimeOfModificationFailsNoCondition(t *testing.T) {
	for _, name := range []string{"If-Modified-Since", "If-Unmodified-Since"} {
		h := http.Header{name: {"Wed, 06 May 2026 07:08:09 GMT"}}
		if got := Read(h, Current{ETag: `"1"`}); got != Proceed {
			t.Errorf("%s: got %d; want %d", name, got, Proceed)
		}
	}
}

func TestConditionsReadAllLinesOfAHeader(t *testing.T) {
	h := http.Header{"If-None-Match": {`"1"`, `"2"`}}
	if got := Read(h, Current{ETag: `"2"`}); got != NotModified {
		t.Errorf("got %d; want %d", got, NotModified)
	}
}

func TestConditionsOfWrites(t *testing.T) {
	for _, c := range []struct {
		name, value, etag string
		want              Verdict
	}{
		{"If-Match", `*`, ``, PreconditionFailed},
		{"If-Match", `*`, `"1"`, Proceed},
		{"If-Match", `"1"`, `"1"`, Proceed},
		{"If-Match", `"1"`, `"2"`, PreconditionFailed},
		{"If-Match", `"1"`, ``, PreconditionFailed},
		{"If-None-Match", `*`, ``, Proceed},
		{"If-None-Match", `*`, `"1"`, PreconditionFailed},
		{"If-None-Match", `"1"`, `"2"`, Proceed},
		{"If-None-Match", `"1"`, ``, Proceed},
	} {
		if got := Write(http.Header{c.name: {c.value}}, Current{ETag: c.etag}); got != c.want {
			t.Errorf("%s: %s against %q: got %d; want %d", c.name, c.value, c.etag, got, c.want)
		}
	}
}

func TestNumbersBeyondAnyFileAreRead(t *testing.T) {
	const huge = "99999999999999999999999"
	spans, ok := ParseRange("bytes=5-"+huge, 10)
	if !ok || len(spans) != 1 || spans[0] != (Span{5, 5}) {
		t.Errorf("to %s: got %v, %t; want the last 5 of 10 bytes", huge, spans, ok)
	}
	if spans, ok = ParseRange("bytes="+huge+"-", 10); ok {
		t.Errorf("from %s: got %v; want it to be beyond the end", huge, spans)
	}
	if spans, ok = ParseRange("bytes=-"+huge, math.MaxInt64); !ok || spans[0] != (Span{0, math.MaxInt64}) {
		t.Errorf("last %s: got %v, %t; want the whole file", huge, spans, ok)
	}
}

func FuzzRange(f *testing.F) {
	for _, s := range []string{"bytes=0-1", "bytes=-1", "bytes=1-", "bytes=0-0,2-3", "bytes=9223372036854775807-", "bytes=a"} {
		f.Add(s, int64(10))
	}
	f.Fuzz(func(t *testing.T, header string, length int64) {
		if length < 0 {
			return
		}
		spans, ok := ParseRange(header, length)
		if !ok && len(spans) > 0 || len(spans) > maxRanges {
			t.Fatalf("%q of %d: got %d spans, %t", header, length, len(spans), ok)
		}
		for i, s := range spans {
			if s.Off < 0 || s.N < 1 || s.Off > length-s.N || overlaps(spans[:i], s) {
				t.Errorf("%q of %d: got span %+v of %+v; want it inside and apart from others", header, length, s, spans)
			}
		}
	})
}

func TestDatesAreThoseOfTheStandardLibrary(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.Int64Range(-1<<36, 1<<39).Draw(t, "seconds since 1970") // also years of one, three and five digits
		zone := time.FixedZone("", rapid.IntRange(-14, 14).Draw(t, "hours ahead")*3600)
		at := time.Unix(s, 0).In(zone)
		if got, want := string(AppendDate([]byte("x"), at)), "x"+at.UTC().Format(http.TimeFormat); got != want {
			t.Errorf("got %q; want %q", got, want)
		}
	})
}
