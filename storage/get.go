package storage

import (
	"errors"
	"io"
	"io/fs"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/storage/disk"
	"github.com/mogilefs/caddy-mogilefs/storage/openfiles"
	"github.com/mogilefs/caddy-mogilefs/tally"
)

func (n *Node) get(w http.ResponseWriter, r *http.Request, t target) {
	switch t.kind {
	case pathRoot:
		// mogadm check wants 200 here.
		w.Header().Set("Content-Length", "0")
		w.WriteHeader(http.StatusOK)
	case pathFile, pathDir:
		if t.name != usageName || !n.getUsage(w, r, t) {
			n.getFile(w, r, t)
		}
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
	g, err := n.begin(d.Device, t.name)
	if err != nil {
		n.fail(w, t, err)
		return
	}
	defer g.close()
	n.serve(w, r, t, g)
}

// serve answers with what the path turned out to be.
func (n *Node) serve(w http.ResponseWriter, r *http.Request, t target, g getting) {
	switch {
	case g.Mode().IsDir():
		n.fail(w, t, disk.ErrIsDir)
		return
	case !g.Mode().IsRegular() || t.kind == pathDir:
		refuse(w, http.StatusNotFound, "Not found")
		return
	}
	if !n.sayDigest(w, r, t, g) {
		return
	}
	g.sent = &n.tally.Devices.At(t.dev).Sent
	switch err := g.serve(w, r); {
	case errors.Is(err, errUnread):
		unsetHeader(w.Header())
		n.fail(w, t, err)
	case err != nil:
		n.abort(t, err)
	}
}

// getting is a file while it is sent.
type getting struct {
	*file
	// buf takes a small file; nil for one that the system sends by itself, as it is
	// large, or as too many buffers are with clients that take long.
	buf     *[largeLen]byte
	buffers *buffers
	// sent counts the bytes of answers that were sent whole.
	sent *tally.Counter
}

func (n *Node) begin(d *disk.Device, name string) (getting, error) {
	g := getting{buf: n.buffers.tryLarge(), buffers: &n.buffers}
	open := n.files.Open
	if g.buf == nil {
		open = n.files.OpenAlone
	}
	var err error
	g.file, err = open(d, name)
	if err != nil || g.Size() > openfiles.MaxShared {
		g.buffers.putLarge(g.buf)
		g.buf = nil
	}
	return g, err
}

func (g getting) close() {
	g.buffers.putLarge(g.buf)
	g.Release()
}

// abort ends a body that can't be finished, so that nobody takes the part for the
// whole, whatever protocol or encoding is above us. A disk's error is told to the
// operator: the client can't be, its status is sent.
func (n *Node) abort(t target, err error) {
	log := n.log.Debug
	if fromDisk(err) {
		log = n.log.Error
		if d, derr := n.devices.get(t.dev); derr == nil {
			d.Suspect(err)
		}
	}
	log("body cut short", zap.Stringer("device", t.dev), zap.String("name", t.name), zap.Error(err))
	panic(http.ErrAbortHandler)
}

// fromDisk tells a disk's error, or a file that shrank, from a client's going away.
func fromDisk(err error) bool {
	var path *fs.PathError
	return errors.As(err, &path) || errors.Is(err, syscall.EIO) || errors.Is(err, io.ErrUnexpectedEOF)
}

// content is what is said of a file before its bytes. It is made once for a file that
// is kept open.
type content struct {
	mime     string
	size     int64
	modified time.Time
	etag     string
	// The size and the time as headers have them.
	length, lastModified string
}

// file is an open file and what is said of it.
type file = openfiles.File[content]

// newContent's ETag is of time and size, not of the fid: the rare path that is
// written twice must not keep its tag.
func newContent(name string, size int64, modified time.Time) content {
	c := content{
		mime: "application/octet-stream", size: size, modified: modified,
		length: strconv.FormatInt(size, 10), lastModified: modified.UTC().Format(http.TimeFormat),
	}
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
// done for each read of a file. It is a new one each time, since handlers above us may
// write into it.
func (c *content) setHeader(h http.Header) {
	v := []string{c.mime, c.lastModified, c.etag, "bytes", c.length}
	h["Content-Type"] = v[0:1:1]
	h["Last-Modified"] = v[1:2:2]
	h["Etag"] = v[2:3:3]
	h["Accept-Ranges"] = v[3:4:4]
	h["Content-Length"] = v[4:5:5]
}

// unsetHeader takes back what was said of a file that can't be read.
func unsetHeader(h http.Header) {
	for _, name := range []string{"Last-Modified", "Etag", "Accept-Ranges", "Content-Range"} {
		delete(h, name)
	}
}

// serve returns errUnread when the file can't be read and nothing is sent, and
// another error when the header is sent and the body falls short.
func (g getting) serve(w http.ResponseWriter, r *http.Request) error {
	h, c := w.Header(), &g.About
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
		return g.send(w, span{0, c.size}, http.StatusOK)
	case len(spans) == 0:
		h.Set("Content-Range", "bytes */"+strconv.FormatInt(c.size, 10))
		h.Set("Content-Length", "0")
		delete(h, "Content-Type")
		w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
	case len(spans) == 1:
		h.Set("Content-Range", spans[0].contentRange(c.size))
		h.Set("Content-Length", strconv.FormatInt(spans[0].length, 10))
		return g.send(w, spans[0], http.StatusPartialContent)
	default:
		serveParts(w, g.file, spans)
		for _, s := range spans {
			g.sent.Add(s.length)
		}
	}
	return nil
}

// serveParts lets the standard library write multipart/byteranges. Conditions are
// decided and the ranges known to be good, so that it sees nothing but those. When it
// fails, the server sees fewer bytes than announced, and ends the connection.
func serveParts(w http.ResponseWriter, f *file, spans []span) {
	list := make([]string, len(spans))
	for i, s := range spans {
		list[i] = s.String()
	}
	r := &http.Request{Method: http.MethodGet, Header: http.Header{"Range": {"bytes=" + strings.Join(list, ", ")}}}
	http.ServeContent(w, r, "", time.Time{}, io.NewSectionReader(f, 0, f.Size()))
}
