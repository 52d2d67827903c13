package job_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/job"
	"github.com/mogilefs/caddy-mogilefs/tracker/node"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

// doomed is a fid with copies on the devices, that no key names and that is in the
// delete queue. Nothing is left to replicate.
func (r *rig) doomed(devs ...mogile.DevID) mogile.FID {
	r.t.Helper()
	fid := r.upload("doomed", devs[0], md5Of(hello))
	for _, dev := range devs[1:] {
		r.extraCopy(fid, dev)
	}
	must(r.store.Delete(r.t.Context(), r.domain, "doomed"))(r.t)
	r.check(r.store.Store.Finish(r.t.Context(), store.ReplicateQueue, store.Item{FID: fid}))
	return fid
}

func TestDeleteRemovesEveryCopyAndThenTheRow(t *testing.T) {
	r := newRig(t, twice, one, two)
	fid := r.doomed(1, 2)
	r.start()
	r.becomes(store.DeleteQueue, "finished")
	r.wantCopies(fid)
	if sum, err := r.store.Store.Checksum(t.Context(), fid); err == nil {
		t.Errorf("got checksum %v; want none left", sum)
	}
}

func TestTheNextFileDoesNotWaitForALockToBeGivenBack(t *testing.T) {
	r := newRig(t, twice, one)
	r.hire(job.Config{Workers: map[job.Name]int{job.Delete: 1}})
	r.store.unlock = make(chan struct{})
	t.Cleanup(func() { close(r.store.unlock) })
	fids := []mogile.FID{r.doomed(1), r.doomed(1)}
	r.start()
	r.jobs.Wake(store.DeleteQueue)
	for range fids {
		if got := r.await(); got.fate != "finished" {
			t.Fatalf("got %+v; want it finished while no lock was given back", got)
		}
	}
	for _, fid := range fids {
		r.wantCopies(fid)
	}
}

// Each node answers only when the other one was asked, too.
func TestDeleteAsksAllNodesAtOnce(t *testing.T) {
	r := newRig(t, twice, one, two)
	patient := node.New(node.Config{NodeTimeout: 10 * time.Second, ConnTimeout: 10 * time.Second, Management: closedPort(t)})
	t.Cleanup(patient.Close)
	r.hireWith(patient, job.Config{})
	fid := r.doomed(1, 2)
	asked := map[mogile.DevID]chan struct{}{1: make(chan struct{}), 2: make(chan struct{})}
	for dev, other := range map[mogile.DevID]mogile.DevID{1: 2, 2: 1} {
		r.hosts[dev].behaves(func(_ http.ResponseWriter, req *http.Request) bool {
			if req.Method != http.MethodDelete {
				return false
			}
			close(asked[dev])
			select {
			case <-asked[other]:
			case <-req.Context().Done():
			}
			return false
		})
	}
	r.start()
	r.becomes(store.DeleteQueue, "finished")
	r.wantCopies(fid)
}

func TestADeletionThatTheEndInterruptsIsGivenBackAndBlamedOnNobody(t *testing.T) {
	r := newRig(t, twice, one)
	patient := node.New(node.Config{NodeTimeout: time.Minute, ConnTimeout: time.Minute, Management: closedPort(t)})
	t.Cleanup(patient.Close)
	core, logged := observer.New(zapcore.InfoLevel)
	r.hireWith(patient, job.Config{Logger: zap.New(core)})
	fid := r.doomed(1)
	asked := make(chan struct{}, 1)
	r.hosts[1].behaves(func(w http.ResponseWriter, req *http.Request) bool {
		if req.Method == http.MethodDelete {
			asked <- struct{}{}
		}
		return stalls(http.MethodDelete)(w, req)
	})
	r.start()
	r.jobs.Wake(store.DeleteQueue)
	<-asked
	r.jobs.Close()
	row := must(r.store.Queued(t.Context(), store.DeleteQueue, fid))(t)
	if row.NextTry > time.Now().Add(time.Second).Unix() || row.FailCount != 0 {
		t.Errorf("got row %+v; want it due at once, and no failure", row)
	}
	if said := logged.FilterMessage("copy is not deleted"); said.Len() > 0 {
		t.Errorf("got %v logged; want nothing said of a node that was not waited for", said.All())
	}
}

func TestDeleteTakesMissingForGone(t *testing.T) {
	r := newRig(t, twice, one)
	fid := r.doomed(1)
	r.hosts[1].behaves(refuses("DELETE", 404))
	r.start()
	r.becomes(store.DeleteQueue, "finished")
	if got := r.copies(fid); len(got) != 0 {
		t.Errorf("got copies %v; want none", got)
	}
}

func TestDeleteForgetsCopiesOnDeadDevicesWithoutAsking(t *testing.T) {
	r := newRig(t, twice, one, two)
	fid := r.doomed(1, 2)
	r.setState(2, mogile.DevDead)
	r.start()
	r.becomes(store.DeleteQueue, "finished")
	if got, heard := r.copies(fid), r.hosts[2].heardOf("DELETE"); len(got)+len(heard) != 0 {
		t.Errorf("got copies %v, and dead device heard %v; want nothing", got, heard)
	}
}

