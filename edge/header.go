package edge

import (
	"net/http"
	"strconv"

	"github.com/mogilefs/caddy-mogilefs/cache"
	"github.com/mogilefs/caddy-mogilefs/edge/semantics"
	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// etag is exact: a fid's content never changes.
func etag(fid mogile.FID) string { return `"` + fid.String() + `"` }

// isConditional reports whether the ETag of the file matters to the request.
func isConditional(h http.Header) bool {
	for _, name := range [...]string{"If-None-Match", "If-Modified-Since", "Range", "If-Match", "If-Unmodified-Since"} {
		if len(h[name]) > 0 {
			return true
		}
	}
	return false
}

// fields is the values of an answer's header in one piece of memory; each Set would
// take one of its own.
type fields struct {
	values [6]string
	n      int
}

// set is Set for a name in canonical form.
func (f *fields) set(h http.Header, name, value string) {
	f.values[f.n] = value
	h[name] = f.values[f.n : f.n+1 : f.n+1]
	f.n++
}

// describe sets what every answer about a file carries, 304 among them.
func (e *Edge) describe(h http.Header, entry *cache.Entry) {
	f := new(fields)
	tag, modified, _ := texts(entry)
	e.describeBriefly(h, f, tag, modified)
}

func (e *Edge) describeBriefly(h http.Header, f *fields, tag, modified string) {
	f.set(h, "Etag", tag)
	if e.config.CacheControl != "" {
		f.set(h, "Cache-Control", e.config.CacheControl)
	}
	if modified != "" {
		f.set(h, "Last-Modified", modified)
	}
}

// describeWhole sets what an answer with the file itself carries.
func (e *Edge) describeWhole(h http.Header, entry *cache.Entry, key mogile.Key) {
	f := new(fields)
	tag, modified, length := texts(entry)
	e.describeBriefly(h, f, tag, modified)
	if _, set := h["Content-Type"]; !set { // by an application that answers through us
		f.set(h, "Content-Type", semantics.ContentType(key))
	}
	f.set(h, "Accept-Ranges", "bytes")
	f.set(h, "Content-Length", length)
}

// texts is the entry's ETag, time of modification (empty when it is not known), and
// length, as parts of one string.
func texts(entry *cache.Entry) (tag, modified, length string) {
	var buf [80]byte
	b := append(buf[:0], '"')
	b = strconv.AppendUint(b, uint64(entry.FID), 10)
	b = append(b, '"')
	tagEnd := len(b)
	if m := entry.Modified(); !m.IsZero() {
		b = semantics.AppendDate(b, m)
	}
	modifiedEnd := len(b)
	b = strconv.AppendInt(b, entry.Length, 10)
	all := string(b)
	return all[:tagEnd], all[tagEnd:modifiedEnd], all[modifiedEnd:]
}
