package job_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/job"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

var once = mogile.Class{MinDevCount: 1, Hash: mogile.HashMD5}

// copyRig has a file on device 1 that has all the copies it needs.
func copyRig(t *testing.T) (*rig, mogile.FID) {
	r := newRig(t, once, one, two)
	fid := r.upload("a", 1, mogile.Checksum{})
	r.start()
	r.becomes(store.ReplicateQueue, "finished")
	return r, fid
}

// refuses checks why a copy was not made; an empty want means that it was.
func (r *rig) refuses(fid mogile.FID, from, to mogile.DevID, want string) {
	r.t.Helper()
	got, err := r.jobs.Copy(r.t.Context(), fid, from, to)
	if err != nil || !strings.Contains(got, want) || (got == "") != (want == "") {
		r.t.Errorf("copy %d from %d to %d: got refusal %q, %v; want %q", fid, from, to, got, err, want)
	}
}

func TestACopyIsMadeWhereTheOperatorSays(t *testing.T) {
	r := newRig(t, once, one, two)
	var changed []string
	r.hire(job.Config{Changed: func(d mogile.DomainName, k mogile.Key) { changed = append(changed, fmt.Sprint(d, "/", k)) }})
	fid := r.upload("a", 1, mogile.Checksum{})
	r.start()
	r.becomes(store.ReplicateQueue, "finished")
	r.refuses(fid, 1, 2, "")
	r.wantCopies(fid, 1, 2)
	if sum := must(r.store.Store.Checksum(t.Context(), fid))(t); !sum.Equal(md5Of(hello)) {
		t.Errorf("got checksum %v; want that of the file", sum)
	}
	if fmt.Sprint(changed) != "[images/a]" {
		t.Errorf("got changes %v; want [images/a]", changed)
	}
	r.refuses(fid, 1, 2, "device 2 has the file already")
}

func TestACopyThatCanNotBeIsRefused(t *testing.T) {
	r, fid := copyRig(t)
	r.refuses(4711, 1, 2, "file is gone")
	r.refuses(fid, 2, 1, "device 2 does not have the file")
	r.refuses(fid, 1, 99, "there is no device 99")
	r.refuses(fid, 1, 1, "device 1 has the file already")
	must(r.store.Lock(t.Context(), "mgfs:fid:"+fid.String()+":replicate", 0))(t)
	r.refuses(fid, 1, 2, "another works on it")
	r.wantCopies(fid, 1)
}

func TestDevicesThatMayNotBeUsedAreRefused(t *testing.T) {
	r := newRig(t, mogile.Class{MinDevCount: 2}, one, two, three)
	fid := r.upload("a", 1, mogile.Checksum{})
	r.extraCopy(fid, 3)
	r.start()
	r.becomes(store.ReplicateQueue, "finished")
	down := func(dev mogile.DevID) {
		t.Helper()
		r.check(r.store.SetDeviceState(t.Context(), dev, mogile.DevDown))
		r.check(r.jobs.Refresh(t.Context()))
	}
	down(2)
	r.refuses(fid, 1, 2, "device 2 takes no files")
	down(1)
	r.refuses(fid, 1, 2, "device 1 can't be read from")
	down(3)
	r.refuses(fid, 1, 2, "no copy can be read")
}

func TestACopyThatFailsLeavesNothing(t *testing.T) {
	for name, failure := range map[string]struct {
		dev    mogile.DevID
		method string
	}{"source": {1, http.MethodGet}, "destination": {2, http.MethodPut}} {
		t.Run(name, func(t *testing.T) {
			r, fid := copyRig(t)
			path := fid.Path(failure.dev)
			r.hosts[failure.dev].behaves(func(w http.ResponseWriter, req *http.Request) bool {
				if req.Method != failure.method || req.URL.Path != path {
					return false
				}
				w.WriteHeader(http.StatusInternalServerError)
				return true
			})
			r.refuses(fid, 1, 2, failure.method+" http://")
			r.wantCopies(fid, 1)
		})
	}
}

func TestAStoreThatFailsIsNoRefusal(t *testing.T) {
	r, fid := copyRig(t)
	r.jobs.Close()
	r.store.failNext(1)
	refusal, err := r.jobs.Copy(t.Context(), fid, 1, 2)
	if refusal != "" || !errors.Is(err, errInjected) {
		t.Errorf("got refusal %q, %v; want %v", refusal, err, errInjected)
	}
}