// The rows of docs/spec/jobs.md §5.1 that put the fid off; the copy on device 1 can
// always be deleted, and part success is not success.
func TestDeleteIsPutOffWhileACopyIsLeft(t *testing.T) {
	for name, c := range map[string]struct {
		prepare func(r *rig)
		delay   time.Duration
		fails   int
	}{
		"readonly":       {func(r *rig) { r.setState(2, mogile.DevReadonly) }, 10 * time.Minute, 0},
		"down":           {func(r *rig) { r.setState(2, mogile.DevDown) }, 10 * time.Minute, 0},
		"down, again":    {func(r *rig) { r.setState(2, mogile.DevDown) }, 13 * time.Minute, 3},
		"refusing":       {func(r *rig) { r.hosts[2].behaves(refuses("DELETE", 403)) }, 30 * time.Minute, 0},
		"refusing again": {func(r *rig) { r.hosts[2].behaves(refuses("DELETE", 500)) }, 90 * time.Minute, 2},
		"stalling":       {func(r *rig) { r.hosts[2].behaves(stalls("DELETE")) }, 30 * time.Minute, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, twice, one, two)
			fid := r.doomed(1, 2)
			r.check(r.store.Store.Postpone(t.Context(), store.DeleteQueue, fid, 0, c.fails))
			c.prepare(r)
			r.start()
			got := r.becomes(store.DeleteQueue, "postponed")
			if got.delay != c.delay || got.failCount != c.fails+1 {
				t.Errorf("got delay %v, failcount %d; want %v, %d", got.delay, got.failCount, c.delay, c.fails+1)
			}
			r.wantCopies(fid, 2)
		})
	}
}

// The monitor saw it writeable; then the operator forbade it.
func TestDeleteIsPutOffLongerWhenTheOperatorForbidsIt(t *testing.T) {
	r := newRig(t, twice, one, two)
	r.hire(job.Config{Workers: map[job.Name]int{job.Replicate: 0}})
	r.start()
	r.setHostState("host2", mogile.HostReadonly)
	fid := r.doomed(1, 2)
	if got := r.becomes(store.DeleteQueue, "postponed"); got.delay != time.Hour {
		t.Errorf("got delay %v; want 1h", got.delay)
	}
	r.wantCopies(fid, 2)
}

func TestDeleteComesBackForTheFirstCopyThatCanGo(t *testing.T) {
	r := newRig(t, twice, one, two, three)
	fid := r.doomed(1, 2, 3)
	r.hosts[1].behaves(refuses("DELETE", 500)) // 30 min
	r.setState(2, mogile.DevDown)              // 10 min
	r.hosts[3].behaves(refuses("DELETE", 500)) // 30 min
	r.start()
	if got := r.becomes(store.DeleteQueue, "postponed"); got.delay != 10*time.Minute || got.failCount != 1 {
		t.Errorf("got delay %v, failcount %d; want 10m, 1", got.delay, got.failCount)
	}
	r.wantCopies(fid, 1, 2, 3)
}

func TestDeleteLeavesCopiesOnUnknownDevices(t *testing.T) {
	r := newRig(t, twice, one)
	fid := r.doomed(1)
	r.check(r.store.Store.AddCopy(t.Context(), fid, 77))
	other := r.upload("other", 1, mogile.Checksum{})
	must(r.store.Delete(t.Context(), r.domain, "other"))(t)
	r.check(r.store.Store.Finish(t.Context(), store.ReplicateQueue, store.Item{FID: other}))
	r.hire(job.Config{Workers: map[job.Name]int{job.Delete: 1}})
	r.start()
	if got := r.becomes(store.DeleteQueue, "finished"); got.fid != other {
		t.Errorf("got fid %d finished; want %d", got.fid, other)
	}
	r.jobs.Close()
	if got := r.copies(fid); fmt.Sprint(got) != "[77]" {
		t.Errorf("got copies %v; want [77]", got)
	}
	if _, err := r.store.Queued(t.Context(), store.DeleteQueue, fid); err != nil {
		t.Errorf("got %v; want the row still queued", err)
	}
}

func TestDeleteComesBackSoonWhenAnotherWorksOnTheFid(t *testing.T) {
	r := newRig(t, twice, one)
	fid := r.doomed(1)
	release := must(r.store.Lock(t.Context(), fmt.Sprintf("mgfs:fid:%d:replicate", fid), 0))(t)
	r.start()
	if got := r.becomes(store.DeleteQueue, "postponed"); got.delay != time.Second || got.failCount != 1 {
		t.Errorf("got delay %v, failcount %d; want 1s, 1", got.delay, got.failCount)
	}
	release()
	r.becomes(store.DeleteQueue, "finished") // unasked: what was put off is not forgotten
}

func TestSweepHandsAbandonedUploadsToDelete(t *testing.T) {
	r := newRig(t, twice, one, two)
	fid := mogile.FID(4711)
	r.hosts[2].put(fid.Path(2), hello)
	r.store.swept = func() (int, error) { // as the store does with one that is an hour old
		for _, dev := range []mogile.DevID{1, 2} {
			if err := r.store.Store.AddCopy(t.Context(), fid, dev); err != nil {
				return 0, err
			}
		}
		return 1, r.store.Enqueue(t.Context(), store.DeleteQueue, 0, fid)
	}
	r.start()
	if got := r.await(); got.fate != "finished" || got.fid != fid {
		t.Fatalf("got %+v; want fid %d deleted", got, fid)
	}
	r.wantCopies(fid)
	if got := r.store.sweepAge; got != time.Hour {
		t.Errorf("got uploads swept after %v; want 1h", got)
	}
}

func TestSweepLeavesItToWhoHoldsTheLock(t *testing.T) {
	r := newRig(t, twice, one)
	r.hire(job.Config{Workers: map[job.Name]int{job.Replicate: 0}})
	r.store.swept = func() (int, error) { t.Error("swept without the lock"); return 0, nil }
	release := must(r.store.Lock(t.Context(), "mgfs:tempfiles", 0))(t)
	defer release()
	r.start()
	fid := r.doomed(1)
	r.becomes(store.DeleteQueue, "finished")
	r.wantCopies(fid)
	r.jobs.Close()
}
