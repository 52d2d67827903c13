package netdisk

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/mogilefs/caddy-mogilefs/tests/mount"
)

// soon bounds what must not wait for the device that is gone: seconds, on a machine whose
// processors others have as well. Ten seconds is when the node gives up on an operation.
const soon = 8 * time.Second

// TestADeviceThatIsCutOffIsLeftAndUsedAgain needs root.
func TestADeviceThatIsCutOffIsLeftAndUsedAgain(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		options    []string
		cut, mends func(*mount.Remote)
	}{
		"the server is gone and comes back": {
			options: []string{"reconnect"}, cut: (*mount.Remote).Cut, mends: (*mount.Remote).Serve,
		},
		"what answers on this side dies and is mounted anew": {
			cut: (*mount.Remote).Kill, mends: func(r *mount.Remote) { r.Unmount(); r.Mount() },
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, ok := newSite(t, c.options...)
			if !ok {
				return
			}
			s.fill("before")
			c.cut(s.remote[2])
			s.refuses()
			c.mends(s.remote[2])
			s.awaitDevice(2, "writeable")
			if a := s.do("PUT", s.node(2, testName), nil); a.status != http.StatusCreated {
				t.Errorf("PUT after that: got %d %s; want 201", a.status, a.body)
			}
			s.fill("after")
			s.wantAll()
			s.fsck()
		})
	}
}

// refuses is device 2 while it is cut off, and the others.
func (s *site) refuses() {
	s.t.Helper()
	for _, method := range []string{"PUT", "GET", "DELETE"} {
		if a := s.do(method, s.node(2, testName), nil); a.status != http.StatusServiceUnavailable || string(a.body) != "Device is cut off\n" {
			s.t.Errorf("%s: got %d %s; want 503, also for the first", method, a.status, a.body)
		}
	}
	s.readAll()
	for i := range 10 {
		key := fmt.Sprintf("meanwhile%d", i)
		s.mustPut(key, content(key, 20<<10))
	}
	s.awaitDevice(2, "unreachable")
	if a := s.do("GET", s.node(2, "usage"), nil); a.status != http.StatusServiceUnavailable {
		s.t.Errorf("usage: got %d %s; want 503", a.status, a.body)
	}
	s.readAll()
	if n := s.logged("device takes no writes any more"); n != 1 {
		s.t.Errorf("got %d lines of log about it; want one", n)
	}
	if n := s.logged("request failed"); n != 0 {
		s.t.Errorf("got %d lines of log about requests; want none", n)
	}
}

// readAll reads every file through the edge.
func (s *site) readAll() {
	s.t.Helper()
	for key := range s.stored {
		took, err := s.get(key)
		if err != nil {
			s.t.Error(err)
		}
		if took > soon {
			s.t.Errorf("GET %s took %v; want less than %v", key, took, soon)
		}
	}
}
