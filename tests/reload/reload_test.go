package reload

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/mogilefs/caddy-mogilefs/tests/process"
)

const (
	reloads    = 20
	uploaders  = 4
	loaders    = 4
	calmWithin = 60 * time.Second // idle connections and old configs need some
	// slack is for connections between the process's own parts, which come and go.
	// What leaks with every reload is more.
	slack = reloads / 2
)

func TestReloadsLoseNothing(t *testing.T) {
	c := process.NewCluster(t, process.ClusterOptions{})
	if reply := c.Put("steady", body("steady")); reply.Status != http.StatusCreated {
		t.Fatalf("PUT: got status %d; want 201", reply.Status)
	}
	tracker := c.Dial()
	defer tracker.Close()

	traffic := start(c)
	for i := range reloads {
		more := ""
		if i%2 == 1 {
			more = fmt.Sprintf("cache_control max-age=%d", i)
		}
		c.Reload(c.Caddyfile(more))
		if got := tracker.Say("noop"); got != "OK " {
			t.Errorf("noop after reload %d on a connection from before: got %q; want OK", i, got)
		}
		want := ""
		if more != "" {
			want = fmt.Sprintf("max-age=%d", i)
		}
		if got := c.Get("steady").Header.Get("Cache-Control"); got != want {
			t.Errorf("after reload %d: got Cache-Control %q; want %q", i, got, want)
		}
	}
	repeated, err := traffic.stop()
	if err != nil {
		t.Error(err)
	}
	// A reload costs a client one connection at most, the one it used or was
	// about to open.
	if limit := reloads * (uploaders + loaders); repeated > limit {
		t.Errorf("got %d requests that had to be sent again; want at most %d", repeated, limit)
	}
	c.AwaitSettled(2 * process.CopiedWithin)
}

func TestATransferThatOutlivesAReloadEndsWell(t *testing.T) {
	c := process.NewCluster(t, process.ClusterOptions{})
	half, rest := io.Pipe()
	sent := make(chan error, 1)
	go func() { // received below
		reply, err := c.Do(c.Request(http.MethodPut, "slow", half))
		if err == nil && reply.Status != http.StatusCreated {
			err = fmt.Errorf("got status %d with %.200q; want 201", reply.Status, reply.Body)
		}
		sent <- err
	}()
	want := body("slow")
	// The pipe returns when the client has taken the bytes, so the request is
	// under way before the reload begins.
	if _, err := rest.Write(want[:len(want)/2]); err != nil {
		t.Fatal(err)
	}
	c.Reload(c.Caddyfile("cache_control no-cache"))
	if _, err := rest.Write(want[len(want)/2:]); err != nil {
		t.Fatal(err)
	}
	rest.Close()
	if err := <-sent; err != nil {
		t.Fatalf("upload over a reload: %v", err)
	}

	resp, err := c.Send(c.Request(http.MethodGet, "slow", nil))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	c.Reload(c.Caddyfile(""))
	if got, err := io.ReadAll(resp.Body); err != nil || !bytes.Equal(got, want) {
		t.Errorf("download over a reload: got %d bytes (%v); want %d", len(got), err, len(want))
	}
}

func TestReloadsLeaveNothingBehind(t *testing.T) {
	c := process.NewCluster(t, process.ClusterOptions{})
	cycle := func() {
		c.Reload(c.Caddyfile("cache_control no-cache"))
		c.Reload(c.Caddyfile(""))
		c.Get("nothing")
	}
	cycle() // what the first reload makes once is no leak
	goroutines, descriptors := c.Goroutines(), c.Descriptors()
	for range reloads / 2 {
		cycle()
	}
	process.Eventually(t, calmWithin, fmt.Sprintf("return to some %d goroutines and %d descriptors", goroutines, descriptors), func() bool {
		return c.Goroutines() <= goroutines+slack && c.Descriptors() <= descriptors+slack
	})
}
