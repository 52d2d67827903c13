package caddymodule

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"path/filepath"
	"testing"

	"github.com/mogilefs/caddy-mogilefs/storage/disk"
)

// listenOnAddr fails when somebody listens there, as it shares with nobody.
func listenOnAddr(t *testing.T, addr string) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatalf("got %v; want %s to be free", err, addr)
	}
	return ln
}

// slowPut begins an upload, which the returned function ends.
func (r *rig) slowPut(path, first, rest string) (finish func()) {
	r.t.Helper()
	body, send := io.Pipe()
	sent := make(chan error, 1)
	go func() { // received by finish
		got, err := r.send(http.MethodPut, path, body)
		if err == nil && got.status != http.StatusCreated {
			err = fmt.Errorf("got %d %q; want 201", got.status, got.body)
		}
		body.Close()
		sent <- err
	}()
	write := func(text string) {
		if _, err := io.WriteString(send, text); err != nil {
			r.t.Errorf("send to %s: %v", path, err)
		}
	}
	before := r.unfinished()
	write(first)
	eventually(r.t, "beginning of the upload on a disk", func() bool { return r.unfinished() > before })
	return func() {
		r.t.Helper()
		write(rest)
		send.Close()
		if err := <-sent; err != nil {
			r.t.Errorf("PUT %s over a reload: %v", path, err)
		}
	}
}

// unfinished counts the copies that are being written.
func (r *rig) unfinished() int {
	r.t.Helper()
	n := 0
	if err := filepath.WalkDir(r.path("storage"), func(name string, _ fs.DirEntry, err error) error {
		if disk.IsTemp(name) {
			n++
		}
		if errors.Is(err, fs.ErrNotExist) { // removed while we looked
			return nil
		}
		return err
	}); err != nil {
		r.t.Fatalf("look for unfinished copies: %v", err)
	}
	return n
}

func TestAnUploadOutlivesAReloadThatChanges(t *testing.T) {
	other := listenLoopback(t)
	other.Close()
	for name, config := range map[string]string{
		"nothing":         base,
		"workers":         changed("listen TRACKER", "listen TRACKER\n workers replicate 2"),
		"settings":        changed("listen TRACKER", "listen TRACKER\n setting min_free_space 0"),
		"addresses":       changed("management MANAGEMENT", "management "+other.Addr().String()),
		"devices":         changed("devices 1 2", "devices 1 2 3"),
		"durability":      changed("register", "register\n durable off"),
		"cache":           changed("methods GET", "location_cache off\n methods GET"),
		"all of the app":  bare,
		"the public site": changed("http://PUBLIC", "http://localhost:1"),
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.run(base)
			finish := r.slowPut("/images/slow", "first ", "second")
			if err := r.load(config); err != nil {
				t.Fatalf("reload: %v", err)
			}
			finish()
			r.run(base)
			r.wantBody("/images/slow", "first second")
		})
	}
}

// A reload that changes the tracker's settings has two trackers on one database. What
// the old one changes must not be hidden by what the new config's cache remembers.
func TestCachesHearOfChangesThroughTheOldTrackerToo(t *testing.T) {
	r := newRig(t)
	r.run(base)
	r.want(http.StatusCreated, http.MethodPut, "/images/key", "old")
	finish := r.slowPut("/images/key", "new ", "content")
	r.run(changed("listen TRACKER", "listen TRACKER\n workers replicate 2"))
	r.wantBody("/images/key", "old") // and now it is remembered
	finish()
	r.wantBody("/images/key", "new content")
}
