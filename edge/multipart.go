package edge

import (
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"strconv"
)

// multipart is the frame around several spans in one answer (RFC 9110 §14.6),
// computed before the header, which needs its length.
type multipart struct {
	boundary string
	spans    []span
	heads    []string // one before each span
	tail     string
}

func newMultipart(spans []span, contentType string, length int64) multipart {
	m := multipart{boundary: rand.Text(), spans: spans}
	newline := ""
	for _, s := range spans {
		m.heads = append(m.heads, fmt.Sprintf("%s--%s\r\nContent-Range: %s\r\nContent-Type: %s\r\n\r\n",
			newline, m.boundary, s.contentRange(length), contentType))
		newline = "\r\n"
	}
	m.tail = fmt.Sprintf("\r\n--%s--\r\n", m.boundary)
	return m
}

func (m multipart) contentType() string { return "multipart/byteranges; boundary=" + m.boundary }

func (m multipart) length() int64 {
	n := int64(len(m.tail))
	for i, s := range m.spans {
		n += int64(len(m.heads[i])) + s.n
	}
	return n
}

// sendParts sends several spans as one answer. src is open at the first.
func (t *sender) sendParts(w http.ResponseWriter, src io.ReadCloser, m multipart) error {
	h := w.Header()
	h.Set("Content-Type", m.contentType())
	h.Set("Content-Length", strconv.FormatInt(m.length(), 10))
	t.e.writeHeader(w, t.req, http.StatusPartialContent)
	for i, s := range m.spans {
		if err := frame(w, m.heads[i]); err != nil {
			if src != nil {
				src.Close()
			}
			return err
		}
		if err := t.send(w, src, s); err != nil {
			return err
		}
		src = nil
	}
	return frame(w, m.tail)
}

func frame(w io.Writer, text string) error {
	if _, err := io.WriteString(w, text); err != nil {
		return fmt.Errorf("%w: %w", errClient, err)
	}
	return nil
}
