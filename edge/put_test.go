package edge_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/mogilefs/caddy-mogilefs/edge"
	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// toNodes makes uploads go to these, in order.
func (h *house) toNodes(nodes ...*node) {
	h.tracker.destinations = func(fid mogile.FID) (c []mogile.Copy) {
		for _, n := range nodes {
			c = append(c, n.copyOf(fid))
		}
		return c
	}
}

func (h *house) toDisks() {
	h.tracker.destinations = func(fid mogile.FID) []mogile.Copy { return []mogile.Copy{h.disks.copyOf(fid)} }
}

func md5Of(b []byte) string {
	sum := md5.Sum(b)
	return base64.StdEncoding.EncodeToString(sum[:])
}

// wantNothing expects that an upload left no trace but an abandoned fid.
func (h *house) wantNothing(key mogile.Key) {
	h.t.Helper()
	if loc, ok := h.tracker.location(key); ok {
		h.t.Errorf("got key %s at %+v; want none", key, loc)
	}
	if open, abandoned := h.tracker.count("open"), h.tracker.count("abandon"); open != abandoned {
		h.t.Errorf("got %d uploads opened and %d abandoned; want as many", open, abandoned)
	}
}

var uploadSizes = []int{0, 1, 64<<10 - 1, 64 << 10, 64<<10 + 1, 1 << 20}

func TestUploadIsStoredAndReadBack(t *testing.T) {
	for _, size := range uploadSizes {
		for _, chunked := range []bool{false, true} {
			for _, where := range []string{"remote", "local"} {
				t.Run(fmt.Sprintf("%d bytes, chunked=%t, %s", size, chunked, where), func(t *testing.T) {
					h := build(t)
					n := newNode(t, 1)
					h.toNodes(n)
					if where == "local" {
						h.toDisks()
					}
					content := noise(size)
					var body io.Reader = bytes.NewReader(content)
					known := int64(size)
					if chunked {
						body, known = io.MultiReader(body), -1 // hides the length
					}
					got := h.do(http.MethodPut, "a.jpg", body, "X-Class", "thumb")
					got.wantBody(t, http.StatusCreated, nil)
					got.wantHeader(t, "Etag", `"1"`)
					h.get("a.jpg").wantBody(t, http.StatusOK, content)

					if up := h.tracker.opened[0]; up != (edge.Upload{Domain: "images", Key: "a.jpg", Class: "thumb", Size: known}) {
						t.Errorf("opened: got %+v; want class thumb and size %d", up, known)
					}
					sum := md5.Sum(content)
					c := h.tracker.closed[0]
					if c.Size != int64(size) || c.Copies[0].Stored != (where == "local") || !c.Checksum.Equal(mogile.Checksum{Type: mogile.HashMD5, Sum: sum[:]}) {
						t.Errorf("closed: got %+v; want size %d, stored=%t and its MD5", c, size, where == "local")
					}
					if puts := n.requests("PUT"); where == "remote" {
						if puts[0].ContentLength != known {
							t.Errorf("got Content-Length %d at the node; want %d", puts[0].ContentLength, known)
						}
						if got := puts[0].Trailer.Get("Content-Md5"); chunked != (got == md5Of(content)) {
							t.Errorf("got trailer %q at the node; want the MD5 only behind a body of unknown length", got)
						}
					}
				})
			}
		}
	}
}

func TestChecksumIsTheClasses(t *testing.T) {
	h := build(t)
	h.toDisks()
	h.tracker.hash = mogile.HashSHA1
	content := noise(100)
	h.put("a", content, "Content-MD5", md5Of(content)).want(t, http.StatusCreated)
	sum := sha1.Sum(content)
	if got := h.tracker.closed[0].Checksum; !got.Equal(mogile.Checksum{Type: mogile.HashSHA1, Sum: sum[:]}) {
		t.Errorf("got %s; want the SHA-1", got)
	}
}

func TestChecksumIsLeftOutWhenItIsOff(t *testing.T) {
	h := build(t, func(c *edge.Config) { c.NoChecksum = true })
	h.toDisks()
	h.tracker.hash = mogile.HashSHA1
	content := noise(100)
	h.put("a", content).want(t, http.StatusCreated)
	if got := h.tracker.closed[0].Checksum; !got.IsZero() {
		t.Errorf("got %s; want none", got)
	}
	h.put("b", content, "Content-MD5", md5Of([]byte("other"))).want(t, http.StatusBadRequest)
}

