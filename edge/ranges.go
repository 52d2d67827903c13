package edge

import (
	"fmt"
	"math"
	"strings"
)

// span is a part of a file: n bytes from off.
type span struct{ off, n int64 }

func (s span) end() int64 { return s.off + s.n }

// contentRange is the header's value for the span of a file of that length.
func (s span) contentRange(length int64) string {
	return fmt.Sprintf("bytes %d-%d/%d", s.off, s.end()-1, length)
}

// maxRanges is how many parts an answer may have. Players and PDF readers ask for a
// few; each part may cost a request to a node.
const maxRanges = 16

// parseRange reads a Range header against a file's length. It returns no spans when
// the whole file is to be sent: the header is malformed, of another unit, asks for
// too many or overlapping parts, or the file is empty. It returns ok false when
// nothing of what was asked for exists (RFC 9110 §14.2: 416).
func parseRange(header string, length int64) (spans []span, ok bool) {
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
		if s.n == 0 {
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
func parseSpan(spec string, length int64) (s span, valid bool) {
	first, last, found := strings.Cut(spec, "-")
	if !found {
		return span{}, false
	}
	if first == "" {
		n, ok := parseDigits(last)
		n = min(n, length)
		return span{length - n, n}, ok
	}
	from, ok := parseDigits(first)
	to := length - 1
	if last != "" {
		n, isNumber := parseDigits(last)
		ok = ok && isNumber && n >= from
		to = min(n, to)
	}
	if from > to {
		return span{}, ok
	}
	return span{from, to - from + 1}, ok
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

func overlaps(spans []span, s span) bool {
	for _, o := range spans {
		if s.off < o.end() && o.off < s.end() {
			return true
		}
	}
	return false
}
