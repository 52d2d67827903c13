package caddymodule

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/mogilefs/caddy-mogilefs/tests/mount"
	"github.com/mogilefs/caddy-mogilefs/tests/process"
)

// from sends a request to the node from one address of this machine, over a reload if
// need be.
func (r *rig) from(addr, method, path string) int {
	r.t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(addr)}, Timeout: soon}
	client := http.Client{Transport: &http.Transport{DialContext: dialer.DialContext, DisableKeepAlives: true}}
	req, err := http.NewRequestWithContext(r.t.Context(), method, "http://"+r.node+path, strings.NewReader("body"))
	if err != nil {
		r.t.Fatal(err)
	}
	resp, err := process.SendOverReload(&client, req)
	if err != nil {
		r.t.Fatalf("%s %s from %s: %v", method, path, addr, err)
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

const fencedPath = "/dev1/0/000/000/0000000001.fid"

func TestFencesOfANodeHoldAndFollowAReload(t *testing.T) {
	r := newRig(t)
	load := func(words string) {
		t.Helper()
		if err := r.load(changed("\t\t\tregister\n", "\t\t\tregister\n"+words)); err != nil {
			t.Fatal(err)
		}
	}
	want := func(status int, addr, method string) {
		t.Helper()
		if got := r.from(addr, method, fencedPath); got != status {
			t.Errorf("%s from %s: got %d; want %d", method, addr, got, status)
		}
	}
	load("")
	want(201, "127.0.0.3", "PUT") // all of this machine
	load("\t\t\twrite_from 127.0.0.2 127.0.1.0/24\n")
	want(201, "127.0.0.2", "PUT")
	want(201, "127.0.1.7", "PUT")
	want(403, "127.0.0.3", "PUT")
	want(403, "127.0.0.3", "DELETE")
	want(403, "127.0.0.3", "MKCOL")
	want(200, "127.0.0.3", "GET") // reads are open
	load("\t\t\twrite_from cluster\n\t\t\tread_from 127.0.0.2\n")
	want(201, "127.0.0.3", "PUT")
	want(403, "127.0.0.3", "GET")
	want(200, "127.0.0.2", "HEAD")
	want(204, "127.0.0.3", "DELETE")
	for _, bad := range []string{"write_from 10.0.0.0/33", "read_from everybody", "write_from", "read_from {env.NOT_SET}"} {
		if err := r.adaptAndLoad(changed("\t\t\tregister\n", "\t\t\tregister\n\t\t\t"+bad+"\n")); err == nil {
			t.Errorf("%s: got it loaded; want an error", bad)
		}
	}
}

// adaptAndLoad is load for configs that may not even be adapted.
func (r *rig) adaptAndLoad(caddyfile string) error {
	r.t.Helper()
	config, err := r.tryAdapt(caddyfile)
	if err != nil {
		return err
	}
	return caddy.Load(config, true)
}

// active is the app of the running config.
func active(t *testing.T) *App {
	t.Helper()
	app, err := caddy.ActiveContext().App("mogilefs")
	if err != nil {
		t.Fatal(err)
	}
	return app.(*App)
}

func TestHostsThatTheTrackerKnowsAreOfTheCluster(t *testing.T) {
	for name, words := range map[string]string{"this process's": "register\n", "another one": "register TRACKER\n"} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			config := changed("\t\t\tregister\n", "\t\t\t"+words)
			r.run(config)
			for _, line := range []string{
				"create_host host=third&ip=10.0.0.8&port=7500&status=alive",
				"update_host host=third&status=dead",
				"create_host host=second&ip=10.0.0.7&altip=10.1.0.7&altmask=10.1.0.0/16&port=7500&status=alive",
			} {
				if got := r.say(line); !strings.HasPrefix(got, "OK ") {
					t.Fatalf("%s: got %s", line, got)
				}
			}
			// A reload asks anew at once, and nobody who was known is forgotten meanwhile.
			if err := r.load(changed("\t\t\tregister\n", "\t\t\t"+words+"\t\t\tread_from private_ranges\n")); err != nil {
				t.Fatal(err)
			}
			app := active(t)
			knows := func(addr string) bool {
				tracker := app.Tracker
				if app.Storage["node1"].remote != nil {
					tracker = nil // only what the register line told
				}
				return app.Storage["node1"].knows(tracker, netip.MustParseAddr(addr))
			}
			eventually(t, "the second host known", func() bool { return knows("10.0.0.7") })
			for addr, want := range map[string]bool{
				"10.1.0.7": true, "127.0.0.1": true, "10.0.0.8": false, "10.0.0.9": false,
			} {
				if got := knows(addr); got != want {
					t.Errorf("%s: got known %v; want %v", addr, got, want)
				}
			}
		})
	}
}

func TestTrackersAreAmongThoseWhoMayWrite(t *testing.T) {
	got := trackerAddrs(context.Background(), []string{"10.0.0.5:7001", "tls://10.0.0.6", "[fd00::5]:7001", "no such name:7001"})
	want := "[10.0.0.5 10.0.0.6 fd00::5]"
	var texts []string
	for _, addr := range got {
		texts = append(texts, addr.String())
	}
	if "["+strings.Join(texts, " ")+"]" != want {
		t.Errorf("got %v; want %s", got, want)
	}
}

// TestTrackersLeaveADiskThatGoesReadOnly needs root.
func TestTrackersLeaveADiskThatGoesReadOnly(t *testing.T) {
	r := newRig(t)
	dev := filepath.Join(r.dir, "storage", "dev1")
	if err := os.MkdirAll(dev, 0o755); err != nil {
		t.Fatal(err)
	}
	if !mount.Ext4(t, dev, 256<<20) { // more than min_free_space
		return
	}
	r.run(base)
	mount.Remount(t, dev, "ro")
	began := time.Now()
	// Uploads go on: a device that refuses is followed by the other one.
	for range 5 {
		r.want(http.StatusCreated, http.MethodPut, "/images/key", "text")
	}
	eventually(t, "the device out of use", func() bool {
		answer := r.say("get_devices")
		return strings.Count(answer, "_observed_state=writeable") == 1 && strings.Count(answer, "_observed_state=readable") == 1
	})
	t.Logf("out of use within %v", time.Since(began))
	mount.Remount(t, dev, "rw")
	eventually(t, "the device used again", func() bool {
		return strings.Count(r.say("get_devices"), "_observed_state=writeable") == 2
	})
}