func TestUploadIsRefusedBeforeItsBodyIsRead(t *testing.T) {
	h := build(t, func(c *edge.Config) { c.MaxUpload = 100 })
	h.toDisks()
	for _, c := range []struct {
		path   string
		header [2]string
		size   int
		status int
	}{
		{"", [2]string{}, 1, http.StatusBadRequest},
		{"a/%2e%2e/b", [2]string{}, 1, http.StatusBadRequest},
		{"%2e", [2]string{}, 1, http.StatusBadRequest},
		{strings.Repeat("x", 256), [2]string{}, 1, http.StatusBadRequest},
		{"a%00b", [2]string{}, 1, http.StatusBadRequest},
		{"a", [2]string{"Content-Range", "bytes 0-0/2"}, 1, http.StatusBadRequest},
		{"a", [2]string{"Content-MD5", "!"}, 1, http.StatusBadRequest},
		{"a", [2]string{"Content-MD5", "AAAA"}, 1, http.StatusBadRequest},
		{"a", [2]string{}, 101, http.StatusRequestEntityTooLarge},
		{"a", [2]string{"X-Domain", "nowhere"}, 1, http.StatusNotFound},
	} {
		headers := c.header[:]
		if c.header[0] == "" {
			headers = nil
		}
		h.put(c.path, noise(c.size), headers...).want(t, c.status)
	}
	if got := len(h.tracker.opened); got != 0 {
		t.Errorf("got %d uploads opened; want none", got)
	}
	h.put("a..b/...", noise(100)).want(t, http.StatusCreated)
}

// behind serves the house below a handler that changes requests, as Caddy's do.
func (h *house) behind(change func(http.ResponseWriter, *http.Request)) *httptest.Server {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		change(w, r)
		h.serve(w, r)
	}))
	h.t.Cleanup(srv.Close)
	return srv
}

