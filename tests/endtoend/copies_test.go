package endtoend

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tests/process"
)

// copiedWithin is the promise: the second copy follows an upload at once, not at
// the next poll of a queue.
const copiedWithin = 3 * time.Second

func TestTheSecondCopyFollowsAtOnce(t *testing.T) {
	c := process.NewCluster(t, process.ClusterOptions{})
	want := picture(t, 2)
	wantStatus(t, "PUT", c.Put("aqua.jpg", want), http.StatusCreated)
	fid := c.FID("aqua.jpg")
	process.Eventually(t, copiedWithin, "second copy", func() bool { return len(c.Copies(fid)) == 2 })
	for _, dev := range []mogile.DevID{1, 2} {
		wantFile(t, filepath.Join(c.Root, fid.Path(dev)), want)
	}
}

func TestEitherCopyIsEnough(t *testing.T) {
	c := process.NewCluster(t, process.ClusterOptions{})
	want := picture(t, 3)
	for lost := range 2 {
		key := []string{"lost on the first", "lost on the second"}[lost]
		wantStatus(t, "PUT", c.Put(key, want), http.StatusCreated)
		copies := c.AwaitCopies(c.FID(key), 2)
		wantBody(t, "GET before the loss", c.Get(key), want)
		if err := os.Remove(copies[lost]); err != nil {
			t.Fatal(err)
		}
		for range 10 { // so that the lost copy's turn comes
			got := c.Get(key)
			wantStatus(t, "GET, "+key, got, http.StatusOK)
			wantBody(t, "GET, "+key, got, want)
		}
	}
}

func TestWithoutAnyCopyTheAnswerIsToTryAgain(t *testing.T) {
	c := process.NewCluster(t, process.ClusterOptions{})
	wantStatus(t, "PUT", c.Put("gone", picture(t, 4)), http.StatusCreated)
	for _, name := range c.AwaitCopies(c.FID("gone"), 2) {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	got := c.Get("gone")
	wantStatus(t, "GET", got, http.StatusServiceUnavailable)
	if got.Header.Get("Retry-After") == "" {
		t.Errorf("got no Retry-After in %v; want one", got.Header)
	}
}

func TestADeletedFileLeavesTheDisks(t *testing.T) {
	c := process.NewCluster(t, process.ClusterOptions{})
	wantStatus(t, "PUT", c.Put("aqua.jpg", picture(t, 5)), http.StatusCreated)
	wantStatus(t, "PUT", c.Put("stays.jpg", picture(t, 6)), http.StatusCreated)
	fid := c.FID("aqua.jpg")
	c.AwaitCopies(fid, 2)
	wantStatus(t, "GET", c.Get("aqua.jpg"), http.StatusOK)

	wantStatus(t, "DELETE", c.Delete("aqua.jpg"), http.StatusNoContent)
	wantStatus(t, "GET after DELETE", c.Get("aqua.jpg"), http.StatusNotFound)
	wantStatus(t, "second DELETE", c.Delete("aqua.jpg"), http.StatusNotFound)
	c.AwaitCopies(fid, 0)
	c.AwaitSettled(process.CopiedWithin)
	wantStatus(t, "GET of the other", c.Get("stays.jpg"), http.StatusOK)
}
