package failover

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mogilefs/caddy-mogilefs/tests/process"
)

// remoteFile is an edge whose tracker is another process. It believes a location for a
// three hundredth of the usual time, so that two seconds are ten minutes.
const remoteFile = `http://SITE {
	bind 127.0.0.1
	handle_path /images/* {
		mogilefs images {
			methods GET PUT
			tracker TRACKER
			location_cache 64MiB {
				ttl 200ms
				negative_ttl 10ms
				stale 1h
			}
			timeouts {
				tracker 500ms
			}
		}
	}
}
`

// tenMinutes is how long they take here.
const tenMinutes = 2 * time.Second

func TestKnownKeysAreServedWithoutTrackerAndDatabase(t *testing.T) {
	s, all := newSite(t), files()[:20]
	s.fill(all)
	site := fmt.Sprintf("127.0.0.1:%d", process.FreePorts(t, 1)[0])
	process.Start(t, process.Options{
		Caddyfile: strings.NewReplacer("SITE", site, "TRACKER", s.tracker).Replace(remoteFile),
		Ready:     []string{site}, Binary: process.PlainBinary(t),
	})
	hub := s.url
	s.url = "http://" + site + "/images/"
	s.readAll(t, all)
	for _, gone := range []struct {
		how        string
		away, back func()
	}{
		{"killed", s.hub.Kill, s.hub.Restart},
		{"frozen", func() { s.signalHub(syscall.SIGSTOP) }, func() { s.signalHub(syscall.SIGCONT) }},
	} {
		gone.away()
		for end := time.Now().Add(tenMinutes); time.Now().Before(end); {
			s.readAll(t, all)
			if status, retry := s.status(t, "unknown"); status != http.StatusServiceUnavailable || retry == "" {
				t.Errorf("%s: unknown key: got %d, Retry-After %q; want 503 and when to come back", gone.how, status, retry)
			}
		}
		if ok, err := s.upload("during-"+gone.how, []byte("x")); ok || err != nil {
			t.Errorf("%s: upload: got %t, %v; want it refused", gone.how, ok, err)
		}
		gone.back()
		process.Eventually(t, within, "404 for an unknown key by itself", func() bool {
			status, _ := s.status(t, "unknown")
			return status == http.StatusNotFound
		})
		process.Eventually(t, within, "upload", func() bool {
			ok, err := s.upload("after-"+gone.how, []byte("x"))
			return ok && err == nil
		})
		if status, _ := s.status(t, "after-"+gone.how); status != http.StatusOK {
			t.Errorf("%s, and back: got %d for a new key; want 200", gone.how, status)
		}
		s.readAll(t, all)
	}
	s.url = hub
}

func (s *site) signalHub(sig syscall.Signal) {
	s.t.Helper()
	if err := syscall.Kill(s.hub.PID(), sig); err != nil {
		s.t.Fatal(err)
	}
}

// readAll reads all files at once.
func (s *site) readAll(t *testing.T, all []file) {
	t.Helper()
	var readers errgroup.Group
	for _, f := range all {
		readers.Go(func() error { return s.read(f, 0, f.size) })
	}
	if err := readers.Wait(); err != nil {
		t.Error(err)
	}
}

func (s *site) status(t *testing.T, key string) (status int, retryAfter string) {
	t.Helper()
	resp, err := s.http.Get(s.url + key)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, resp.Header.Get("Retry-After")
}