// TestClientThatWaitsForContinueIsRefusedAtOnce has a body that is wrapped, which
// keeps net/http from knowing that the client waits.
func TestClientThatWaitsForContinueIsRefusedAtOnce(t *testing.T) {
	h := build(t, func(c *edge.Config) { c.MaxUpload = 100 })
	h.toDisks()
	srv := h.behind(func(_ http.ResponseWriter, r *http.Request) { r.Body = struct{ io.ReadCloser }{r.Body} })
	for _, c := range []struct {
		head string
		want string
	}{
		{"PUT /a%00b HTTP/1.1\r\nContent-Length: 5\r\n", "HTTP/1.1 400 Bad Request"},
		{"PUT /a HTTP/1.1\r\nContent-Length: 101\r\n", "HTTP/1.1 413 Request Entity Too Large"},
		{"PUT /a HTTP/1.1\r\nX-Domain: nowhere\r\nContent-Length: 5\r\n", "HTTP/1.1 404 Not Found"},
		{"PUT /a HTTP/1.1\r\nIf-Match: *\r\nTransfer-Encoding: chunked\r\n", "HTTP/1.1 412 Precondition Failed"},
		{"DELETE /a HTTP/1.1\r\nContent-Length: 5\r\n", "HTTP/1.1 404 Not Found"},
		{"PUT /a HTTP/1.1\r\nContent-Length: 5\r\n", "HTTP/1.1 100 Continue"},
	} {
		conn, err := net.Dial("tcp", srv.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		conn.SetDeadline(time.Now().Add(5 * time.Second)) // only ends a test that hangs
		fmt.Fprintf(conn, "%sHost: x\r\nExpect: 100-continue\r\n\r\n", c.head)
		in := bufio.NewReader(conn)
		if got, err := in.ReadString('\n'); strings.TrimSpace(got) != c.want {
			t.Errorf("%q: got %q, %v; want %s", c.head, got, err, c.want)
		}
		if strings.HasSuffix(c.want, "Continue") {
			fmt.Fprint(conn, "\r\nhello")
			h.wantStored(in)
		}
		conn.Close()
	}
}

// wantStored expects the answer to an upload, after which the connection goes on.
func (h *house) wantStored(in *bufio.Reader) {
	h.t.Helper()
	if _, err := in.ReadString('\n'); err != nil { // the blank line after the 100
		h.t.Fatal(err)
	}
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		h.t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusCreated || resp.Close {
		h.t.Errorf("got %d, close=%t; want 201 on a connection that goes on", resp.StatusCode, resp.Close)
	}
}

func TestLimitOfAnotherHandlerIs413Too(t *testing.T) {
	h := build(t)
	h.toDisks()
	h.srv = h.behind(func(w http.ResponseWriter, r *http.Request) { r.Body = http.MaxBytesReader(w, r.Body, 10) })
	h.do(http.MethodPut, "a", io.MultiReader(bytes.NewReader(noise(11)))).want(t, http.StatusRequestEntityTooLarge)
	h.wantNothing("a")
}

// lateReader gives its first byte after a time.
type lateReader struct {
	io.Reader
	after time.Duration
}

func (l *lateReader) Read(p []byte) (int, error) {
	<-time.After(l.after)
	l.after = 0
	return l.Reader.Read(p)
}

func TestClientThatIsSlowToBeginIsNotTheNodesFault(t *testing.T) {
	const idle = 20 * time.Millisecond
	h := build(t, func(c *edge.Config) { c.Timeouts.Idle = idle })
	n := newNode(t, 1)
	h.toNodes(n)
	content := noise(1000)
	h.do(http.MethodPut, "a", &lateReader{bytes.NewReader(content), 5 * idle}).want(t, http.StatusCreated)
	h.get("a").wantBody(t, http.StatusOK, content)
}

func TestUploadThatGrowsTooLargeIsNotStored(t *testing.T) {
	h := build(t, func(c *edge.Config) { c.MaxUpload = 100_000 })
	for name, to := range map[string]func(){"local": h.toDisks, "remote": func() { h.toNodes(newNode(t, 1)) }} {
		to()
		h.do(http.MethodPut, "a", io.MultiReader(bytes.NewReader(noise(100_001)))).want(t, http.StatusRequestEntityTooLarge)
		h.wantNothing("a")
		h.do(http.MethodPut, name, io.MultiReader(bytes.NewReader(noise(100_000)))).want(t, http.StatusCreated)
		h.tracker.mu.Lock()
		h.tracker.calls = map[string]int{}
		h.tracker.mu.Unlock()
	}
	if h.disks.aborted != 1 {
		t.Errorf("got %d local copies aborted; want 1", h.disks.aborted)
	}
}

func TestWrongMD5IsNotStored(t *testing.T) {
	for _, size := range []int{10, 1 << 20} {
		h := build(t)
		n := newNode(t, 1)
		for _, to := range []func(){h.toDisks, func() { h.toNodes(n) }} {
			to()
			h.put("a", noise(size), "Content-MD5", md5Of([]byte("other"))).want(t, http.StatusBadRequest)
			h.wantNothing("a")
		}
		if _, ok := n.stored(2); ok || h.disks.aborted != 1 {
			t.Errorf("%d bytes: got stored=%t at the node, %d local copies aborted; want false and 1", size, ok, h.disks.aborted)
		}
	}
}

func TestBodyThatEndsEarlyIsNotStored(t *testing.T) {
	for name, head := range map[string]string{
		"length":  "Content-Length: 200000\r\n\r\n" + string(noise(100_000)),
		"chunked": "Transfer-Encoding: chunked\r\n\r\n186a0\r\n" + string(noise(50_000)),
	} {
		for _, where := range []string{"local", "remote"} {
			t.Run(name+" "+where, func(t *testing.T) {
				h := build(t)
				n := newNode(t, 1)
				h.toNodes(n)
				if where == "local" {
					h.toDisks()
				}
				conn, err := net.Dial("tcp", h.srv.Listener.Addr().String())
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				if _, err := io.WriteString(conn, "PUT /a HTTP/1.1\r\nHost: x\r\n"+head); err != nil {
					t.Fatal(err)
				}
				if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
					t.Fatal(err)
				}
				resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
				if err != nil {
					t.Fatal(err)
				}
				resp.Body.Close()
				if resp.StatusCode != http.StatusBadRequest {
					t.Errorf("got %d; want 400", resp.StatusCode)
				}
				h.wantNothing("a")
				if _, ok := n.stored(1); ok {
					t.Error("got the file at the node; want none")
				}
				if _, err := h.disks.stored(1); err == nil {
					t.Error("got the file on disk; want none")
				}
			})
		}
	}
}

func TestUploadGoesToTheNextDestination(t *testing.T) {
	content := noise(30_000) // as small as most images: it can be sent again
	for name, f := range map[string]fault{
		"dies":          dieBeforeHeader,
		"is in trouble": answers(http.StatusInternalServerError),
		"is full":       answers(http.StatusInsufficientStorage),
		"stalls":        nil, // the node's own fault, below
		"dies late": func(_ http.ResponseWriter, r *http.Request, _ []byte) bool {
			_, _ = io.Copy(io.Discard, r.Body)
			panic(http.ErrAbortHandler)
		},
		"stalls late": func(_ http.ResponseWriter, r *http.Request, _ []byte) bool {
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
			return true
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := build(t)
			bad, good := newNode(t, 1), newNode(t, 2)
			if bad.breaks(f); f == nil {
				bad.breaks(bad.stall)
			}
			h.toNodes(bad, good)
			h.put("a", content).want(t, http.StatusCreated)
			h.get("a").wantBody(t, http.StatusOK, content)
			if c := h.tracker.closed[0]; c.Copies[0].Copy != good.copyOf(1) || len(h.tracker.abandoned) != 0 {
				t.Errorf("got closed at %+v, abandoned %v; want closed at the good node", c.Copies, h.tracker.abandoned)
			}
		})
	}
}

