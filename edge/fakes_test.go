package edge_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mogilefs/caddy-mogilefs/edge"
	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// fault is how a node misbehaves on a request. It reports whether it answered.
type fault func(w http.ResponseWriter, r *http.Request, content []byte) bool

// node is a storage node with one device, in memory. It counts what it is asked.
type node struct {
	dev mogile.DevID
	srv *httptest.Server
	end chan struct{} // closed before srv is

	mu       sync.Mutex // guards the rest
	files    map[string][]byte
	modified time.Time
	fault    fault
	asked    []*http.Request
}

func newNode(t testing.TB, dev mogile.DevID) *node {
	n := &node{dev: dev, end: make(chan struct{}), files: map[string][]byte{}, modified: time.Date(2026, 3, 1, 10, 0, int(dev), 0, time.UTC)}
	n.srv = httptest.NewServer(n)
	t.Cleanup(n.srv.Close)
	t.Cleanup(func() { close(n.end) })
	return n
}

func (n *node) url(fid mogile.FID) string { return n.srv.URL + fid.Path(n.dev) }

func (n *node) copyOf(fid mogile.FID) mogile.Copy { return mogile.Copy{Dev: n.dev, URL: n.url(fid)} }

func (n *node) put(fid mogile.FID, content []byte) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.files[fid.Path(n.dev)] = content
}

func (n *node) breaks(f fault) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.fault = f
}

func (n *node) stored(fid mogile.FID) ([]byte, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	b, ok := n.files[fid.Path(n.dev)]
	return b, ok
}

// requests are those of a method so far.
func (n *node) requests(method string) []*http.Request {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(n.asked), func(r *http.Request) bool { return r.Method != method })
}

func (n *node) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n.mu.Lock()
	n.asked = append(n.asked, r)
	content, ok := n.files[r.URL.Path]
	f, modified := n.fault, n.modified
	n.mu.Unlock()
	switch {
	case f != nil && f(w, r, content):
	case r.Method == http.MethodPut:
		n.take(w, r)
	case r.Method == http.MethodDelete && ok:
		n.mu.Lock()
		delete(n.files, r.URL.Path)
		n.mu.Unlock()
		w.WriteHeader(http.StatusNoContent)
	case !ok:
		w.WriteHeader(http.StatusNotFound)
	default:
		w.Header().Set("Content-Type", "application/octet-stream")
		http.ServeContent(w, r, "", modified, bytes.NewReader(content))
	}
}

// take is a node's PUT as it should be: nothing is stored unless all is right.
func (n *node) take(w http.ResponseWriter, r *http.Request) {
	content, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	sum := md5.Sum(content)
	for _, want := range []string{r.Header.Get("Content-Md5"), r.Trailer.Get("Content-Md5")} {
		if want != "" && want != base64.StdEncoding.EncodeToString(sum[:]) {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
	}
	n.mu.Lock()
	n.files[r.URL.Path] = content
	n.mu.Unlock()
	w.WriteHeader(http.StatusCreated)
}

func dieBeforeHeader(http.ResponseWriter, *http.Request, []byte) bool { panic(http.ErrAbortHandler) }

// stall does nothing at all. A server that reads no body does not see its client go,
// so this ends only with the test.
func (n *node) stall(http.ResponseWriter, *http.Request, []byte) bool {
	<-n.end
	return true
}

func answers(status int) fault {
	return func(w http.ResponseWriter, _ *http.Request, _ []byte) bool {
		w.WriteHeader(status)
		return true
	}
}

// dieAfter sends n bytes of what was asked for and drops the connection.
func dieAfter(n int) fault {
	return func(w http.ResponseWriter, r *http.Request, content []byte) bool {
		sendSome(w, r, content, n)
		panic(http.ErrAbortHandler)
	}
}

// stallAfter sends n bytes and then nothing until the client gives up.
func stallAfter(n int) fault {
	return func(w http.ResponseWriter, r *http.Request, content []byte) bool {
		sendSome(w, r, content, n)
		<-r.Context().Done()
		return true
	}
}

func sendSome(w http.ResponseWriter, r *http.Request, content []byte, n int) {
	if r.Method != http.MethodGet {
		return
	}
	http.ServeContent(&shortWriter{ResponseWriter: w, left: n}, r, "", time.Time{}, bytes.NewReader(content))
	_ = http.NewResponseController(w).Flush()
}

type shortWriter struct {
	http.ResponseWriter
	left int
}

func (s *shortWriter) Write(p []byte) (int, error) {
	n, err := s.ResponseWriter.Write(p[:min(len(p), s.left)])
	s.left -= n
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	return n, err
}

// longer sends a file that has more bytes than it should.
func longer(w http.ResponseWriter, r *http.Request, content []byte) bool {
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(append(slices.Clone(content), "more"...)))
	return true
}

