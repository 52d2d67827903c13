package netdisk

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mogilefs/caddy-mogilefs/tests/mount"
)

const (
	// crowd is how many requests of each kind come for the frozen device at once: far more than
	// may hang there.
	crowd = 400
	// maxThreads is how many the process may have meanwhile: the 64 operations of each of two
	// kinds that a device does at once, and what a process has anyway.
	maxThreads = 2*64 + 60
)

// TestADeviceThatHangsKeepsNobodyElse needs root.
func TestADeviceThatHangsKeepsNobodyElse(t *testing.T) {
	t.Parallel()
	s, ok := newSite(t)
	if !ok {
		return
	}
	s.fill("before")
	there := s.onDevice(2)
	quiet := s.threads()
	s.remote[2].Freeze()

	var waiting sync.WaitGroup
	answers := make(chan answer, 2*crowd)
	for range crowd {
		for _, method := range []string{"GET", "PUT"} {
			url := there
			if method == "PUT" {
				url = s.node(2, testName)
			}
			waiting.Go(func() {
				a, err := s.ask(t.Context(), method, url, nil)
				if err != nil {
					t.Errorf("%s %s: %v", method, url, err)
				}
				answers <- a
			})
		}
	}
	s.others()
	s.aside()
	if n := s.threads(); n > maxThreads {
		t.Errorf("got %d threads, %d before; want %d at most", n, quiet, maxThreads)
	}
	s.awaitDevice(2, "unreachable")
	for _, path := range []string{"usage", testName} {
		if a := s.do("GET", s.node(2, path), nil); a.status != http.StatusServiceUnavailable || a.took > soon {
			t.Errorf("GET %s: got %d %s in %v; want 503 at once", path, a.status, a.body, a.took)
		}
	}
	s.others()

	s.remote[2].Thaw()
	waiting.Wait()
	close(answers)
	refused := 0
	for a := range answers {
		if a.status == http.StatusServiceUnavailable {
			refused++
		}
	}
	if refused < crowd {
		t.Errorf("got %d refusals of %d requests; want most", refused, 2*crowd)
	}
	s.awaitDevice(2, "writeable")
	s.eventually("upload to the device", func() bool { return s.do("PUT", s.node(2, testName), nil).status == http.StatusCreated })
	s.eventually("log line that it is back", func() bool { return s.logged("device answers again") > 0 })
	if n := s.logged("it is refused until it does"); n != 1 {
		t.Errorf("got %d lines of log about it; want one", n)
	}
	s.fill("after")
	s.wantAll()
	s.fsck()
}

// onDevice is the URL of a large file's copy on a device.
func (s *site) onDevice(dev int) string {
	s.t.Helper()
	for key, content := range s.stored {
		for _, c := range s.locate(key).Copies {
			if int(c.Dev) == dev && len(content) > 64<<10 {
				return c.URL
			}
		}
	}
	s.t.Fatalf("device %d has no large file", dev)
	return ""
}

// others is the other devices, the edge and uploads.
func (s *site) others() {
	s.t.Helper()
	for _, dev := range []int{1, 3} {
		for _, r := range []struct{ method, path string }{{"PUT", testName}, {"GET", testName}, {"GET", "usage"}, {"DELETE", testName}} {
			if a := s.do(r.method, s.node(dev, r.path), nil); a.status/100 != 2 || a.took > soon {
				s.t.Errorf("%s %s of device %d: got %d in %v; want 2xx within %v", r.method, r.path, dev, a.status, a.took, soon)
			}
		}
	}
	s.readAll()
	for i := range 5 {
		key := fmt.Sprintf("meanwhile%d-%d", len(s.stored), i)
		began := time.Now()
		s.mustPut(key, content(key, 20<<10))
		// The edge waits ten seconds for a device to acknowledge.
		if took := time.Since(began); took > 2*soon {
			s.t.Errorf("PUT %s took %v; want less than %v", key, took, 2*soon)
		}
	}
}

// aside is the side channel, on which answers come in the order of the questions.
func (s *site) aside() {
	s.t.Helper()
	c := s.dialChannel()
	began := time.Now()
	c.say("size /dev2/"+testName, "size /dev1/usage")
	if got := c.line(); got != "/dev2/"+testName+" -1" {
		s.t.Errorf("side channel: got %q; want -1, as it can't be looked at", got)
	}
	if got := c.line(); !strings.HasPrefix(got, "/dev1/usage ") || strings.HasSuffix(got, "-1") {
		s.t.Errorf("side channel: got %q; want the size", got)
	}
	if took := time.Since(began); took > 2*soon+patience/4 {
		s.t.Errorf("side channel: took %v", took)
	}
	c = s.dialChannel()
	c.say("watch")
	for {
		switch line := c.line(); {
		case line == "2\t100.00":
			return
		case strings.HasPrefix(line, "2\t") && line != "2\t-":
			s.t.Fatalf("watch: got %q; want a dash, and then 100, as it does not answer", line)
		}
	}
}

// TestAProcessStartsBesideADeviceThatDoesNotAnswer needs root.
func TestAProcessStartsBesideADeviceThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ breaks, mends func(*mount.Remote) }{
		"it hangs":      {(*mount.Remote).Freeze, (*mount.Remote).Thaw},
		"it is cut off": {(*mount.Remote).Kill, func(r *mount.Remote) { r.Unmount(); r.Mount() }},
	} {
		t.Run(name, func(t *testing.T) {
			s, ok := newSite(t, "dcache_timeout=1")
			if !ok {
				return
			}
			s.fill("before")
			s.Stop()
			c.breaks(s.remote[2])
			s.Restart()
			s.awaitDevice(1, "writeable")
			s.awaitDevice(3, "writeable")
			s.others()
			c.mends(s.remote[2])
			s.awaitDevice(2, "writeable")
			s.wantAll()
		})
	}
}
