package edge

import (
	"fmt"
	"io"
	"net/http"
	"strconv"

	"github.com/mogilefs/caddy-mogilefs/edge/semantics"
)

// sendParts sends several spans as one answer. src is open at the first.
func (t *sender) sendParts(w http.ResponseWriter, src io.ReadCloser, m semantics.Multipart) error {
	h := w.Header()
	h.Set("Content-Type", m.ContentType())
	h.Set("Content-Length", strconv.FormatInt(m.Length(), 10))
	t.e.writeHeader(w, t.req, http.StatusPartialContent)
	for i, s := range m.Spans {
		if err := frame(w, m.Heads[i]); err != nil {
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
	return frame(w, m.Tail)
}

func frame(w io.Writer, text string) error {
	if _, err := io.WriteString(w, text); err != nil {
		return fmt.Errorf("%w: %w", errClient, err)
	}
	return nil
}
