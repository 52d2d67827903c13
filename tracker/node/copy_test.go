package node_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/node"
)

// cutOff promises more than it sends.
func cutOff(method, content string, promised int) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == method {
			w.Header().Set("Content-Length", fmt.Sprint(promised))
			_, _ = io.WriteString(w, content)
		}
		return r.Method == method
	}
}

func TestCopyStreamsAndDigests(t *testing.T) {
	for _, content := range []string{"", "hello", strings.Repeat("0123456789abcdef", 1<<16)} {
		from, to, c := newNode(t), newNode(t), newClient(t, node.Config{})
		from.put(path, content)
		sum, err := c.Copy(t.Context(), node.CopyArgs{
			From: from.URL + path, To: to.URL + path, Length: int64(len(content)), Hash: md5Type,
		})
		if err != nil || !sum.Equal(md5Of(content)) {
			t.Errorf("%d bytes: got %v, %v; want %v", len(content), sum, err, md5Of(content))
		}
		if got, _ := to.file(path); got != content {
			t.Errorf("%d bytes: destination got %d bytes; want the same", len(content), len(got))
		}
		if r := to.lastRequest(); r.ContentLength != int64(len(content)) || len(r.TransferEncoding) != 0 {
			t.Errorf("%d bytes: sent with length %d, encoding %v; want the length", len(content), r.ContentLength, r.TransferEncoding)
		}
	}
}

func TestCopySendsWhatIsKnownAhead(t *testing.T) {
	const modified = "Sun, 22 Nov 2026 10:00:00 GMT"
	from, to, c := newNode(t), newNode(t), newClient(t, node.Config{})
	from.put(path, "hello")
	from.answers(func(w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set("Last-Modified", modified)
		return false
	})
	_, err := c.Copy(t.Context(), node.CopyArgs{From: from.URL + path, To: to.URL + path, Length: 5, Want: md5Of("hello")})
	if err != nil {
		t.Fatal(err)
	}
	sent := to.lastRequest().Header
	if got, want := sent.Get("Content-MD5"), base64.StdEncoding.EncodeToString(md5Of("hello").Sum); got != want {
		t.Errorf("got Content-MD5 %q; want %q", got, want)
	}
	if got := sent.Get("Last-Modified"); got != modified {
		t.Errorf("got Last-Modified %q; want %q", got, modified)
	}
	if _, there := sent["Idempotency-Key"]; there {
		t.Error("got an Idempotency-Key on the wire; want none")
	}
}

func TestCopyWithoutAlgorithmHasNoDigest(t *testing.T) {
	from, to, c := newNode(t), newNode(t), newClient(t, node.Config{})
	from.put(path, "hello")
	sum, err := c.Copy(t.Context(), node.CopyArgs{From: from.URL + path, To: to.URL + path, Length: 5})
	if !sum.IsZero() || err != nil {
		t.Errorf("got %v, %v; want none", sum, err)
	}
}

func TestCopySaysWhoseFaultItIs(t *testing.T) {
	big := strings.Repeat("x", 8<<20) // more than the sockets hold
	earlyRefusal := func(w http.ResponseWriter, r *http.Request) bool {
		w.Header().Set("Connection", "close")
		w.WriteHeader(http.StatusInsufficientStorage)
		return true
	}
	for name, c := range map[string]struct {
		content  string
		length   int64
		want     mogile.Checksum
		from, to func(http.ResponseWriter, *http.Request) bool
		fault    error
		leftover bool
	}{
		"source has none":         {content: "", length: 5, fault: node.ErrSource},
		"source is too short":     {content: "hell", length: 5, fault: node.ErrSource},
		"source is too long":      {content: "hello!", length: 5, fault: node.ErrSource},
		"source refuses":          {length: 5, from: status(500), fault: node.ErrSource},
		"source stalls":           {length: 5, from: stalls(http.MethodGet), fault: node.ErrSource},
		"source breaks off":       {length: 100, from: cutOff(http.MethodGet, "hello", 100), fault: node.ErrSource, leftover: true},
		"source stalls midway":    {length: 100, from: stallsMidway("hello", 100), fault: node.ErrSource, leftover: true},
		"source is corrupt":       {content: "hellO", length: 5, want: md5Of("hello"), fault: node.ErrSource, leftover: true},
		"corrupt and refused":     {content: "hellO", length: 5, want: md5Of("hello"), to: reads(400), fault: node.ErrSource, leftover: true},
		"destination refuses":     {content: "hello", length: 5, to: reads(507), fault: node.ErrDestination, leftover: true},
		"destination redirects":   {content: "hello", length: 5, to: reads(307), fault: node.ErrDestination, leftover: true},
		"destination stalls":      {content: "hello", length: 5, to: stalls(http.MethodPut), fault: node.ErrDestination, leftover: true},
		"destination never reads": {content: big, length: 8 << 20, to: never, fault: node.ErrDestination, leftover: true},
		"destination hangs up":    {content: big, length: 8 << 20, to: earlyRefusal, fault: node.ErrDestination, leftover: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			from, to := newNode(t), newNode(t)
			client := newClient(t, node.Config{CopyTimeout: 4 * soon})
			if c.content != "" {
				from.put(path, c.content)
			}
			from.answers(c.from)
			to.answers(c.to)
			_, err := client.Copy(t.Context(), node.CopyArgs{From: from.URL + path, To: to.URL + path, Length: c.length, Want: c.want})
			other := map[error]error{node.ErrSource: node.ErrDestination, node.ErrDestination: node.ErrSource}[c.fault]
			if !errors.Is(err, c.fault) || errors.Is(err, other) {
				t.Errorf("got error %v; want %v", err, c.fault)
			}
			if got := errors.Is(err, node.ErrLeftover); got != c.leftover {
				t.Errorf("got error %v, leftover %v; want %v", err, got, c.leftover)
			}
		})
	}
}

