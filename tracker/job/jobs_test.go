package job_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/job"
	"github.com/mogilefs/caddy-mogilefs/tracker/node"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

// The poll is every 5 seconds: what is done much sooner was done because of the call.
func TestWakeIsActedOnAtOnce(t *testing.T) {
	r := newRig(t, twice, one, two)
	r.start()
	for i := range 3 {
		fid := r.upload(mogile.Key(fmt.Sprint(i)), 1, mogile.Checksum{})
		begin := time.Now()
		r.becomes(store.ReplicateQueue, "finished")
		if took := time.Since(begin); took > 2*time.Second {
			t.Errorf("got a copy %v after Wake; want it at once", took)
		}
		r.wantCopies(fid, 1, 2)
	}
}

func TestCloseGivesBackWhatIsNotDone(t *testing.T) {
	r := newRig(t, twice, one, two)
	const files = 8
	putting := make(chan struct{}, files)
	r.hosts[2].behaves(func(w http.ResponseWriter, req *http.Request) bool {
		if req.Method == http.MethodPut {
			putting <- struct{}{}
		}
		return stalls(http.MethodPut)(w, req)
	})
	var fids []mogile.FID
	for i := range files {
		fids = append(fids, r.upload(mogile.Key(fmt.Sprint(i)), 1, mogile.Checksum{}))
	}
	r.start()
	r.jobs.Wake(store.ReplicateQueue)
	<-putting
	r.jobs.Close()
	r.jobs.Close() // twice is harmless
	for _, fid := range fids {
		row := must(r.store.Queued(t.Context(), store.ReplicateQueue, fid))(t)
		if row.NextTry > time.Now().Add(time.Minute).Unix() {
			t.Errorf("fid %d: got row %+v; want it due soon", fid, row)
		}
	}
	if err := r.jobs.Refresh(t.Context()); err == nil {
		t.Error("Refresh after Close: got no error")
	}
	if err := r.jobs.Ready(t.Context()); err == nil {
		t.Error("Ready after Close: got no error")
	}
	if err := r.jobs.SetWorkers("replicate", 9); err != nil {
		t.Errorf("SetWorkers after Close: got error %v; want none", err)
	}
	r.jobs.Start() // too late: nothing runs
}

func TestWorkersCanBeChangedWhileTheyWork(t *testing.T) {
	r := newRig(t, twice, one, two)
	r.hire(job.Config{Workers: map[job.Name]int{job.Replicate: 0}})
	r.start()
	fid := r.upload("a", 1, mogile.Checksum{})
	r.jobs.Wake(store.ReplicateQueue)
	if got := status(r); got != "[{delete 2 2} {monitor 1 1} {replicate 0 0}]" {
		t.Errorf("got status %s; want no replicate worker", got)
	}
	r.check(r.jobs.SetWorkers("replicate", 3))
	if got := status(r); got != "[{delete 2 2} {monitor 1 1} {replicate 3 3}]" {
		t.Errorf("got status %s; want 3 replicate workers", got)
	}
	if got := r.await(); got.fate != "finished" || got.fid != fid {
		t.Errorf("got %+v; want fid %d finished", got, fid)
	}
	r.check(r.jobs.SetWorkers("replicate", 0))
	r.check(r.jobs.SetWorkers("replicate", 1))
	fid = r.upload("b", 1, mogile.Checksum{})
	r.becomes(store.ReplicateQueue, "finished")
	r.wantCopies(fid, 1, 2)
}

func status(r *rig) string { return fmt.Sprint(r.jobs.Status()) }

func TestSetWorkersSaysWhatIsPossible(t *testing.T) {
	r := newRig(t, twice, one)
	for _, c := range []struct {
		name string
		n    int
		want string
	}{
		{"replicate", -1, "want 0 to 500"}, {"replicate", 501, "want 0 to 500"},
		{"monitor", 0, "exactly 1"}, {"monitor", 2, "exactly 1"}, {"cleaner", 1, "[delete monitor replicate]"},
	} {
		if err := r.jobs.SetWorkers(c.name, c.n); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%d %s: got error %v; want one with %q", c.n, c.name, err, c.want)
		}
	}
}

// panicky is a client that panics at its first copy.
type panicky struct {
	*node.Client
	panicked bool
}

func (p *panicky) Copy(ctx context.Context, args node.CopyArgs) (mogile.Checksum, error) {
	if !p.panicked {
		p.panicked = true
		panic("out of cheese")
	}
	return p.Client.Copy(ctx, args)
}

func TestAPanicBacksOffAndTheWorkerLives(t *testing.T) {
	r := newRig(t, twice, one, two)
	r.hireWith(&panicky{Client: r.nodes}, job.Config{Workers: map[job.Name]int{job.Replicate: 1}})
	fid := r.upload("a", 1, mogile.Checksum{})
	r.start()
	if got := r.becomes(store.ReplicateQueue, "postponed"); got.failCount != 1 {
		t.Errorf("got %+v; want one failure", got)
	}
	r.check(r.store.Store.Postpone(t.Context(), store.ReplicateQueue, fid, 0, 1))
	r.becomes(store.ReplicateQueue, "finished") // also: the fid's lock is free again
	r.wantCopies(fid, 1, 2)
}
