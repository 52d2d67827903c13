package moving

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// oldNode is a mogstored: an address, a directory with those of its devices, and a server
// that comes and goes.
type oldNode struct {
	ip   string
	port int
	root string
	dev  mogile.DevID

	server *http.Server
}

func newOldNode(t *testing.T, ip string, port int, dev mogile.DevID) *oldNode {
	t.Helper()
	n := &oldNode{ip: ip, port: port, root: filepath.Join(t.TempDir(), "mogdata"), dev: dev}
	device := filepath.Join(n.root, "dev"+dev.String())
	if err := os.MkdirAll(device, 0o755); err != nil {
		t.Fatal(err)
	}
	usage := "available: 9000000\ndevice: /dev/sda1\ndisk: " + device + "\ntime: " + strconv.FormatInt(time.Now().Unix(), 10) +
		"\ntotal: 10000000\nuse: 10%\nused: 1000000\n"
	if err := os.WriteFile(filepath.Join(device, "usage"), []byte(usage), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.stop)
	n.start(t)
	return n
}

func (n *oldNode) addr() string { return net.JoinHostPort(n.ip, strconv.Itoa(n.port)) }

func (n *oldNode) base() string { return "http://" + n.addr() }

func (n *oldNode) start(t *testing.T) {
	t.Helper()
	ln, err := net.Listen("tcp", n.addr())
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: n}
	n.server = server
	go func() { _ = server.Serve(ln) }() // ends with stop
}

// stop ends it as its process ends: connections break.
func (n *oldNode) stop() {
	if n.server != nil {
		_ = n.server.Close()
		n.server = nil
	}
}

// file is where a path of a URL lies.
func (n *oldNode) file(path string) string { return filepath.Join(n.root, filepath.FromSlash(path)) }

// put stores a file without anybody being asked, as it came there long ago.
func (n *oldNode) put(t *testing.T, fid mogile.FID, content []byte) {
	t.Helper()
	path := n.file(fid.Path(n.dev))
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, content, 0o644)); err != nil {
		t.Fatal(err)
	}
}

// ServeHTTP implements http.Handler.
func (n *oldNode) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.Contains(r.URL.Path, "..") {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	path := n.file(r.URL.Path)
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		http.ServeFile(w, r, path)
	case "MKCOL":
		answer(w, os.MkdirAll(path, 0o755), http.StatusCreated)
	case http.MethodDelete:
		answer(w, os.Remove(path), http.StatusNoContent)
	case http.MethodPut:
		answer(w, receive(path, r.Body), http.StatusCreated)
	default:
		w.WriteHeader(http.StatusMethodNotAllowed)
	}
}

// receive writes a file under its name at once, as mogstored does.
func receive(path string, body io.Reader) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, body)
	return errors.Join(err, f.Close())
}

func answer(w http.ResponseWriter, err error, status int) {
	switch {
	case errors.Is(err, os.ErrNotExist):
		status = http.StatusNotFound
	case err != nil:
		status = http.StatusInternalServerError
	}
	w.WriteHeader(status)
}
