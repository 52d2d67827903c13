package netdisk

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tests/mount"
	"github.com/mogilefs/caddy-mogilefs/tests/process"
	"github.com/mogilefs/caddy-mogilefs/tracker/client"
)

// patience bounds what is waited for on a busy machine. What a test says of time is said with
// tighter bounds of its own.
const patience = 2 * time.Minute

// copies is how many a file gets: a class's default.
const copies = 2

// site is a process with device 1 on a local disk, 2 and 3 on the network.
type site struct {
	*process.Caddy
	t                         *testing.T
	root                      string
	edge, storage, management string
	tracker                   *client.Client
	http                      *http.Client
	remote                    map[int]*mount.Remote

	mu     sync.Mutex        // guards stored
	stored map[string][]byte // what was acknowledged, by its key
}

// caddyfile has more patience with nodes than the tracker has by itself: a host that does not answer
// within two seconds, as on a machine with much else to do, is left out as a whole, and this is all
// there is.
const caddyfile = `{
	mogilefs {
		tracker {
			listen TRACKER
			database sqlite data/mogilefs.db
			setting mogstored_stream_port STREAM
			setting min_free_space 0
			setting node_timeout 10
		}
		storage node1 {
			root ROOT
			devices 1 2 3
			address STORAGE
			management MANAGEMENT
			register
		}
		domain images
	}
}

http://:HTTPPORT {
	bind 127.0.0.1
	mogilefs_storage node1
}

http://EDGE {
	bind 127.0.0.1
	handle_path /images/* {
		mogilefs images {
			methods GET PUT DELETE
		}
	}
}
`

// newSite mounts with options of sshfs. It reports false where nothing can be mounted.
func newSite(t *testing.T, options ...string) (*site, bool) {
	t.Helper()
	ports := process.FreePorts(t, 4)
	at := func(i int) string { return "127.0.0.1:" + strconv.Itoa(ports[i]) }
	s := &site{
		t: t, root: filepath.Join(t.TempDir(), "mogdata"), edge: at(3), storage: at(1), management: at(2),
		http:   &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}, Timeout: patience},
		remote: map[int]*mount.Remote{}, stored: map[string][]byte{},
	}
	t.Cleanup(s.http.CloseIdleConnections)
	for _, dev := range []int{2, 3} {
		dir := s.dir(dev)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		r, ok := mount.SFTP(t, t.TempDir(), dir, options...)
		if !ok {
			return nil, false
		}
		s.remote[dev] = r
	}
	config := strings.NewReplacer(
		"TRACKER", at(0), "STREAM", strconv.Itoa(ports[2]), "ROOT", s.root, "STORAGE", at(1), "MANAGEMENT", at(2),
		"HTTPPORT", strconv.Itoa(ports[1]), "EDGE", at(3),
	).Replace(caddyfile)
	s.Caddy = process.Start(t, process.Options{Caddyfile: config, Ready: []string{at(0), at(1), at(2), at(3)}})
	// Before the process is killed: one that waits for the network does not die.
	t.Cleanup(func() {
		for _, r := range s.remote {
			r.Cut()
		}
	})
	var err error
	if s.tracker, err = client.New(client.Config{Addresses: []string{at(0)}, Timeout: patience}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.tracker.Close() })
	for _, dev := range []int{1, 2, 3} {
		s.awaitDevice(dev, "writeable")
	}
	return s, true
}

func (s *site) dir(dev int) string { return filepath.Join(s.root, "dev"+strconv.Itoa(dev)) }

func (s *site) awaitDevice(dev int, observed string) {
	s.t.Helper()
	got := ""
	s.eventually(fmt.Sprintf("device %d that is %s", dev, observed), func() bool {
		list, err := s.tracker.Devices(s.t.Context())
		for _, d := range list {
			if int(d.ID) == dev {
				got = d.Observed
			}
		}
		return err == nil && got == observed
	})
}

func (s *site) eventually(what string, cond func() bool) {
	s.t.Helper()
	process.Eventually(s.t, patience, what, cond)
}

// answer is a response that was read.
type answer struct {
	status int
	header http.Header
	body   []byte
	took   time.Duration
}

// ask sends a request; headers are "Name: value". Any goroutine may call it.
func (s *site) ask(ctx context.Context, method, url string, body []byte, headers ...string) (answer, error) {
	began := time.Now()
	r, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	resp, err := s.http.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, b, time.Since(began)}, err
}

