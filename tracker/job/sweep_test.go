package job_test

import (
	"testing"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

// errorSweep makes the i-th call of the store fail while a job works on one row, for
// each i until none fails, lets the row come due again, and looks at the end.
func errorSweep(t *testing.T, q store.QueueName, build func(t *testing.T) (*rig, mogile.FID), check func(r *rig, fid mogile.FID)) {
	calls := map[string]bool{}
	for i := 1; ; i++ {
		r, fid := build(t)
		r.start()
		r.store.failNext(i)
		r.check(r.store.Store.Enqueue(t.Context(), q, 0, fid))
		r.jobs.Wake(q)
		got := r.await()
		failed := r.store.hasFailed()
		r.store.failNext(0)
		if failed == "" {
			if got.fate != "finished" || i == 1 {
				t.Fatalf("call %d: none failed, and got %+v", i, got)
			}
			break
		}
		calls[failed] = true
		if failed != "finished" && got.fate == "finished" {
			t.Fatalf("call %d, %s failed: got %+v; want an error that was reported", i, failed, got)
		}
		r.check(r.store.Store.Postpone(t.Context(), q, fid, 0, 0))
		if again := r.becomes(q, "finished"); again.fid != fid {
			t.Fatalf("call %d, %s failed: got %+v; want fid %d finished", i, failed, again, fid)
		}
		check(r, fid)
		r.jobs.Close()
	}
	t.Logf("failed at %v", calls)
	if len(calls) < 4 {
		t.Errorf("got failures only at %v", calls)
	}
}

func TestReplicateSurvivesAFailureAtAnyCall(t *testing.T) {
	errorSweep(t, store.ReplicateQueue, func(t *testing.T) (*rig, mogile.FID) {
		r := newRig(t, twiceMD5, one, two)
		fid := r.upload("a", 1, mogile.Checksum{})
		r.check(r.store.Store.Finish(t.Context(), store.ReplicateQueue, store.Item{FID: fid}))
		return r, fid
	}, func(r *rig, fid mogile.FID) {
		r.wantCopies(fid, 1, 2)
		sum, err := r.store.Store.Checksum(r.t.Context(), fid)
		if err != nil || !sum.Equal(md5Of(hello)) {
			r.t.Errorf("got checksum %v, %v; want %v", sum, err, md5Of(hello))
		}
	})
}

func TestDeleteSurvivesAFailureAtAnyCall(t *testing.T) {
	errorSweep(t, store.DeleteQueue, func(t *testing.T) (*rig, mogile.FID) {
		r := newRig(t, twice, one, two)
		fid := r.doomed(1, 2)
		r.check(r.store.Store.Finish(t.Context(), store.DeleteQueue, store.Item{FID: fid}))
		return r, fid
	}, func(r *rig, fid mogile.FID) {
		r.wantCopies(fid)
		if row, err := r.store.Queued(r.t.Context(), store.DeleteQueue, fid); err == nil {
			r.t.Errorf("got row %+v; want none", row)
		}
	})
}
