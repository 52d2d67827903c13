package node_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"testing"

	"github.com/mogilefs/caddy-mogilefs/tracker/node"
)

// disks answers for every URL.
type disks func(url string) (int64, bool, error)

func (d disks) Size(url string) (n int64, here bool, err error) { return d(url) }

func TestSizesOnDisksHereAreNotAskedFor(t *testing.T) {
	broken := errors.New("disk is broken")
	for name, q := range map[string]struct {
		n     int64
		here  bool
		err   error // the disk's, and then that of Size
		found bool
		size  int64
		heard int // requests to the node, which has 5 bytes
	}{
		"there":     {n: 7, here: true, found: true, size: 7},
		"empty":     {n: 0, here: true, found: true, size: 0},
		"absent":    {here: true, err: fmt.Errorf("open: %w", fs.ErrNotExist)},
		"trouble":   {here: true, err: broken},
		"elsewhere": {n: 7, err: broken, found: true, size: 5, heard: 1},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNode(t)
			n.put(path, "hello")
			c := newClient(t, node.Config{Disks: disks(func(url string) (int64, bool, error) {
				if url != n.URL+path {
					t.Errorf("disks were asked for %s; want %s", url, n.URL+path)
				}
				return q.n, q.here, q.err
			})})
			size, found, err := c.Size(t.Context(), n.URL+path)
			if size != q.size || found != q.found || errors.Is(err, broken) != (q.here && q.err == broken) || err != nil && !q.here {
				t.Errorf("got %d, %v, %v; want %d, %v", size, found, err, q.size, q.found)
			}
			if heard := n.hears(); len(heard) != q.heard {
				t.Errorf("node heard %v; want %d requests", heard, q.heard)
			}
		})
	}
}

func TestADiskThatHangsIsNotWaitedForLongerThanANode(t *testing.T) {
	n := newNode(t)
	n.says(http.MethodHead, http.StatusTeapot)
	release := make(chan struct{})
	c := newClient(t, node.Config{NodeTimeout: soon, Disks: disks(func(string) (int64, bool, error) {
		<-release
		return 0, true, nil
	})})
	defer close(release)
	if _, _, err := c.Size(t.Context(), n.URL+path); !errors.Is(err, node.ErrTimeout) {
		t.Errorf("got error %v; want %v", err, node.ErrTimeout)
	}
	gone := errors.New("client is gone")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(gone)
	if _, _, err := c.Size(ctx, n.URL+path); !errors.Is(err, gone) {
		t.Errorf("got error %v; want %v", err, gone)
	}
	c.Close() // which does not wait for ever either
}
