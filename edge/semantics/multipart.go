package semantics

import (
	"crypto/rand"
	"fmt"
)

// Multipart is the frame around several spans in one answer (RFC 9110 §14.6),
// computed before the header, which needs its length.
type Multipart struct {
	boundary string
	Spans    []Span
	Heads    []string // one before each span
	Tail     string
}

// NewMultipart frames the spans of a file of that type and length.
func NewMultipart(spans []Span, contentType string, length int64) Multipart {
	m := Multipart{boundary: rand.Text(), Spans: spans}
	newline := ""
	for _, s := range spans {
		m.Heads = append(m.Heads, fmt.Sprintf("%s--%s\r\nContent-Range: %s\r\nContent-Type: %s\r\n\r\n",
			newline, m.boundary, s.ContentRange(length), contentType))
		newline = "\r\n"
	}
	m.Tail = fmt.Sprintf("\r\n--%s--\r\n", m.boundary)
	return m
}

// ContentType is the answer's.
func (m Multipart) ContentType() string { return "multipart/byteranges; boundary=" + m.boundary }

// Length is the answer's, frame included.
func (m Multipart) Length() int64 {
	n := int64(len(m.Tail))
	for i, s := range m.Spans {
		n += int64(len(m.Heads[i])) + s.N
	}
	return n
}
