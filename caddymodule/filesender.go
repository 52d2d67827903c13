package caddymodule

import (
	"errors"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/mogilefs/caddy-mogilefs/storage"
)

const (
	// sendLen is what one call sends at most: enough for the calls to cost nothing
	// beside the bytes. Caddy's writer takes 64 KiB.
	sendLen = 512 << 10
	// sniffLen is what net/http keeps of the first bytes until it has more: that it took
	// them does not mean that the client did.
	sniffLen = 512
)

// fileSender sends files by the system (sendfile), also a part of one, and more at once
// than Caddy's own writer, which wraps a limit of its own around each reader: the
// standard library looks through one limit only, and a part needs one already. The idle
// timeout is Caddy's; a client that took something within it is slow, not gone, and goes
// on where it is.
type fileSender struct {
	*caddyhttp.IdleTimeoutWriter
	to    http.ResponseWriter // for what is no file: the writer, or whole around it
	whole wholeWriter         // here, to be one piece of memory
}

// newFileSender returns w as one, or what [newWholeWriter] makes of it where that can't be:
// something is between the connection and us, such as the access log's counter; HTTP/2; a
// minimum rate, which the bytes would have to be counted for.
func newFileSender(w http.ResponseWriter, r *http.Request) http.ResponseWriter {
	idle, ok := w.(*caddyhttp.IdleTimeoutWriter)
	if !ok || r.ProtoMajor != 1 || r.TLS != nil || idle.Deadline.MinRate != 0 {
		return newWholeWriter(new(wholeWriter), w, r)
	}
	s := &fileSender{IdleTimeoutWriter: idle}
	s.to = newWholeWriter(&s.whole, idle, r)
	return s
}

// Write is for small files, which are sent with their header.
func (s *fileSender) Write(p []byte) (int, error) { return s.to.Write(p) }

// SendFile implements [storage.FileSender]. The header is not held back for it: the system
// would take twice as long for the pages of the file.
func (s *fileSender) SendFile(f *os.File, n int64) (sent int64, err error) {
	for sent < n {
		deadline := s.deadline(time.Now())
		if err := s.Ctrl.SetWriteDeadline(deadline); err != nil {
			return sent, err
		}
		want := min(sendLen, n-sent)
		got, err := s.ResponseWriterWrapper.ReadFrom(&io.LimitedReader{R: f, N: want})
		sent += got
		slow := errors.Is(err, os.ErrDeadlineExceeded) && got > sniffLen && !deadline.Equal(s.Deadline.HardDeadline)
		if err != nil && !slow || err == nil && got < want {
			return sent, err
		}
	}
	return sent, nil
}

// deadline is when the client must have taken what is sent from now on.
func (s *fileSender) deadline(now time.Time) time.Time {
	d := now.Add(s.Deadline.Timeout)
	if hard := s.Deadline.HardDeadline; !hard.IsZero() && hard.Before(d) {
		return hard
	}
	return d
}

var _ storage.FileSender = (*fileSender)(nil)
