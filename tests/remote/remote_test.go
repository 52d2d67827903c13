package remote

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tests/process"
	"github.com/mogilefs/caddy-mogilefs/tracker/client"
	"github.com/mogilefs/caddy-mogilefs/tracker/protocol"
)

func TestFilesComeAndGoThroughAnEdgeOfItsOwn(t *testing.T) {
	c := plain(t, options{})
	c.nobodyAt(c.dead)
	large := strings.Repeat("0123456789abcdef", 1<<17)
	for key, content := range map[string]string{"small": "content", "empty": "", "large": large, "a%20b%26c=d+e": "odd"} {
		c.want(http.StatusCreated, http.MethodPut, "/images/"+key, content)
		c.wantBody("/images/"+key, content)
	}
	c.want(http.StatusCreated, http.MethodPut, "/images/small", "other content")
	c.wantBody("/images/small", "other content")
	c.want(http.StatusNoContent, http.MethodDelete, "/images/small", "")
	c.want(http.StatusNotFound, http.MethodGet, "/images/small", "")
	c.want(http.StatusNotFound, http.MethodDelete, "/images/small", "")

	info, err := c.client.Info(t.Context(), "images", "a b&c=d+e")
	if err != nil || info.Length != 3 {
		t.Errorf("got %+v, %v; want the key as it was meant", info, err)
	}
}

// The edge remembers where a file is, and another one changes it: the copies are gone, so
// the node answers 404, and the tracker is asked again at once.
func TestAFileChangedElsewhereIsFoundWhenItsCopiesAreGone(t *testing.T) {
	c := plain(t, options{edge: "location_cache {\n ttl 1h\n }"})
	c.want(http.StatusCreated, http.MethodPut, "/images/key", "old")
	c.wantBody("/images/key", "old")

	// With a client of our own, so that no part of the edge knows.
	opened, err := c.client.OpenUpload(t.Context(), client.Upload{Domain: "images", Key: "key"})
	if err != nil {
		t.Fatal(err)
	}
	at := opened.Destinations[0]
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, at.URL, strings.NewReader("newer"))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.http.Do(req)
	if err != nil || resp.StatusCode/100 != 2 {
		t.Fatalf("PUT %s: got %v, %v; want success", at.URL, resp, err)
	}
	resp.Body.Close()
	closing := client.Closing{Domain: "images", Key: "key", FID: opened.FID, Copy: at, Size: 5}
	if err := c.client.CloseUpload(t.Context(), closing); err != nil {
		t.Fatal(err)
	}
	process.Eventually(t, within, "deletion of the old copies", func() bool {
		files, err := filepath.Glob(filepath.Join(c.node.Dir, "data/storage/dev*/*/*/*/*.fid"))
		for _, f := range files {
			_, fid, _ := mogile.ParsePath(strings.TrimPrefix(f, filepath.Join(c.node.Dir, "data/storage")))
			if fid != opened.FID {
				return false
			}
		}
		return err == nil && len(files) > 0
	})
	c.wantBody("/images/key", "newer")

	if err := c.client.Rename(t.Context(), "images", "key", "renamed"); err != nil {
		t.Error(err)
	}
	c.wantBody("/images/renamed", "newer")
	if err := c.client.Delete(t.Context(), "images", "renamed"); err != nil {
		t.Error(err)
	}
	if err := c.client.CloseUpload(t.Context(), closing); !errors.Is(err, protocol.NoTempFile) {
		t.Errorf("closing twice: got %v; want %v", err, protocol.NoTempFile)
	}
	if err := c.client.AbandonUpload(t.Context(), closing); err != nil {
		t.Errorf("abandoning what is closed: got %v; want no error", err)
	}
}

// While every tracker is down, reads of known keys go on; and when it is back, so does
// all else.
func TestKnownKeysAreServedWhileTheTrackerIsAway(t *testing.T) {
	c := plain(t, options{edge: "location_cache {\n ttl 100ms\n stale 1h\n }"})
	for name, away := range map[string]struct{ leave, comeBack func() }{
		"killed":  {c.tracker.Kill, c.tracker.Restart},
		"stopped": {c.tracker.Stop, c.tracker.Restart},
		"frozen":  {func() { c.signal(syscall.SIGSTOP) }, func() { c.signal(syscall.SIGCONT) }},
	} {
		t.Run(name, func(t *testing.T) {
			r := c.read(t)
			r.awaitMore()
			away.leave()
			r.awaitMore()
			c.want(http.StatusServiceUnavailable, http.MethodPut, "/images/new", "x")
			r.awaitMore()
			away.comeBack()
			r.awaitMore()
			c.awaitWriteable()
			// The edge finds it again without being told.
			key := "/images/after-it-was-" + name
			process.Eventually(t, within, "upload afterwards", func() bool {
				status, _, err := c.do(http.MethodPut, key, []byte(key))
				return err == nil && status == http.StatusCreated
			})
			c.wantBody(key, key)
			r.stop()
		})
	}
}