// ignoreRange sends the whole file, whatever is asked.
func ignoreRange(w http.ResponseWriter, _ *http.Request, content []byte) bool {
	w.Header().Set("Content-Length", strconv.Itoa(len(content)))
	_, _ = w.Write(content)
	return true
}

// tracker is a tracker in memory.
type tracker struct {
	mu           sync.Mutex // guards the rest
	keys         map[mogile.Key]mogile.Location
	last         mogile.FID
	hash         mogile.HashType
	destinations func(fid mogile.FID) []mogile.Copy
	fault        map[string]error // by method
	onLocate     func()           // runs before a location is read
	calls        map[string]int
	opened       []edge.Upload
	closed       []edge.Closing
	abandoned    []mogile.FID
	tried        []mogile.Copy // of what was abandoned last
	copies       int           // how many it can record, by its word
	oneCopy      bool          // it records one, whatever was said
}

func newTracker() *tracker {
	return &tracker{keys: map[mogile.Key]mogile.Location{}, fault: map[string]error{}, calls: map[string]int{}}
}

// add gives a key a new content at the nodes and returns its fid.
func (k *tracker) add(key mogile.Key, content []byte, at ...*node) mogile.FID {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.last++
	loc := mogile.Location{FID: k.last, Length: int64(len(content))}
	for _, n := range at {
		n.put(k.last, content)
		loc.Copies = append(loc.Copies, n.copyOf(k.last))
	}
	k.keys[key] = loc
	return k.last
}

func (k *tracker) set(key mogile.Key, loc mogile.Location) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.keys[key] = loc
	k.last = max(k.last, loc.FID)
}

func (k *tracker) fail(method string, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.fault[method] = err
}

func (k *tracker) count(method string) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.calls[method]
}

func (k *tracker) location(key mogile.Key) (mogile.Location, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	loc, ok := k.keys[key]
	return loc, ok
}

func (k *tracker) beginLocked(method string, domain mogile.DomainName) error {
	k.calls[method]++
	if k.fault[method] == nil && domain != "images" {
		return fmt.Errorf("%s: domain %s: %w", method, domain, edge.ErrUnknownDomain)
	}
	return k.fault[method]
}

func (k *tracker) Locate(_ context.Context, domain mogile.DomainName, key mogile.Key) (mogile.Location, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.onLocate != nil {
		k.onLocate()
	}
	if err := k.beginLocked("locate", domain); err != nil {
		return mogile.Location{}, err
	}
	loc, ok := k.keys[key]
	if !ok {
		return mogile.Location{}, fmt.Errorf("locate %s: %w", key, edge.ErrUnknownKey)
	}
	return loc, nil
}

func (k *tracker) LocateFID(_ context.Context, domain mogile.DomainName, fid mogile.FID) (mogile.Location, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.beginLocked("locate fid", domain); err != nil {
		return mogile.Location{}, err
	}
	for _, loc := range k.keys {
		if loc.FID == fid {
			return loc, nil
		}
	}
	return mogile.Location{}, fmt.Errorf("locate fid %d: %w", fid, edge.ErrUnknownKey)
}

func (k *tracker) Open(_ context.Context, up edge.Upload) (edge.Opened, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.beginLocked("open", up.Domain); err != nil {
		return edge.Opened{}, err
	}
	k.opened = append(k.opened, up)
	k.last++
	return edge.Opened{FID: k.last, Hash: k.hash, Destinations: k.destinations(k.last), Copies: k.copies}, nil
}

