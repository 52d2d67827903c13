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
		if row.NextTry > time.Now().Add(time.Second).Unix() {
			t.Errorf("fid %d: got row %+v; want it due soon", fid, row)
		}
	}
	if err := r.jobs.Refresh(t.Context()); err == nil {
		t.Error("Refresh after Close: got no error")
	}
	if err := r.jobs.Ready(t.Context()); err == nil {
		t.Error("Ready after Close: got no error")
	}
	r.jobs.Want(job.Replicate, 9)
	if n := r.jobs.Tell(job.Monitor, "wake"); n != 1 {
		t.Errorf("Tell after Close: got %d workers; want 1", n)
	}
	r.jobs.Start() // too late: nothing runs
}

func TestWorkersCanBeChangedWhileTheyWork(t *testing.T) {
	r := newRig(t, twice, one, two)
	r.hire(job.Config{Workers: map[job.Name]int{job.Replicate: 0}})
	r.start()
	fid := r.upload("a", 1, mogile.Checksum{})
	r.jobs.Wake(store.ReplicateQueue)
	if got := status(r); got != "delete 16/16 fsck 8/8 job_master 1/1 monitor 1/1 reaper 1/1 replicate 0/0" {
		t.Errorf("got status %s; want no replicate worker", got)
	}
	r.jobs.Want(job.Replicate, 3)
	if got := status(r); got != "delete 16/16 fsck 8/8 job_master 1/1 monitor 1/1 reaper 1/1 replicate 3/3" {
		t.Errorf("got status %s; want 3 replicate workers", got)
	}
	if got := r.await(); got.fate != "finished" || got.fid != fid {
		t.Errorf("got %+v; want fid %d finished", got, fid)
	}
	r.jobs.Want(job.Replicate, 0)
	r.jobs.Want(job.Replicate, 1)
	fid = r.upload("b", 1, mogile.Checksum{})
	r.becomes(store.ReplicateQueue, "finished")
	r.wantCopies(fid, 1, 2)
	if got := sent(r, job.Replicate); got != 2 {
		t.Errorf("got %d rows sent to workers; want 2", got)
	}
}

// status is what operators are shown: count and desired of each job.
func status(r *rig) string {
	var words []string
	for _, s := range r.jobs.Status() {
		words = append(words, fmt.Sprintf("%s %d/%d", s.Name, s.Count, s.Desired))
	}
	return strings.Join(words, " ")
}

func sent(r *rig, name job.Name) int64 {
	r.t.Helper()
	for _, s := range r.jobs.Status() {
		if s.Name == name {
			return s.Sent
		}
	}
	r.t.Fatalf("no job is called %s", name)
	return 0
}

func TestWithoutMasterTheQueuesAreLeftAlone(t *testing.T) {
	r := newRig(t, twice, one, two)
	r.jobs.Want(job.Master, 0)
	r.start()
	if got := status(r); got != "delete 16/16 fsck 8/8 job_master 0/0 monitor 1/1 reaper 1/1 replicate 32/32" {
		t.Errorf("got status %s; want no master", got)
	}
	fid := r.upload("a", 1, mogile.Checksum{})
	r.jobs.Wake(store.ReplicateQueue)
	r.check(r.jobs.Refresh(t.Context())) // time for a crew that does not listen
	r.wantCopies(fid, 1)
	if got := sent(r, job.Replicate); got != 0 {
		t.Errorf("got %d rows sent to workers; want none", got)
	}
	r.jobs.Want(job.Master, 7)
	if got := r.await(); got.fate != "finished" || got.fid != fid {
		t.Errorf("got %+v; want fid %d finished", got, fid)
	}
	if got := status(r); got != "delete 16/16 fsck 8/8 job_master 1/1 monitor 1/1 reaper 1/1 replicate 32/32" {
		t.Errorf("got status %s; want one master", got)
	}
}

func TestJobsWithoutEngineKeepWhatWasWanted(t *testing.T) {
	r := newRig(t, twice, one)
	r.jobs.Want(job.Fsck, 2)
	r.jobs.Want(job.Reaper, 0)
	r.jobs.Want(job.Monitor, 2) // there is always one
	r.jobs.Want(job.Monitor, 0)
	if got := status(r); got != "delete 0/16 fsck 0/2 job_master 1/1 monitor 1/1 reaper 0/0 replicate 0/32" {
		t.Errorf("got status %s; want what is there, and what was wanted", got)
	}
	if n := r.jobs.Tell(job.Fsck, "wake"); n != 0 {
		t.Errorf("got %d fsck workers to hear; want none", n)
	}
}

func TestOperatorsCanWakeJobs(t *testing.T) {
	r := newRig(t, twice, one, two)
	if r.jobs.Looked() {
		t.Error("got devices looked at before the start; want not")
	}
	r.start()
	if !r.jobs.Looked() {
		t.Error("got no devices looked at; want them")
	}
	for _, word := range []string{"wake", ":wake_up"} {
		fid := r.upload(mogile.Key(word), 1, mogile.Checksum{})
		begin := time.Now()
		if n := r.jobs.Tell(job.Replicate, word); n != 32 {
			t.Errorf("got %d workers told; want 32", n)
		}
		if got := r.await(); got.fid != fid || time.Since(begin) > 2*time.Second {
			t.Errorf("got %+v after %v; want fid %d at once", got, time.Since(begin), fid)
		}
	}
	for name, want := range map[job.Name]int{job.Replicate: 32, job.Monitor: 1, job.Master: 1, job.Reaper: 1, "cook": 0} {
		if n := r.jobs.Tell(name, "something else"); n != want {
			t.Errorf("%s: got %d workers told; want %d", name, n, want)
		}
	}
}

func TestConfiguredWorkersAreChecked(t *testing.T) {
	for _, c := range []struct {
		name job.Name
		n    int
		want string
	}{
		{"replicate", -1, "want 0 to 500"}, {"replicate", 501, "want 0 to 500"},
		{"monitor", 0, "exactly 1"}, {"monitor", 2, "exactly 1"}, {"reaper", 2, "want 0 or 1"}, {"reaper", -1, "want 0 or 1"}, {"cleaner", 1, "[delete fsck monitor reaper replicate]"},
	} {
		if err := job.CheckWorkers(c.name, c.n); err == nil || !strings.Contains(err.Error(), c.want) {
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
