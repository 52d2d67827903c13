package storage

import (
	"net/http"
	"strings"
	"time"
)

// condition evaluates what RFC 9110 §13.2.2 says comes before the content: 0 to go
// on, 304, or 412.
func condition(h http.Header, c *content) int {
	if match := h["If-Match"]; len(match) > 0 {
		if !matches(match, c.etag, false) {
			return http.StatusPreconditionFailed
		}
	} else if since, ok := date(h, "If-Unmodified-Since"); ok && c.seconds().After(since) {
		return http.StatusPreconditionFailed
	}
	if match := h["If-None-Match"]; len(match) > 0 {
		if matches(match, c.etag, true) {
			return http.StatusNotModified
		}
	} else if since, ok := date(h, "If-Modified-Since"); ok && !c.seconds().After(since) {
		return http.StatusNotModified
	}
	return 0
}

// matches looks for a tag in lists of tags. A weak tag counts only when weak is set.
// Ours have no comma, so that a tag which has one is another in any case.
func matches(lists []string, etag string, weak bool) bool {
	for _, list := range lists {
		for tag := range strings.SplitSeq(list, ",") {
			tag = strings.TrimSpace(tag)
			if weak {
				tag = strings.TrimPrefix(tag, "W/")
			}
			if tag == "*" || tag == etag {
				return true
			}
		}
	}
	return false
}

// rangeApplies evaluates If-Range: a Range for another state of the file is ignored.
func rangeApplies(h http.Header, c *content) bool {
	switch v := h.Get("If-Range"); {
	case v == "":
		return true
	case strings.HasPrefix(v, `"`):
		return v == c.etag
	default:
		t, err := http.ParseTime(v)
		return err == nil && t.Equal(c.seconds())
	}
}

// seconds is the time of the file as Last-Modified can say it.
func (c *content) seconds() time.Time { return c.modified.Truncate(time.Second) }

// date is a header's time; one that can't be read is as good as none.
func date(h http.Header, name string) (time.Time, bool) {
	v := h.Get(name)
	if v == "" {
		return time.Time{}, false
	}
	t, err := http.ParseTime(v)
	return t, err == nil
}
