package storage

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
)

// FileSender is an [http.ResponseWriter] that knows how the system sends a part of a
// file by itself. One that is none has ReadFrom used, where it can't know where the part
// ends.
type FileSender interface {
	// SendFile writes the next n bytes of f, which advances its position. It
	// stops early when the file ends.
	SendFile(f *os.File, n int64) (int64, error)
}

// errUnread is a file that can't be read, found before anything was sent.
var errUnread = errors.New("read file")

// send writes the header and a part of the file.
//
// A small file is read first, and written with its header: two calls of the system less
// than having the system send it, and an error of the disk still has a status.
func (g getting) send(w http.ResponseWriter, s span, status int) error {
	f := g.file
	if g.buf == nil {
		w.WriteHeader(status)
		err := sendLarge(w, f.Alone(), s, f.Size())
		if err == nil {
			g.sent.Add(s.length)
		}
		return err
	}
	part := g.buf[:s.length]
	if got, err := f.ReadAt(part, s.first); got < len(part) {
		return fmt.Errorf("%w: at %d of %d bytes: %w", errUnread, got, s.length, err)
	}
	w.WriteHeader(status)
	if _, err := w.Write(part); err != nil {
		return fmt.Errorf("send: %w", err)
	}
	g.sent.Add(s.length)
	return nil
}

// sendLarge has the system send a part of a file, without its bytes passing through us.
func sendLarge(w http.ResponseWriter, f *os.File, s span, size int64) error {
	if s.first > 0 {
		if _, err := f.Seek(s.first, io.SeekStart); err != nil {
			return fmt.Errorf("send: %w", err)
		}
	}
	sent, err := copyTo(w, f, s, size)
	if err == nil && sent < s.length {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return fmt.Errorf("send: at %d of %d bytes: %w", sent, s.length, err)
	}
	return nil
}

// copyTo writes the part at whose beginning f stands.
//
// Without a FileSender, a part that reaches to the end is handed on as the bare file:
// the kernel copies it (sendfile) also where a writer above puts a limit of its own
// around the reader; the standard library looks through one limit only.
func copyTo(w io.Writer, f *os.File, s span, size int64) (int64, error) {
	if fs, ok := w.(FileSender); ok {
		return fs.SendFile(f, s.length)
	}
	rf, ok := w.(io.ReaderFrom)
	switch {
	case !ok:
		return io.Copy(w, io.LimitReader(f, s.length))
	case s.first+s.length < size:
		return rf.ReadFrom(io.LimitReader(f, s.length))
	default:
		return rf.ReadFrom(f)
	}
}
