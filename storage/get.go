package storage

import (
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

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
		serveFile(w, r, f, newContent(t.name, info.Size(), info.ModTime()))
	}
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

func serveFile(w http.ResponseWriter, r *http.Request, f *os.File, c content) {
	h := w.Header()
	c.setHeader(h)
	if status := condition(r.Header, c); status != 0 {
		delete(h, "Content-Type")
		delete(h, "Content-Length")
		w.WriteHeader(status)
		return
	}
	if r.Method == http.MethodHead {
		w.WriteHeader(http.StatusOK)
		return
	}
	spans, ranged := wantedRanges(r.Header, c)
	switch {
	case !ranged:
		w.WriteHeader(http.StatusOK)
		send(w, f, span{0, c.size}, c.size)
	case len(spans) == 0:
		h.Set("Content-Range", "bytes */"+strconv.FormatInt(c.size, 10))
		h.Set("Content-Length", "0")
		delete(h, "Content-Type")
		w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
	case len(spans) == 1:
		h.Set("Content-Range", spans[0].contentRange(c.size))
		h.Set("Content-Length", strconv.FormatInt(spans[0].length, 10))
		w.WriteHeader(http.StatusPartialContent)
		send(w, f, spans[0], c.size)
	default:
		serveParts(w, f, spans)
	}
}

// serveParts lets the standard library write multipart/byteranges. Conditions are
// decided and the ranges known to be good, so that it sees nothing but those.
func serveParts(w http.ResponseWriter, f *os.File, spans []span) {
	list := make([]string, len(spans))
	for i, s := range spans {
		list[i] = s.String()
	}
	r := &http.Request{Method: http.MethodGet, Header: http.Header{"Range": {"bytes=" + strings.Join(list, ", ")}}}
	http.ServeContent(w, r, "", time.Time{}, f)
}

// send writes a part of the file after the header. An error is the client's going
// away, or a disk that fails under a response whose status is sent: either way the
// server sees fewer bytes than announced, and ends the connection.
//
// A part that reaches to the end is sent as the bare file: the kernel copies it
// (sendfile) also where a writer above puts a limit of its own around the reader;
// the standard library looks through one limit only.
func send(w http.ResponseWriter, f *os.File, s span, size int64) {
	if s.first > 0 {
		if _, err := f.Seek(s.first, io.SeekStart); err != nil {
			return
		}
	}
	var src io.Reader = f
	if s.first+s.length < size {
		src = io.LimitReader(f, s.length)
	}
	if rf, ok := w.(io.ReaderFrom); ok {
		rf.ReadFrom(src)
		return
	}
	io.CopyN(w, src, s.length)
}
