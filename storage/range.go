package storage

import (
	"math"
	"net/http"
	"strconv"
	"strings"
)

// span is a part of a file.
type span struct{ first, length int64 }

// String is the part as a Range header has it.
func (s span) String() string {
	return strconv.FormatInt(s.first, 10) + "-" + strconv.FormatInt(s.first+s.length-1, 10)
}

func (s span) contentRange(size int64) string {
	return "bytes " + s.String() + "/" + strconv.FormatInt(size, 10)
}

// maxRanges bounds the parts of one answer; who wants more gets the whole file.
const maxRanges = 16

// wantedRanges is what the request's Range means for the file. ranged is false when
// there is none that counts; no spans then means that none can be satisfied.
func wantedRanges(h http.Header, c *content) (spans []span, ranged bool) {
	v := h.Get("Range")
	if v == "" || !rangeApplies(h, c) {
		return nil, false
	}
	return parseRange(v, c.size)
}

// parseRange reads a Range header. ok is false when it must be ignored: another
// unit, bad grammar, the last byte before the first (RFC 9110 §14.1.1 calls that
// invalid; the reference answers 416), too many parts, or parts that together are
// more than the file.
func parseRange(v string, size int64) (spans []span, ok bool) {
	const unit = "bytes="
	if len(v) < len(unit) || !strings.EqualFold(v[:len(unit)], unit) {
		return nil, false
	}
	specs, total := 0, int64(0)
	for spec := range strings.SplitSeq(v[len(unit):], ",") {
		spec = strings.Trim(spec, " \t")
		if spec == "" {
			continue // a list may have empty elements
		}
		s, good := parseSpec(spec, size)
		specs++
		if !good || specs > maxRanges {
			return nil, false
		}
		if s.length > 0 {
			spans, total = append(spans, s), total+s.length
		}
	}
	return spans, specs > 0 && total <= size
}

// parseSpec reads first-last, first- or -length. A span of no bytes can't be
// satisfied.
func parseSpec(spec string, size int64) (s span, ok bool) {
	a, b, ok := strings.Cut(spec, "-")
	if !ok || a == "" && b == "" {
		return span{}, false
	}
	first, aok := parsePosition(a)
	last, bok := parsePosition(b)
	switch {
	case a != "" && !aok || b != "" && !bok:
		return span{}, false
	case a == "":
		length := min(last, size)
		return span{size - length, length}, true
	case b == "":
		last = size - 1
	case last < first:
		return span{}, false
	}
	return span{first, max(min(last, size-1)-first+1, 0)}, true
}

// parsePosition reads digits; what no file can be long enough for is the maximum.
func parsePosition(s string) (int64, bool) {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return math.MaxInt64 - 1, s != ""
	}
	return n, true
}