func TestLargeUploadGoesToTheNextDestinationWhenNothingWasRead(t *testing.T) {
	// No node is slow here, and five megabytes may take long.
	h := build(t, func(c *edge.Config) { c.Timeouts = edge.Timeouts{FirstByte: time.Minute, Idle: time.Minute} })
	gone, good := newNode(t, 1), newNode(t, 2)
	gone.srv.Close()
	h.disks.createErr = errors.New("unmounted")
	h.tracker.destinations = func(fid mogile.FID) []mogile.Copy {
		return []mogile.Copy{h.disks.copyOf(fid), good.copyOf(fid)}
	}
	content := noise(5 << 20)
	h.put("a", content).want(t, http.StatusCreated)
	h.get("a").wantBody(t, http.StatusOK, content)
	h.toNodes(gone, good)
	h.put("b", content).want(t, http.StatusCreated)
}

func TestUploadThatNoDeviceTakesIsAbandoned(t *testing.T) {
	content := noise(1 << 20) // too large to be sent again
	dies := func(_ http.ResponseWriter, r *http.Request, _ []byte) bool {
		_, _ = io.CopyN(io.Discard, r.Body, 500_000)
		panic(http.ErrAbortHandler)
	}
	full := fmt.Errorf("disk: %w", edge.ErrNoSpace)
	for name, c := range map[string]struct {
		arrange func(h *house, n *node)
		status  int
		reason  error
	}{
		"node dies":       {func(_ *house, n *node) { n.breaks(dies) }, http.StatusServiceUnavailable, edge.ErrNotStored},
		"node full":       {func(_ *house, n *node) { n.breaks(answers(507)) }, http.StatusInsufficientStorage, edge.ErrNoSpace},
		"disk full":       {func(h *house, _ *node) { h.toDisks(); h.disks.createErr = full }, http.StatusInsufficientStorage, edge.ErrNoSpace},
		"disk gets full":  {func(h *house, _ *node) { h.toDisks(); h.disks.writeErr = full }, http.StatusInsufficientStorage, edge.ErrNoSpace},
		"close fails":     {func(h *house, _ *node) { h.tracker.fail("close", errors.New("down")) }, http.StatusServiceUnavailable, edge.ErrUnavailable},
		"no destinations": {func(h *house, _ *node) { h.toNodes() }, http.StatusServiceUnavailable, edge.ErrNoDevices},
	} {
		t.Run(name, func(t *testing.T) {
			h := build(t)
			n := newNode(t, 1)
			h.toNodes(n)
			c.arrange(h, n)
			got := h.put("a", content)
			got.want(t, c.status)
			if !strings.Contains(string(got.body), c.reason.Error()) {
				t.Errorf("got %q; want %q", got.body, c.reason)
			}
			h.wantNothing("a")
		})
	}
}

func TestRefusalsOfTheTrackerHaveTheirStatus(t *testing.T) {
	h := build(t)
	h.toDisks()
	for _, c := range []struct {
		err    error
		status int
	}{
		{fmt.Errorf("class: %w", edge.ErrBadRequest), http.StatusBadRequest},
		{edge.ErrUnknownDomain, http.StatusNotFound},
		{edge.ErrNoDevices, http.StatusServiceUnavailable},
		{context.DeadlineExceeded, http.StatusServiceUnavailable},
	} {
		h.tracker.fail("open", c.err)
		h.put("a", noise(10)).want(t, c.status)
	}
}

func TestClientThatLeavesDuringAnUploadStillHasItAbandoned(t *testing.T) {
	h := build(t)
	h.toDisks()
	conn, err := net.Dial("tcp", h.srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "PUT /a HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n%s", noise(100_000))
	eventually(t, "an upload opened", func() bool { return h.tracker.count("open") == 1 })
	conn.Close()
	h.srv.Close()
	h.wantNothing("a")
}

func TestReadAfterUploadIsTheUpload(t *testing.T) {
	h := build(t)
	h.toDisks()
	h.get("a").want(t, http.StatusNotFound) // remembered as absent
	for i := range 20 {
		content := noise(1000 + i)
		h.put("a", content).want(t, http.StatusCreated)
		h.get("a").wantBody(t, http.StatusOK, content)
	}
	h.do(http.MethodDelete, "a", nil).wantBody(t, http.StatusNoContent, nil)
	h.get("a").want(t, http.StatusNotFound)
	h.do(http.MethodDelete, "a", nil).want(t, http.StatusNotFound)
}

