package node_test

import (
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mogilefs/caddy-mogilefs/tracker/node"
)

var threeDirs = []string{"MKCOL /dev1/0/", "MKCOL /dev1/0/000/", "MKCOL /dev1/0/000/000/"}

func TestMakeDirsAsksOnceForEachDirectory(t *testing.T) {
	n, c := newNode(t), newClient(t, node.Config{})
	n.says("MKCOL", http.StatusCreated)
	c.MakeDirs(t.Context(), 1, n.URL, 7)
	if got := n.hears(); !slices.Equal(got, threeDirs) {
		t.Errorf("node heard %v; want %v", got, threeDirs)
	}
	c.MakeDirs(t.Context(), 1, n.URL, 8)
	if got := n.hears(); len(got) != 0 {
		t.Errorf("same directory: node heard %v; want nothing", got)
	}
	c.MakeDirs(t.Context(), 1, n.URL, 1_007)
	if got := n.hears(); !slices.Equal(got, []string{"MKCOL /dev1/0/000/001/"}) {
		t.Errorf("next directory: node heard %v; want MKCOL of it only", got)
	}
}

func TestMakeDirsGivesUpOnDevicesThatDontKnowMKCOL(t *testing.T) {
	for _, status := range []int{http.StatusBadRequest, http.StatusNotImplemented} {
		n, c := newNode(t), newClient(t, node.Config{})
		n.says("MKCOL", status)
		c.MakeDirs(t.Context(), 1, n.URL, 7)
		c.MakeDirs(t.Context(), 1, n.URL, 1_007)
		if got := n.hears(); len(got) != 1 {
			t.Errorf("node says %d: heard %v; want one try", status, got)
		}
		c.MakeDirs(t.Context(), 2, n.URL, 7)
		if got := n.hears(); len(got) != 1 {
			t.Errorf("another device: heard %v; want one try", got)
		}
	}
}

func TestMakeDirsRepeatsAfterOtherFailures(t *testing.T) {
	n, c := newNode(t), newClient(t, node.Config{})
	n.says("MKCOL", http.StatusMethodNotAllowed)
	for range 2 {
		c.MakeDirs(t.Context(), 1, n.URL, 7)
		if got := n.hears(); !slices.Equal(got, threeDirs) {
			t.Errorf("node heard %v; want %v", got, threeDirs)
		}
	}
}

func TestMakeDirsIsSilentWhenTheOperatorSaysSo(t *testing.T) {
	n := newNode(t)
	c := newClient(t, node.Config{SkipMKCOL: func() bool { return true }})
	c.MakeDirs(t.Context(), 1, n.URL, 7)
	if got := n.hears(); len(got) != 0 {
		t.Errorf("node heard %v; want nothing", got)
	}
}

// roundTrip is a network without sockets.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestMakeDirsForgetsWithinBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		c := node.New(node.Config{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			asked++
			return &http.Response{StatusCode: http.StatusCreated, Body: http.NoBody, Request: r}, nil
		})})
		c.MakeDirs(t.Context(), 1, "http://node", 7)
		<-time.After(59 * time.Minute)
		c.MakeDirs(t.Context(), 1, "http://node", 7)
		if asked != 3 {
			t.Errorf("got %d requests within an hour; want 3", asked)
		}
		<-time.After(2 * time.Minute)
		c.MakeDirs(t.Context(), 1, "http://node", 7)
		if asked != 6 {
			t.Errorf("got %d requests after an hour; want 6", asked)
		}
	})
}

// A client waits for the directories of its upload, and gives up after 3 s.
func TestMakeDirsOfADeadNodeTakeOneTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := node.New(node.Config{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		})})
		begin := time.Now()
		c.MakeDirs(t.Context(), 1, "http://node", 7)
		if took := time.Since(begin); took != 2*time.Second {
			t.Errorf("got done after %v; want %v", took, 2*time.Second)
		}
	})
}
