package edge_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/cache"
	"github.com/mogilefs/caddy-mogilefs/edge"
	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// Ten minutes of fake time, with the cache's defaults.
func TestTenMinutesWithoutATracker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		locations, err := cache.NewLocations(cache.Config{Bytes: 2 << 20})
		if err != nil {
			t.Fatal(err)
		}
		defer locations.Close()
		k, d := newTracker(), newDisks(t)
		for i := range 5 {
			fid := mogile.FID(i + 1)
			d.put(t, fid, noise(1000+i))
			k.set(mogile.Key(fmt.Sprint("k", i)), mogile.Location{FID: fid, Length: int64(1000 + i), Copies: []mogile.Copy{d.copyOf(fid)}})
		}
		e, err := edge.New(edge.Config{Tracker: k, Disks: d, Locations: locations, Logger: zap.NewNop()})
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		get := func(key string) (status, length int) {
			w := httptest.NewRecorder()
			err := e.Serve(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/"+key, nil), edge.Request{Domain: "images", Key: mogile.Key(key)})
			var failed *edge.Error
			if errors.As(err, &failed) {
				return failed.Status, 0
			}
			return w.Code, w.Body.Len()
		}
		known := func() {
			t.Helper()
			for i := range 5 {
				if status, n := get(fmt.Sprint("k", i)); status != http.StatusOK || n != 1000+i {
					t.Errorf("known key: got %d and %d bytes; want its content", status, n)
				}
			}
		}
		known()
		synctest.Wait() // until it is remembered
		k.fail("locate", errors.New("down"))
		for range 120 {
			<-time.After(5 * time.Second)
			known()
			if status, _ := get("unknown"); status != http.StatusServiceUnavailable {
				t.Errorf("unknown key: got %d; want 503", status)
			}
		}
		k.fail("locate", nil)
		<-time.After(2 * time.Second)
		known()
		if status, _ := get("unknown"); status != http.StatusNotFound {
			t.Errorf("unknown key, when the tracker is back: got %d; want 404", status)
		}
	})
}