// do is ask for the test's goroutine.
func (s *site) do(method, url string, body []byte, headers ...string) answer {
	s.t.Helper()
	a, err := s.ask(s.t.Context(), method, url, body, headers...)
	if err != nil {
		s.t.Fatalf("%s %s: %v", method, url, err)
	}
	return a
}

func (s *site) url(key string) string { return "http://" + s.edge + "/images/" + key }

// node is the URL of a path of a device.
func (s *site) node(dev int, name string) string {
	return fmt.Sprintf("http://%s/dev%d/%s", s.storage, dev, name)
}

// content is bytes that are those of no other key.
func content(key string, size int) []byte {
	var b []byte
	for i := 0; len(b) < size; i++ {
		sum := sha256.Sum256([]byte(key + strconv.Itoa(i)))
		b = append(b, sum[:]...)
	}
	return b[:size]
}

// put uploads under a key, and remembers what was acknowledged. Any goroutine may call it.
func (s *site) put(key string, body []byte) error {
	a, err := s.ask(s.t.Context(), http.MethodPut, s.url(key), body)
	if err != nil {
		return err
	}
	if a.status != http.StatusCreated {
		return fmt.Errorf("PUT %s: got %d %s; want 201", key, a.status, a.body)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stored[key] = body
	return nil
}

func (s *site) mustPut(key string, body []byte) {
	s.t.Helper()
	if err := s.put(key, body); err != nil {
		s.t.Fatal(err)
	}
}

// get reads a key and compares. Any goroutine may call it.
func (s *site) get(key string) (took time.Duration, err error) {
	s.mu.Lock()
	want := s.stored[key]
	s.mu.Unlock()
	a, err := s.ask(s.t.Context(), http.MethodGet, s.url(key), nil)
	switch {
	case err != nil:
		return 0, err
	case a.status != http.StatusOK || !bytes.Equal(a.body, want):
		return 0, fmt.Errorf("GET %s: got %d with %d bytes; want %d bytes as they were stored", key, a.status, len(a.body), len(want))
	}
	return a.took, nil
}

// locate is where the copies of a key are.
func (s *site) locate(key string) mogile.Location {
	s.t.Helper()
	loc, err := s.tracker.Locate(s.t.Context(), "images", mogile.Key(key), "")
	if err != nil {
		s.t.Fatalf("locate %s: %v", key, err)
	}
	return loc
}

// wantAll waits until every file that was acknowledged has its copies, and reads each of them.
func (s *site) wantAll() {
	s.t.Helper()
	for key, want := range s.stored {
		if _, err := s.get(key); err != nil {
			s.t.Error(err)
		}
		var list []mogile.Copy
		s.eventually("copies of "+key, func() bool {
			list = s.locate(key).Copies
			return len(list) == copies
		})
		for _, c := range list {
			if a := s.do(http.MethodGet, c.URL, nil); a.status != http.StatusOK || !bytes.Equal(a.body, want) {
				s.t.Errorf("%s: got %d with %d bytes; want %d bytes as they were stored", c.URL, a.status, len(a.body), len(want))
			}
		}
	}
}

// fill uploads files of several sizes until each device has copies of some.
func (s *site) fill(prefix string) {
	s.t.Helper()
	has := map[mogile.DevID]int{}
	for i := 0; i < 12 || has[1] == 0 || has[2] == 0 || has[3] == 0; i++ {
		key := fmt.Sprintf("%s%d", prefix, i)
		s.mustPut(key, content(key, []int{4 << 10, 1, 100 << 10, 60 << 10, 3 << 20, 0}[i%6]))
		s.eventually("copies of "+key, func() bool {
			list := s.locate(key).Copies
			if len(list) == copies {
				for _, c := range list {
					has[c.Dev]++
				}
			}
			return len(list) == copies
		})
	}
}

// logged is how many lines of the log have a text.
func (s *site) logged(text string) int {
	s.t.Helper()
	log, err := os.ReadFile(filepath.Join(s.Dir, "caddy.log"))
	if err != nil {
		s.t.Fatal(err)
	}
	return strings.Count(string(log), text)
}

// threads is how many the process has.
func (s *site) threads() int {
	s.t.Helper()
	list, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", s.PID()))
	if err != nil {
		s.t.Fatal(err)
	}
	return len(list)
}
