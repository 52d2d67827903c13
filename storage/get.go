package storage

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/storage/disk"
)

func (n *Node) get(w http.ResponseWriter, r *http.Request, t target) {
	switch t.kind {
	case pathRoot:
		// mogadm check wants 200 here.
		w.Header().Set("Content-Length", "0")
		w.WriteHeader(http.StatusOK)
	case pathFile, pathDir:
		n.getFile(w, r, t)
	default:
		refuse(w, http.StatusNotFound, "Not found")
	}
}

func (n *Node) getFile(w http.ResponseWriter, r *http.Request, t target) {
	d, err := n.devices.get(t.dev)
	if err != nil {
		n.fail(w, t, err)
		return
	}
	f, err := d.Open(t.name)
	if err != nil {
		n.fail(w, t, err)
		return
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		n.fail(w, t, err)
	case info.IsDir():
		n.fail(w, t, disk.ErrIsDir)
	case !info.Mode().IsRegular() || t.kind == pathDir:
		refuse(w, http.StatusNotFound, "Not found")
	default:
		if err := serveFile(w, r, f, newContent(t.name, info.Size(), info.ModTime())); err != nil {
			n.abort(t, err)
		}
	}
}

// abort ends a body that can't be finished, so that nobody takes the part for the
// whole, whatever protocol or encoding is above us. A disk's error is told to the
// operator: the client can't be, its status is sent.
func (n *Node) abort(t target, err error) {
	log := n.log.Debug
	if fromDisk(err) {
		log = n.log.Error
	}
	log("body cut short", zap.Stringer("device", t.dev), zap.String("name", t.name), zap.Error(err))
	panic(http.ErrAbortHandler)
}

// fromDisk tells a disk's error, or a file that shrank, from a client's going away.
func fromDisk(err error) bool {
	var path *fs.PathError
	return errors.As(err, &path) || errors.Is(err, syscall.EIO) || errors.Is(err, io.ErrUnexpectedEOF)
}

// content is what is said of a file before its bytes.
type content struct {
	mime     string
	size     int64
	modified time.Time
	etag     string
}

// newContent's ETag is of time and size, not of the fid: the rare path that is
// written twice must not keep its tag.
func newContent(name string, size int64, modified time.Time) content {
	c := content{mime: "application/octet-stream", size: size, modified: modified}
	if name == usageName {
		c.mime = "text/plain"
	}
	tag := make([]byte, 0, len(`"18d1f5c2a7b3e4f0-ffffffff"`))
	tag = strconv.AppendInt(append(tag, '"'), modified.UnixNano(), 16)
	tag = strconv.AppendInt(append(tag, '-'), size, 16)
	c.etag = string(append(tag, '"'))
	return c
}

// setHeader writes the headers of a whole file. They share one array, since this is
// done for each read of a file.
func (c content) setHeader(h http.Header) {
	v := []string{c.mime, c.modified.UTC().Format(http.TimeFormat), c.etag, "bytes", strconv.FormatInt(c.size, 10)}
	h["Content-Type"] = v[0:1:1]
	h["Last-Modified"] = v[1:2:2]
	h["Etag"] = v[2:3:3]
	h["Accept-Ranges"] = v[3:4:4]
	h["Content-Length"] = v[4:5:5]
}

// serveFile returns an error only when the header is sent and the body falls short.
func serveFile(w http.ResponseWriter, r *http.Request, f *os.File, c content) error {
	h := w.Header()
	c.setHeader(h)
	if status := condition(r.Header, c); status != 0 {
		delete(h, "Content-Type")
		delete(h, "Content-Length")
		w.WriteHeader(status)
		return nil
	}
	if r.Method == http.MethodHead {
		w.WriteHeader(http.StatusOK)
		return nil
	}
	spans, ranged := wantedRanges(r.Header, c)
	switch {
	case !ranged:
		w.WriteHeader(http.StatusOK)
		return send(w, f, span{0, c.size}, c.size)
	case len(spans) == 0:
		h.Set("Content-Range", "bytes */"+strconv.FormatInt(c.size, 10))
		h.Set("Content-Length", "0")
		delete(h, "Content-Type")
		w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
	case len(spans) == 1:
		h.Set("Content-Range", spans[0].contentRange(c.size))
		h.Set("Content-Length", strconv.FormatInt(spans[0].length, 10))
		w.WriteHeader(http.StatusPartialContent)
		return send(w, f, spans[0], c.size)
	default:
		serveParts(w, f, spans)
	}
	return nil
}

// serveParts lets the standard library write multipart/byteranges. Conditions are
// decided and the ranges known to be good, so that it sees nothing but those. When it
// fails, the server sees fewer bytes than announced, and ends the connection.
func serveParts(w http.ResponseWriter, f *os.File, spans []span) {
	list := make([]string, len(spans))
	for i, s := range spans {
		list[i] = s.String()
	}
	r := &http.Request{Method: http.MethodGet, Header: http.Header{"Range": {"bytes=" + strings.Join(list, ", ")}}}
	http.ServeContent(w, r, "", time.Time{}, f)
}

// send writes a part of the file after the header.
//
// A part that reaches to the end is sent as the bare file: the kernel copies it
// (sendfile) also where a writer above puts a limit of its own around the reader;
// the standard library looks through one limit only.
func send(w http.ResponseWriter, f *os.File, s span, size int64) error {
	if s.first > 0 {
		if _, err := f.Seek(s.first, io.SeekStart); err != nil {
			return fmt.Errorf("send: %w", err)
		}
	}
	var src io.Reader = f
	if s.first+s.length < size {
		src = io.LimitReader(f, s.length)
	}
	sent, err := copyTo(w, src, s.length)
	if err == nil && sent < s.length {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return fmt.Errorf("send: at %d of %d bytes: %w", sent, s.length, err)
	}
	return nil
}

func copyTo(w io.Writer, src io.Reader, length int64) (int64, error) {
	if rf, ok := w.(io.ReaderFrom); ok {
		return rf.ReadFrom(src)
	}
	return io.Copy(w, io.LimitReader(src, length))
}
