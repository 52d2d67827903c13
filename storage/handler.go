package storage

import (
	"errors"
	"io"
	"io/fs"
	"net/http"
	"strconv"
	"syscall"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/storage/disk"
)

// allowedMethods is for answers to methods nobody of MogileFS uses. The reference
// says 400 to them; 405 with Allow is what RFC 9110 asks for, and trackers accept it.
const allowedMethods = "GET, HEAD, PUT, DELETE"

// ServeHTTP answers one request. The query is ignored.
//
// A PUT with the header Last-Modified gives the file that time, unless it lies in the
// future: whoever copies a file from node to node passes it on, so that all copies
// say the same. Nodes of other make ignore it.
func (n *Node) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	refuseUnread(w, r)
	if n.ctx.Err() != nil {
		refuse(w, http.StatusServiceUnavailable, errClosed.Error())
		return
	}
	t := parsePath(r.URL.Path)
	if t.kind == pathTraversal {
		refuse(w, http.StatusForbidden, "Path must not contain ..")
		return
	}
	n.count(r.Method, t)
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		n.get(w, r, t)
	case http.MethodPut:
		n.put(w, r, t)
	case http.MethodDelete:
		n.delete(w, t)
	case "MKCOL":
		// Said on purpose: a tracker that gets this never asks again, and
		// directories come with PUT.
		refuse(w, http.StatusBadRequest, "Directories are made by PUT")
	default:
		w.Header().Set("Allow", allowedMethods)
		refuse(w, http.StatusMethodNotAllowed, "Method not allowed")
	}
}

// maxUnread is how much of a body that nobody wants net/http reads to save the connection.
const maxUnread = 256 << 10

// refuseUnread makes an answer that comes before the body was read end the connection,
// for a client that waits for 100 (Continue), and for a body so long that net/http would
// end it after having read a part. Otherwise net/http first reads what is left of the
// body, which such a client never sends when it is refused: it knows one, and the length,
// only as long as no handler above us wrapped the body, and Caddy wraps every body.
func refuseUnread(w http.ResponseWriter, r *http.Request) {
	if r.ProtoMajor == 1 && (r.Header.Get("Expect") != "" || r.ContentLength > maxUnread) {
		w.Header().Set("Connection", "close")
	}
}

// refuse answers with a text, or an error with none.
func refuse(w http.ResponseWriter, status int, text string) {
	if text != "" {
		text += "\n"
	}
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(status)
	io.WriteString(w, text)
}

// fail answers with the status an error of the disk stands for. What is not the
// client's doing, nor told by the usage file's absence, is logged.
func (n *Node) fail(w http.ResponseWriter, t target, err error) {
	status, text := statusOf(err)
	if status == http.StatusInternalServerError {
		n.log.Error("request failed", zap.Stringer("device", t.dev), zap.String("name", t.name), zap.Error(err))
	}
	if n.devices.seen(t.dev) {
		n.tally.Devices.At(t.dev).Failures.At(status).Add(1)
	}
	refuse(w, status, text)
}

// count counts a request, if it is about a device that there is.
func (n *Node) count(method string, t target) {
	if !n.devices.seen(t.dev) {
		return
	}
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPut, http.MethodDelete:
	default:
		method = "other"
	}
	n.tally.Devices.At(t.dev).Requests.At(method).Add(1)
}

// statusOf is the one table from errors of the disk to HTTP. Texts name no path of
// the system.
func statusOf(err error) (status int, text string) {
	switch {
	case errors.Is(err, disk.ErrNoDevice):
		return http.StatusNotFound, "Base directory does not exist"
	case errors.Is(err, disk.ErrNotMounted):
		return http.StatusServiceUnavailable, "Device is not mounted"
	case errors.Is(err, disk.ErrCutOff):
		return http.StatusServiceUnavailable, "Device is cut off"
	case errors.Is(err, disk.ErrReplaced):
		return http.StatusServiceUnavailable, "Device was replaced meanwhile"
	case errors.Is(err, disk.ErrUnwritable):
		return http.StatusServiceUnavailable, "Device takes no writes"
	case errors.Is(err, disk.ErrStalled), errors.Is(err, disk.ErrBusy):
		return http.StatusServiceUnavailable, "Device does not answer"
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return http.StatusServiceUnavailable, "Too many files are open"
	case errors.Is(err, disk.ErrNoSpace):
		return http.StatusInsufficientStorage, "No space on device"
	case errors.Is(err, disk.ErrLength):
		return http.StatusBadRequest, "Body has another length than announced"
	case errors.Is(err, disk.ErrIsDir):
		return http.StatusForbidden, "Is a directory"
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.ENAMETOOLONG):
		return http.StatusNotFound, "Not found"
	case errors.Is(err, fs.ErrPermission):
		return http.StatusForbidden, "Permission denied"
	}
	return http.StatusInternalServerError, "Disk trouble"
}
