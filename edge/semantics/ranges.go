package semantics

import (
	"fmt"
	"math"
	"strings"
)

// Span is a part of a file: N bytes from Off.
type Span struct{ Off, N int64 }

// End is where the file goes on.
func (s Span) End() int64 { return s.Off + s.N }

// ContentRange is the header's value for the span of a file of that length.
func (s Span) ContentRange(length int64) string {
	return fmt.Sprintf("bytes %d-%d/%d", s.Off, s.End()-1, length)
}

// maxRanges is how many parts an answer may have. Players and PDF readers ask for a
// few; each part may cost a request to a node.
const maxRanges = 16

// ParseRange reads a Range header against a file's length. It returns no spans when
// the whole file is to be sent: the header is malformed, of another unit, asks for
// too many or overlapping parts, or the file is empty. It returns ok false when
// nothing of what was asked for exists (RFC 9110 §14.2: 416).
func ParseRange(header string, length int64) (spans []Span, ok bool) {
	unit, set, found := strings.Cut(header, "=")
	if !found || !strings.EqualFold(strings.TrimSpace(unit), "bytes") || length == 0 {
		return nil, true
	}
	beyond := false
	for spec := range strings.SplitSeq(set, ",") {
		spec = strings.Trim(spec, " \t")
		if spec == "" {
			continue
		}
		s, valid := parseSpan(spec, length)
		if !valid || len(spans) == maxRanges {
			return nil, true
		}
		if s.N == 0 {
			beyond = true
			continue
		}
		if overlaps(spans, s) {
			return nil, true
		}
		spans = append(spans, s)
	}
	return spans, len(spans) > 0 || !beyond
}

// parseSpan reads a-b, a- or -n. A span that lies beyond the end has no bytes.
func parseSpan(spec string, length int64) (s Span, valid bool) {
	first, last, found := strings.Cut(spec, "-")
	if !found {
		return Span{}, false
	}
	if first == "" {
		n, ok := parseDigits(last)
		n = min(n, length)
		return Span{length - n, n}, ok
	}
	from, ok := parseDigits(first)
	to := length - 1
	if last != "" {
		n, isNumber := parseDigits(last)
		ok = ok && isNumber && n >= from
		to = min(n, to)
	}
	if from > to {
		return Span{}, ok
	}
	return Span{from, to - from + 1}, ok
}

// parseDigits reads decimal digits; a number too large for any file stays large.
func parseDigits(s string) (n int64, ok bool) {
	if s == "" {
		return 0, false
	}
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return 0, false
		}
		digit := int64(c - '0')
		if n > (math.MaxInt64-digit)/10 {
			n = math.MaxInt64
			continue
		}
		n = 10*n + digit
	}
	return n, true
}

func overlaps(spans []Span, s Span) bool {
	for _, o := range spans {
		if s.Off < o.End() && o.Off < s.End() {
			return true
		}
	}
	return false
}