func (k *tracker) Close(_ context.Context, c edge.Closing) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.beginLocked("close", c.Domain); err != nil {
		return err
	}
	if len(c.Copies) > 1 && k.oneCopy {
		return edge.ErrOneCopy
	}
	k.closed = append(k.closed, c)
	loc := mogile.Location{FID: c.FID, Length: c.Size, Checksum: c.Checksum}
	for _, at := range c.Copies {
		loc.Copies = append(loc.Copies, at.Copy)
	}
	k.keys[c.Key] = loc
	return nil
}

func (k *tracker) Abandon(ctx context.Context, domain mogile.DomainName, fid mogile.FID, tried ...mogile.Copy) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	at := k.destinations(fid)
	for _, c := range tried {
		if domain != "images" || !slices.Contains(at, c) {
			return fmt.Errorf("abandon fid %d of domain %s at %v: it was opened at %v", fid, domain, c, at)
		}
	}
	k.tried = tried
	k.calls["abandon"]++
	k.abandoned = append(k.abandoned, fid)
	return k.fault["abandon"]
}

func (k *tracker) Repair(context.Context, mogile.FID) error { return nil }

func (k *tracker) Delete(_ context.Context, domain mogile.DomainName, key mogile.Key) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.beginLocked("delete", domain); err != nil {
		return err
	}
	if _, ok := k.keys[key]; !ok {
		return fmt.Errorf("delete %s: %w", key, edge.ErrUnknownKey)
	}
	delete(k.keys, key)
	return nil
}

// disks are devices below a directory, at the address local.
type disks struct {
	root string

	mu                  sync.Mutex // guards the rest
	createErr, writeErr error
	aborted             int
	writesWait          <-chan struct{} // writes wait until it is closed; nil for none
}

const local = "http://127.0.0.1:1" // nobody listens there

func newDisks(t testing.TB) *disks { return &disks{root: t.TempDir()} }

func (d *disks) copyOf(fid mogile.FID) mogile.Copy {
	return mogile.Copy{Dev: 99, URL: local + fid.Path(99)}
}

func (d *disks) path(fid mogile.FID) string { return filepath.Join(d.root, fid.String()) }

func (d *disks) put(t testing.TB, fid mogile.FID, content []byte) {
	t.Helper()
	if err := os.WriteFile(d.path(fid), content, 0o644); err != nil {
		t.Fatal(err)
	}
}

func (d *disks) Local(c mogile.Copy) bool { return strings.HasPrefix(c.URL, local) }

func (d *disks) Open(_ mogile.Copy, fid mogile.FID) (*os.File, error) { return os.Open(d.path(fid)) }

func (d *disks) Create(_ mogile.Copy, fid mogile.FID, _ int64) (edge.NewCopy, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.createErr != nil {
		return nil, d.createErr
	}
	f, err := os.Create(d.path(fid) + ".tmp")
	if err != nil {
		return nil, err
	}
	return &newFile{File: f, disks: d, final: d.path(fid)}, nil
}

func (d *disks) stored(fid mogile.FID) ([]byte, error) { return os.ReadFile(d.path(fid)) }

type newFile struct {
	*os.File
	disks *disks
	final string
}

func (f *newFile) Write(p []byte) (int, error) {
	f.disks.mu.Lock()
	wait := f.disks.writesWait
	f.disks.mu.Unlock()
	if wait != nil {
		<-wait
	}
	f.disks.mu.Lock()
	defer f.disks.mu.Unlock()
	if f.disks.writeErr != nil {
		return 0, f.disks.writeErr
	}
	return f.File.Write(p)
}

func (f *newFile) Commit() error {
	return errors.Join(f.Close(), os.Rename(f.Name(), f.final))
}

func (f *newFile) Abort() {
	f.disks.mu.Lock()
	defer f.disks.mu.Unlock()
	f.disks.aborted++
	_ = errors.Join(f.Close(), os.Remove(f.Name()))
}