func TestCloseThatFailedMayHaveHappened(t *testing.T) {
	h := build(t)
	n := newNode(t, 1)
	h.toNodes(n)
	h.put("a", []byte("old")).want(t, http.StatusCreated)
	h.get("a").wantBody(t, http.StatusOK, []byte("old"))
	h.tracker.fail("close", errors.New("answer lost"))
	h.put("a", []byte("new!")).want(t, http.StatusServiceUnavailable)
	h.tracker.set("a", mogile.Location{FID: 2, Length: 4, Copies: []mogile.Copy{n.copyOf(2)}})
	h.get("a").wantBody(t, http.StatusOK, []byte("new!"))
}

func TestWritesObeyTheirConditions(t *testing.T) {
	h := build(t)
	h.toDisks()
	h.put("a", noise(1), "If-Match", "*").want(t, http.StatusPreconditionFailed)
	h.put("a", noise(1), "If-None-Match", "*").want(t, http.StatusCreated)
	h.put("a", noise(2), "If-None-Match", "*").want(t, http.StatusPreconditionFailed)
	h.put("a", noise(2), "If-Match", `"9"`).want(t, http.StatusPreconditionFailed)
	h.put("a", noise(2), "If-Match", `"1"`).want(t, http.StatusCreated)
	h.do(http.MethodDelete, "a", nil, "If-Match", `"1"`).want(t, http.StatusPreconditionFailed)
	h.do(http.MethodDelete, "a", nil, "If-Match", `"2"`).want(t, http.StatusNoContent)
	h.tracker.fail("locate", errors.New("down"))
	h.put("a", noise(1), "If-None-Match", "*").want(t, http.StatusServiceUnavailable)
	if got := len(h.tracker.opened); got != 2 {
		t.Errorf("got %d uploads opened; want 2", got)
	}
}

func TestLargeUploadDoesNotGrowMemory(t *testing.T) {
	const length = 300 << 20
	h := build(t, func(c *edge.Config) { c.Timeouts = edge.Timeouts{} })
	n := newNode(t, 1)
	n.breaks(func(w http.ResponseWriter, r *http.Request, _ []byte) bool {
		got, err := io.Copy(io.Discard, r.Body)
		if err != nil || got != length {
			t.Errorf("got %d bytes at the node, %v; want %d", got, err, length)
		}
		w.WriteHeader(http.StatusCreated)
		return true
	})
	h.toNodes(n)
	before := allocated()
	h.do(http.MethodPut, "a", io.LimitReader(zeros{}, length)).want(t, http.StatusCreated)
	if grew := allocated() - before; grew > 4<<20 {
		t.Errorf("got %d bytes allocated for a file of %d; want next to none", grew, length)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

func TestAPostIsAnUpload(t *testing.T) {
	h := build(t, func(c *edge.Config) { c.MaxUpload = 100_000 })
	h.toDisks()
	content := noise(1000)
	post := func(body io.Reader, headers ...string) reply {
		return h.do(http.MethodPost, "a", body, headers...)
	}
	// As curl has it with --data-binary.
	got := post(bytes.NewReader(content), "Content-Type", "application/x-www-form-urlencoded", "Content-MD5", md5Of(content))
	got.want(t, http.StatusCreated)
	got.wantHeader(t, "Etag", `"1"`)
	h.get("a").wantBody(t, http.StatusOK, content)
	post(io.MultiReader(bytes.NewReader(content))).want(t, http.StatusCreated)
	post(bytes.NewReader(content), "If-None-Match", "*").want(t, http.StatusPreconditionFailed)
	post(bytes.NewReader(content), "Content-MD5", md5Of(nil)).want(t, http.StatusBadRequest)
	post(bytes.NewReader(noise(100_001))).want(t, http.StatusRequestEntityTooLarge)
	for _, form := range []string{"multipart/form-data; boundary=x", "Multipart/Form-Data"} {
		got := post(bytes.NewReader(content), "Content-Type", form)
		got.want(t, http.StatusUnsupportedMediaType)
		if !strings.Contains(string(got.body), "send the file itself") {
			t.Errorf("%s: got %q; want the way out", form, got.body)
		}
	}
	h.put("a", content, "Content-Type", "multipart/form-data; boundary=x").want(t, http.StatusCreated) // a file is a file
	if got := h.tracker.count("open"); got != 4 {
		t.Errorf("got %d uploads opened; want 4", got)
	}
}
