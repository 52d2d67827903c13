package semantics

import (
	"net/http"
	"strings"
	"time"
)

// Current is the representation that conditions are held against.
type Current struct {
	// ETag is a strong entity tag, quotes included; empty when there is no file.
	ETag string
	// Modified is zero when it is not known.
	Modified time.Time
}

// Verdict is what the conditions of a request come to.
type Verdict int

// What it can be.
const (
	Proceed Verdict = iota
	NotModified
	PreconditionFailed
)

// NeedsModified reports whether the conditions of a read depend on the time of
// modification.
func NeedsModified(h http.Header) bool {
	return (h.Get("If-Unmodified-Since") != "" && h.Get("If-Match") == "") ||
		(h.Get("If-Modified-Since") != "" && h.Get("If-None-Match") == "")
}

// Read applies the conditions of a GET or HEAD in the order of RFC 9110
// §13.2.2. Of each pair the one on tags counts, and that on a date only without it.
func Read(h http.Header, c Current) Verdict {
	if !ifMatch(h, c) {
		return PreconditionFailed
	}
	if h.Get("If-Match") == "" {
		if since, ok := date(h, "If-Unmodified-Since"); ok && later(c.Modified, since) {
			return PreconditionFailed
		}
	}
	if !ifNoneMatch(h, c) {
		return NotModified
	}
	if h.Get("If-None-Match") == "" {
		if since, ok := date(h, "If-Modified-Since"); ok && !c.Modified.IsZero() && !later(c.Modified, since) {
			return NotModified
		}
	}
	return Proceed
}

// Write applies the conditions of a PUT or DELETE. Those on dates are not
// looked at: a key's time of modification is not known to the tracker.
func Write(h http.Header, c Current) Verdict {
	if !ifMatch(h, c) || !ifNoneMatch(h, c) {
		return PreconditionFailed
	}
	return Proceed
}

func ifMatch(h http.Header, c Current) bool {
	tags := list(h, "If-Match")
	return tags == "" || matches(tags, c.ETag, false)
}

func ifNoneMatch(h http.Header, c Current) bool {
	tags := list(h, "If-None-Match")
	return tags == "" || !matches(tags, c.ETag, true)
}

// RangeHolds reports whether the Range of a GET counts: there is no If-Range, or
// it names the present entity tag. A date never holds: two contents of a key can be
// of the same second, and then it is not the strong validator that RFC 9110 §13.1.5
// demands. The client gets the whole file, which is always right.
func RangeHolds(h http.Header, etag string) bool {
	cond := strings.TrimSpace(h.Get("If-Range"))
	return cond == "" || cond == etag
}

// matches looks for etag in a list of tags. "*" matches whatever there is. A list is
// read up to the first thing that is no tag.
func matches(tags, etag string, weak bool) bool {
	for {
		tags = strings.TrimLeft(tags, " \t,")
		if strings.HasPrefix(tags, "*") {
			return etag != ""
		}
		tag, rest, ok := cutTag(tags)
		if !ok {
			return false
		}
		if weak {
			tag = strings.TrimPrefix(tag, "W/")
		}
		if tag == etag {
			return true
		}
		tags = rest
	}
}

// cutTag takes the entity tag that s begins with (RFC 9110 §8.8.3).
func cutTag(s string) (tag, rest string, ok bool) {
	open := 0
	if strings.HasPrefix(s, "W/") {
		open = len("W/")
	}
	if open >= len(s) || s[open] != '"' {
		return "", "", false
	}
	for i := open + 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return s[:i+1], s[i+1:], true
		case c < 0x21 || c == 0x7f:
			return "", "", false
		}
	}
	return "", "", false
}

// list is a header's value over all of its lines.
func list(h http.Header, name string) string {
	if v := h.Values(name); len(v) != 1 {
		return strings.Join(v, ",")
	}
	return h.Get(name)
}

func date(h http.Header, name string) (time.Time, bool) {
	v := h.Get(name)
	if v == "" {
		return time.Time{}, false
	}
	t, err := http.ParseTime(v)
	return t, err == nil
}

// later compares whole seconds, all that HTTP dates have.
func later(modified, since time.Time) bool { return modified.Unix() > since.Unix() }