func status(code int) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(code)
		return true
	}
}

// reads takes the body and refuses it.
func reads(code int) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(code)
		return true
	}
}

func never(_ http.ResponseWriter, r *http.Request) bool {
	// The server notices a client that is gone only while it reads.
	<-after(20 * soon)
	return true
}

func stallsMidway(content string, promised int) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		w.Header().Set("Content-Length", fmt.Sprint(promised))
		_, _ = io.WriteString(w, content)
		w.(http.Flusher).Flush()
		<-r.Context().Done()
		return true
	}
}

func TestCopyToNobodyLeavesNothing(t *testing.T) {
	from, c := newNode(t), newClient(t, node.Config{})
	from.put(path, "hello")
	to := fmt.Sprintf("http://127.0.0.1:%d%s", closedPort(t), path)
	_, err := c.Copy(t.Context(), node.CopyArgs{From: from.URL + path, To: to, Length: 5})
	if !errors.Is(err, node.ErrDestination) || errors.Is(err, node.ErrLeftover) {
		t.Errorf("got error %v; want %v without %v", err, node.ErrDestination, node.ErrLeftover)
	}
	_, err = c.Copy(t.Context(), node.CopyArgs{From: from.URL + path, To: "http://bad host/", Length: 5})
	if !errors.Is(err, node.ErrDestination) {
		t.Errorf("not a URL: got error %v; want %v", err, node.ErrDestination)
	}
}

func TestCopyThatIsCalledOffIsNobodysFault(t *testing.T) {
	called := errors.New("called off")
	for name, side := range map[string]int{"source": 0, "destination": 1} {
		nodes, c := [2]*fakeNode{newNode(t), newNode(t)}, newClient(t, node.Config{})
		nodes[0].put(path, "hello")
		ctx, cancel := context.WithCancelCause(t.Context())
		method := [2]string{http.MethodGet, http.MethodPut}[side]
		nodes[side].answers(func(w http.ResponseWriter, r *http.Request) bool {
			cancel(called)
			return stalls(method)(w, r)
		})
		_, err := c.Copy(ctx, node.CopyArgs{From: nodes[0].URL + path, To: nodes[1].URL + path, Length: 5})
		if !errors.Is(err, called) || errors.Is(err, node.ErrSource) || errors.Is(err, node.ErrDestination) {
			t.Errorf("while waiting for the %s: got error %v; want only %v", name, err, called)
		}
	}
}

// hangsUp breaks the connection of the first n requests with the method.
func hangsUp(t *testing.T, method string, n int64) func(http.ResponseWriter, *http.Request) bool {
	var met atomic.Int64
	return func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != method || met.Add(1) > n {
			return false
		}
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return true
		}
		_ = conn.Close()
		return true
	}
}

// A node that reloads its configuration hangs up on idle connections.
func TestCopyTriesAStaleConnectionOnceMore(t *testing.T) {
	for name, c := range map[string]struct {
		hangUps int64
		pooled  bool // a connection to the destination is in the pool
		puts    int
		taken   bool
	}{
		"pooled":       {hangUps: 1, pooled: true, puts: 2, taken: true},
		"pooled twice": {hangUps: 2, pooled: true, puts: 2},
		"fresh":        {hangUps: 1, puts: 1},
	} {
		t.Run(name, func(t *testing.T) {
			from, to, client := newNode(t), newNode(t), newClient(t, node.Config{})
			from.put(path, "hello")
			if c.pooled {
				if _, _, err := client.Size(t.Context(), to.URL+path); err != nil {
					t.Fatal(err)
				}
			}
			to.hears()
			to.answers(hangsUp(t, http.MethodPut, c.hangUps))
			sum, err := client.Copy(t.Context(), node.CopyArgs{From: from.URL + path, To: to.URL + path, Length: 5, Hash: md5Type})
			if puts := len(to.hears()); puts != c.puts {
				t.Errorf("got %d PUTs; want %d", puts, c.puts)
			}
			switch content, _ := to.file(path); {
			case c.taken && (err != nil || content != "hello" || !sum.Equal(md5Of("hello"))):
				t.Errorf("got %q at the destination, %v, error %v; want it copied", content, sum, err)
			case !c.taken && (!errors.Is(err, node.ErrDestination) || !errors.Is(err, node.ErrLeftover)):
				t.Errorf("got error %v; want %v and %v", err, node.ErrDestination, node.ErrLeftover)
			}
		})
	}
}