func (c *cluster) signal(s syscall.Signal) {
	c.t.Helper()
	if err := syscall.Kill(c.tracker.PID(), s); err != nil {
		c.t.Fatalf("send %v to the tracker: %v", s, err)
	}
}

// readers read known keys all the time. None of their requests may fail.
type readers struct {
	t       *testing.T
	served  atomic.Int64
	slowest atomic.Int64 // in nanoseconds
	end     chan struct{}
	running sync.WaitGroup
}

const knownKeys = 20

func (c *cluster) read(t *testing.T) *readers {
	t.Helper()
	content := func(i int) []byte { return bytes.Repeat([]byte{byte(i)}, 10_000+i) }
	path := func(i int) string { return fmt.Sprintf("/images/known%d", i) }
	for i := range knownKeys {
		c.want(http.StatusCreated, http.MethodPut, path(i), string(content(i)))
		c.wantBody(path(i), string(content(i)))
	}
	r := &readers{t: t, end: make(chan struct{})}
	for first := range 8 {
		r.running.Go(func() {
			for i := first; r.going(); i = (i + 1) % knownKeys {
				began := time.Now()
				status, body, err := c.do(http.MethodGet, path(i), nil)
				if err != nil || status != http.StatusOK || !bytes.Equal(body, content(i)) {
					t.Errorf("GET of a known key: got %d, %d bytes, %v; want it served", status, len(body), err)
					return
				}
				r.served.Add(1)
				if took := int64(time.Since(began)); took > r.slowest.Load() {
					r.slowest.Store(took)
				}
			}
		})
	}
	return r
}

func (r *readers) going() bool {
	select {
	case <-r.end:
		return false
	default:
		return true
	}
}

// awaitMore waits until each key was read several times more.
func (r *readers) awaitMore() {
	r.t.Helper()
	from := r.served.Load()
	process.Eventually(r.t, within, "further reads", func() bool { return r.served.Load() > from+10*knownKeys })
}

func (r *readers) stop() {
	close(r.end)
	r.running.Wait()
	r.t.Logf("%d reads, the slowest took %v", r.served.Load(), time.Duration(r.slowest.Load()))
}

// A node that finds no tracker tells so, and enters itself as soon as there is one;
// what is known there it leaves alone.
func TestANodeEntersItselfWhenItsTrackerComes(t *testing.T) {
	c := plain(t, options{})
	process.Eventually(t, 30*time.Second, "log of the tries and the success", func() bool {
		log := c.node.Tail()
		return strings.Contains(log, "the trackers don't know this storage node yet") && strings.Contains(log, "entered in the trackers")
	})
	hosts, err := c.client.Hosts(t.Context())
	if err != nil || len(hosts) != 1 || hosts[0].Name != "node1" || hosts[0].State != mogile.HostAlive ||
		mogile.HostAddr(hosts[0].IP, hosts[0].Port) != c.nodeAddr {
		t.Errorf("got hosts %+v, %v; want node1, alive, at %s", hosts, err, c.nodeAddr)
	}
	var args protocol.Pairs
	args.Add("host", "node1")
	args.Add("device", "2")
	args.Add("state", "down")
	if _, err := c.client.Do(t.Context(), "set_state", args); err != nil {
		t.Fatal(err)
	}
	c.node.Stop()
	c.node.Restart()
	var args2 protocol.Pairs
	args2.Add("devid", "2")
	values, err := c.client.Do(t.Context(), "get_devices", args2)
	if err != nil || values["dev1_status"] != "down" {
		t.Errorf("after the node's restart: got %v, %v; want device 2 down still", values, err)
	}
}

func TestAddressesThatCantBeAreRefusedWithTheWayOut(t *testing.T) {
	binary := process.Binary(t)
	for words, want := range map[string]string{
		"tracker http://10.0.0.1":                     "want host:port or tls://host:port",
		"tracker 10.0.0.1:70010":                      "no number from 1 to 65535",
		"tracker 10.0.0.1 10.0.0.1:7001":              "the same tracker",
		"tracker":                                     "argument",
		"tracker a {\n tls_server_name b\n }":         "put tls:// before its address",
		"tracker a {\n keepalive 1s\n }":              "unrecognized subdirective: keepalive",
		"tracker a\n client_zone":                     "the address of this edge",
		"tracker a\n zone eu":                         "no other zone than alt",
		"":                                            "name remote ones here: tracker <address>",
		"tracker tls://a {\n tls_client_auth x y\n }": "certificate",
	} {
		file := filepath.Join(t.TempDir(), "Caddyfile")
		if err := os.WriteFile(file, []byte("http://127.0.0.1:1 {\n mogilefs images {\n "+words+"\n }\n}\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), binary, "validate", "--config", file, "--adapter", "caddyfile")
		cmd.Env = append(os.Environ(), "HOME="+t.TempDir(), "XDG_DATA_HOME="+t.TempDir(), "XDG_CONFIG_HOME="+t.TempDir())
		text, err := cmd.CombinedOutput()
		if err == nil || !strings.Contains(string(text), want) {
			t.Errorf("%s: got %v\n%s\nwant a refusal with %q", words, err, text, want)
		}
	}
}
