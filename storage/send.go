package storage

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
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
		return g.sendLarge(w, s, status)
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

func (g getting) sendLarge(w http.ResponseWriter, s span, status int) (err error) {
	if file := g.Alone(); file != nil {
		w.WriteHeader(status)
		err = sendFile(w, file, s, g.Size())
	} else {
		err = g.sendRemote(w, s, status)
	}
	if err == nil {
		g.sent.Add(s.length)
	}
	return err
}

// sendRemote reads a part of a file piece by piece: the system would not come back from a
// file that hangs. That the first piece can't be read still has a status.
func (g getting) sendRemote(w http.ResponseWriter, s span, status int) error {
	buf := g.buffers.tryLarge()
	defer g.buffers.putLarge(buf)
	var room []byte
	if buf != nil {
		room = buf[:]
	} else {
		small := g.buffers.getSmall()
		defer g.buffers.putSmall(small)
		room = small[:]
	}
	for sent := int64(0); sent < s.length; {
		part := room[:min(int64(len(room)), s.length-sent)]
		got, err := g.ReadAt(part, s.first+sent)
		switch {
		case got < len(part) && sent == 0:
			return fmt.Errorf("%w: at %d of %d bytes: %w", errUnread, got, s.length, err)
		case got < len(part):
			return fmt.Errorf("send: at %d of %d bytes: %w", sent, s.length, &fs.PathError{Op: "read", Path: "file", Err: err})
		case sent == 0:
			w.WriteHeader(status)
		}
		if _, err := w.Write(part); err != nil {
			return fmt.Errorf("send: %w", err)
		}
		sent += int64(got)
	}
	return nil
}

// sendFile has the system send a part of a file, without its bytes passing through us.
func sendFile(w http.ResponseWriter, f *os.File, s span, size int64) error {
	if _, err := f.Seek(s.first, io.SeekStart); err != nil {
		return fmt.Errorf("send: %w", err)
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
	if sender, ok := w.(FileSender); ok {
		return sender.SendFile(f, s.length)
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
