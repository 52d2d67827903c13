package job_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/job"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

var four = []mogile.DevID{4}

// queueMove has the copy on a device moved to one of the others.
func (r *rig) queueMove(fid mogile.FID, from mogile.DevID, to string) {
	r.t.Helper()
	r.store.expectMove(fid)
	r.check(r.store.EnqueueWork(r.t.Context(), store.WorkRow{FID: fid, Kind: store.RebalanceWork, Dev: from, Arg: to}))
}

// moveRig has a file with copies on two of four hosts, and nothing else to do.
func moveRig(t *testing.T, class mogile.Class, sum mogile.Checksum) (*rig, mogile.FID) {
	t.Helper()
	r := newRig(t, class, one, two, three, four)
	fid := r.upload("a", 1, sum)
	r.extraCopy(fid, 2)
	r.check(r.store.Store.Finish(t.Context(), store.ReplicateQueue, store.Item{FID: fid}))
	return r, fid
}

// corrupt puts other bytes of the same length where a copy is.
func (r *rig) corrupt(fid mogile.FID, dev mogile.DevID) {
	r.hosts[dev].put(fid.Path(dev), "HELLO, REPLICA")
}

func TestACopyIsMovedWhereItsRowSays(t *testing.T) {
	r, fid := moveRig(t, twice, mogile.Checksum{})
	var changed []string
	r.hire(job.Config{Changed: func(d mogile.DomainName, k mogile.Key) { changed = append(changed, fmt.Sprint(d, "/", k)) }})
	r.queueMove(fid, 1, "4")
	r.start()
	r.becomes(store.RebalanceQueue, "finished")
	r.wantCopies(fid, 2, 4)
	if file := must(r.store.Store.FileByFID(t.Context(), fid))(t); file.DevCount != 2 {
		t.Errorf("got devcount %d; want 2", file.DevCount)
	}
	if gets := r.hosts[2].heardOf("GET"); len(gets) != 0 {
		t.Errorf("device 2 heard %v; want the very bytes moved that go", gets)
	}
	r.jobs.Close()
	if fmt.Sprint(changed) != "[images/a images/a]" {
		t.Errorf("got changes %v; want one for the copy that came and one for that that went", changed)
	}
}

func TestACopyThatIsNotNeededIsNotMadeAgain(t *testing.T) {
	r, fid := moveRig(t, twice, mogile.Checksum{})
	r.extraCopy(fid, 3)
	r.queueMove(fid, 1, "4")
	r.start()
	r.becomes(store.RebalanceQueue, "finished")
	r.wantCopies(fid, 2, 3)
}

func TestAMoveThatMeansNothingIsDone(t *testing.T) {
	for name, queue := range map[string]func(r *rig, fid mogile.FID){
		"no copy there": func(r *rig, fid mogile.FID) { r.queueMove(fid, 3, "4") },
		"no file":       func(r *rig, fid mogile.FID) { r.queueMove(fid+1, 1, "4") },
		"no target":     func(r *rig, fid mogile.FID) { r.queueMove(fid, 1, "") },
		"odd targets":   func(r *rig, fid mogile.FID) { r.queueMove(fid, 1, ",x,99") },
		"where it is":   func(r *rig, fid mogile.FID) { r.queueMove(fid, 1, "2") },
	} {
		r, fid := moveRig(t, twice, mogile.Checksum{})
		r.hire(job.Config{Rand: func() float64 { return 0 }})
		queue(r, fid)
		r.start()
		got := r.settle(store.RebalanceQueue)
		if got.fate != "finished" {
			t.Errorf("%s: got %+v; want it finished in the end", name, got)
		}
		r.wantCopies(fid, 1, 2)
	}
}

// settle makes the only row due until nothing more becomes of it, and returns the last.
func (r *rig) settle(q store.QueueName) settled {
	r.t.Helper()
	for {
		r.jobs.Wake(q)
		got := r.await()
		if got.fate != "postponed" {
			return got
		}
		r.check(r.store.Store.Postpone(r.t.Context(), q, got.fid, 0, got.failCount))
	}
}

// What an operator wants moved never makes it worse for the file.
func TestAMoveKeepsCopiesOnDifferentHosts(t *testing.T) {
	r := newRig(t, twice, []mogile.DevID{1, 4}, []mogile.DevID{2, 3})
	fid := r.upload("a", 1, mogile.Checksum{})
	r.extraCopy(fid, 2)
	r.check(r.store.Store.Finish(t.Context(), store.ReplicateQueue, store.Item{FID: fid}))
	r.setState(1, mogile.DevDrain)
	r.queueMove(fid, 1, "3")
	r.start()
	r.becomes(store.RebalanceQueue, "finished")
	r.wantCopies(fid, 1, 2)
	r.queueMove(fid, 1, "3,4")
	r.becomes(store.RebalanceQueue, "finished")
	r.wantCopies(fid, 2, 4)
}

// Device 1 is drained for as long as the rebalance takes it: its host will have copies
// again.
func TestAMoveCountsTheHostOfADeviceThatComesBack(t *testing.T) {
	for was, want := range map[string][]mogile.DevID{"1 alive": {1, 2}, "1 drain": {2, 3}, "2 alive": {2, 3}, "": {2, 3}} {
		r := newRig(t, twice, one, []mogile.DevID{2, 3})
		fid := r.upload("a", 1, mogile.Checksum{})
		r.extraCopy(fid, 2)
		r.check(r.store.Store.Finish(t.Context(), store.ReplicateQueue, store.Item{FID: fid}))
		r.check(r.store.SetSetting(t.Context(), "rebal_sdev_was", was))
		r.setState(1, mogile.DevDrain)
		r.jobs.Want(job.Master, 0)
		r.start()
		r.queueMove(fid, 1, "3")
		r.check(r.store.SetSetting(t.Context(), "rebal_host", "there")) // so that ours does not tidy up
		r.jobs.Want(job.Master, 1)
		r.becomes(store.RebalanceQueue, "finished")
		r.wantCopies(fid, want...)
	}
}

func TestAMoveMakesUpForWhatIsMissing(t *testing.T) {
	r, fid := moveRig(t, twice, mogile.Checksum{})
	r.lose(fid, 2)
	r.queueMove(fid, 1, "3,4")
	r.start()
	r.becomes(store.RebalanceQueue, "finished")
	if got := fmt.Sprint(r.copies(fid)); got != "[2 3 4]" {
		t.Errorf("got copies %s; want two whole ones beside the missing one, which fsck finds", got)
	}
	for _, dev := range []mogile.DevID{3, 4} {
		if content, _ := r.hosts[dev].file(fid.Path(dev)); content != hello {
			t.Errorf("device %d: got %q; want the file", dev, content)
		}
	}
}

// A run that was cut off has deleted the copy, and the device that was to have it is gone.
func TestACopyThatIsGoneAndCanNotBeMovedIsForgotten(t *testing.T) {
	for _, queued := range []bool{false, true} {
		r, fid := moveRig(t, twice, mogile.Checksum{})
		r.lose(fid, 1)
		if queued {
			r.check(r.store.Store.Enqueue(t.Context(), store.ReplicateQueue, time.Hour, fid))
		}
		r.queueMove(fid, 1, "")
		r.start()
		r.jobs.Wake(store.RebalanceQueue)
		for finished := map[store.QueueName]bool{}; len(finished) < 2; {
			r.jobs.Wake(store.ReplicateQueue)
			if got := r.await(); got.fate == "finished" {
				finished[got.queue] = true
			}
		}
		if got := r.copies(fid); len(got) != 2 || r.onDisk(fid) != strings.Trim(fmt.Sprint(got), "[]") {
			t.Errorf("got copies recorded on %v, on disk %s; want two that are there", got, r.onDisk(fid))
		}
	}
}

func (r *rig) isQueued(q store.QueueName, fid mogile.FID) bool {
	r.t.Helper()
	_, err := r.store.Queued(r.t.Context(), q, fid)
	return !errors.Is(err, store.ErrNotFound)
}

// A run that was cut off has deleted a copy of too many, and another is lost before the next.
func TestASurplusCopyThatIsGoneIsForgotten(t *testing.T) {
	r, fid := moveRig(t, twice, mogile.Checksum{})
	r.extraCopy(fid, 3)
	r.hire(job.Config{Rand: func() float64 { return 0.5 }})
	r.store.cutAt("RemoveCopies")
	r.check(r.store.Store.Enqueue(t.Context(), store.ReplicateQueue, 0, fid))
	r.start()
	r.becomes(store.ReplicateQueue, "postponed")
	there := strings.Fields(r.onDisk(fid))
	if len(there) != 2 || len(r.copies(fid)) != 3 {
		t.Fatalf("got copies on %s of %v; want one deleted and not forgotten", there, r.copies(fid))
	}
	lost := must(mogile.ParseDevID(there[0]))(t)
	r.setState(lost, mogile.DevDead)
	r.check(r.store.Store.RemoveCopies(t.Context(), fid, lost))
	r.lose(fid, lost)
	r.store.expectMove(fid)
	for _, q := range []store.QueueName{store.ReplicateQueue, store.RebalanceQueue} {
		r.check(r.store.Store.Postpone(t.Context(), q, fid, 0, 1))
	}
	for r.isQueued(store.RebalanceQueue, fid) || r.isQueued(store.ReplicateQueue, fid) {
		r.jobs.Wake(store.ReplicateQueue)
		if got := r.await(); got.fate == "postponed" {
			r.check(r.store.Store.Postpone(t.Context(), got.queue, fid, 0, got.failCount))
		}
	}
	if got := r.copies(fid); len(got) != 2 || r.onDisk(fid) != strings.Trim(fmt.Sprint(got), "[]") {
		t.Errorf("got copies recorded on %v, on disk %s; want two that are there", got, r.onDisk(fid))
	}
}

// Nothing goes on the word of copies that nobody has seen.
func TestACopyStaysWhileTheOthersAreInDoubt(t *testing.T) {
	for name, doubt := range map[string]func(r *rig, fid mogile.FID){
		"one does not say":     func(r *rig, _ mogile.FID) { r.hosts[2].behaves(refuses("HEAD", 500)) },
		"one is down":          func(r *rig, _ mogile.FID) { r.setState(2, mogile.DevDown) },
		"a host is down":       func(r *rig, _ mogile.FID) { r.setHostState("host2", mogile.HostDown) },
		"one is not there":     func(r *rig, fid mogile.FID) { r.lose(fid, 2); r.noRoom() },
		"one is short":         func(r *rig, fid mogile.FID) { r.hosts[2].put(fid.Path(2), "hell"); r.noRoom() },
		"one is rotten":        func(r *rig, fid mogile.FID) { r.corrupt(fid, 2); r.noRoom() },
		"one is dead":          func(r *rig, _ mogile.FID) { r.setState(2, mogile.DevDead); r.noRoom() },
		"its node is stubborn": func(r *rig, _ mogile.FID) { r.hosts[1].behaves(refuses("DELETE", 403)) },
		"it is read-only":      func(r *rig, _ mogile.FID) { r.setState(1, mogile.DevReadonly) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, fid := moveRig(t, twice, md5Of(hello))
			r.extraCopy(fid, 3)
			doubt(r, fid)
			r.queueMove(fid, 1, "4")
			r.start()
			got := r.becomes(store.RebalanceQueue, "postponed")
			if got.failCount != 1 || got.delay < 12*time.Second || got.delay >= 18*time.Second {
				t.Errorf("got %+v; want it tried again, as failures are", got)
			}
			if content, _ := r.hosts[1].file(fid.Path(1)); content != hello || len(r.copies(fid)) != 3 {
				t.Errorf("got copies %v, %q on device 1; want the file there, and three", r.copies(fid), content)
			}
			if got := r.settleFrom(got); got.fate != "finished" {
				t.Errorf("got %+v; want the row gone in the end", got)
			}
		})
	}
}

// keepsAPart has a node say that it has stored what it has not.
func keepsAPart(h *fakeHost) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, req *http.Request) bool {
		if req.Method != http.MethodPut {
			return false
		}
		drainBody(req)
		h.put(req.URL.Path, hello[:4])
		w.WriteHeader(http.StatusCreated)
		return true
	}
}

// A copy is looked at before another goes for it, also where there is no digest to verify it by,
// or where the node has compared it while the bytes went by.
func TestACopyIsNotMovedOntoADeviceThatKeepsAPart(t *testing.T) {
	aMoveOntoABadDevice(t, mogile.Checksum{})
}

func TestACopyIsNotMovedOntoADeviceThatKeepsAPartOfWhatItsNodeVerified(t *testing.T) {
	aMoveOntoABadDevice(t, md5Of(hello))
}

func aMoveOntoABadDevice(t *testing.T, sum mogile.Checksum) {
	for name, behaves := range map[string]func(h *fakeHost) func(http.ResponseWriter, *http.Request) bool{
		"a part is kept": keepsAPart,
		"nothing is kept": func(*fakeHost) func(http.ResponseWriter, *http.Request) bool {
			return refuses(http.MethodPut, http.StatusCreated)
		},
		"nobody can look": func(*fakeHost) func(http.ResponseWriter, *http.Request) bool {
			return refuses(http.MethodHead, http.StatusInternalServerError)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, twice, one, two, three, four)
			r.hosts[4].strict = true
			fid := r.upload("a", 1, sum)
			r.extraCopy(fid, 2)
			r.check(r.store.Store.Finish(t.Context(), store.ReplicateQueue, store.Item{FID: fid}))
			r.hosts[4].behaves(behaves(r.hosts[4]))
			r.queueMove(fid, 1, "4")
			r.start()
			r.becomes(store.RebalanceQueue, "postponed")
			if name == "nobody can look" && !sum.IsZero() { // what may be whole is not taken back
				r.lose(fid, 4)
			}
			r.wantCopies(fid, 1, 2)
			r.hosts[4].behaves(nil)
			r.check(r.store.Store.Postpone(t.Context(), store.RebalanceQueue, fid, 0, 1))
			r.becomes(store.RebalanceQueue, "finished")
			r.wantCopies(fid, 2, 4)
		})
	}
}

// A surplus copy that is the last good one goes only for one that was looked at, be it made
// in the same run.
func TestASurplusIsNotTakenForACopyThatIsCutOff(t *testing.T) {
	r := newRig(t, twice, []mogile.DevID{1, 2, 3}, four)
	fid := r.upload("a", 1, mogile.Checksum{})
	r.extraCopy(fid, 2)
	r.extraCopy(fid, 3)
	r.hosts[4].behaves(keepsAPart(r.hosts[4]))
	r.start()
	r.becomes(store.ReplicateQueue, "postponed")
	if content, there := r.hosts[4].file(fid.Path(4)); there {
		t.Errorf("got %q on device 4; want what is no copy taken back", content)
	}
	r.wantCopies(fid, 1, 2, 3)
}

// noRoom lets device 4 take no files.
func (r *rig) noRoom() { r.setState(4, mogile.DevReadonly) }

func TestAMoveLeavesAFidThatAnotherWorksOn(t *testing.T) {
	r, fid := moveRig(t, twice, mogile.Checksum{})
	r.queueMove(fid, 1, "4")
	release := must(r.store.Lock(t.Context(), fmt.Sprintf("mgfs:fid:%d:replicate", fid), 0))(t)
	r.start()
	got := r.becomes(store.RebalanceQueue, "postponed")
	release()
	r.check(r.store.Store.Postpone(t.Context(), store.RebalanceQueue, fid, 0, got.failCount))
	r.becomes(store.RebalanceQueue, "finished")
	r.wantCopies(fid, 2, 4)
}

// Between any two steps: also when the node has deleted the bytes, and the tracker did not
// come to write that down.
func TestAMoveGoesOnWhereItWasCutOff(t *testing.T) {
	cutOff(t, store.RebalanceQueue, func(r *rig, fid mogile.FID) { r.queueMove(fid, 1, "4") },
		func(r *rig, fid mogile.FID) { r.wantCopies(fid, 2, 4) })
}

func TestTheRemovalOfASurplusGoesOnWhereItWasCutOff(t *testing.T) {
	cutOff(t, store.ReplicateQueue, func(r *rig, fid mogile.FID) {
		r.extraCopy(fid, 3)
		r.check(r.store.Enqueue(t.Context(), store.ReplicateQueue, 0, fid))
	}, func(r *rig, fid mogile.FID) {
		r.wantCopies(fid, r.copies(fid)...)
		if got := r.copies(fid); len(got) != 2 {
			t.Errorf("got copies %v; want two", got)
		}
	})
}

// cutOff has each call of the store fail in turn that is made to finish what prepare has
// queued, and then checks that all ends well.
func cutOff(t *testing.T, q store.QueueName, prepare, check func(r *rig, fid mogile.FID)) {
	t.Helper()
	for n := 1; ; n++ {
		r, fid := moveRig(t, twiceMD5, md5Of(hello))
		r.hire(job.Config{Workers: map[job.Name]int{job.Delete: 0}})
		prepare(r, fid)
		r.jobs.Want(job.Master, 0)
		r.start()
		r.store.failNext(n)
		r.jobs.Want(job.Master, 1)
		r.jobs.Wake(q)
		got := r.await()
		failed := r.store.hasFailed()
		r.store.failNext(0)
		if failed == "finished" || failed == "postponed" { // the row comes back when the claim runs out
			r.check(r.store.Store.Postpone(t.Context(), q, fid, 0, 0))
			got = r.settle(q)
		} else {
			got = r.settleFrom(got)
		}
		if got.fate != "finished" {
			t.Errorf("%s failed: got %+v; want the row finished then", failed, got)
		}
		check(r, fid)
		if failed == "" {
			if n < 8 {
				t.Errorf("got %d calls; want more", n-1)
			}
			return
		}
	}
}

// settleFrom is settle for a row of which something has become already.
func (r *rig) settleFrom(got settled) settled {
	r.t.Helper()
	if got.fate != "postponed" {
		return got
	}
	r.check(r.store.Store.Postpone(r.t.Context(), got.queue, got.fid, 0, got.failCount))
	return r.settle(got.queue)
}

func TestAMoveOfAVanishedFileLeavesNothing(t *testing.T) {
	r, fid := moveRig(t, twice, mogile.Checksum{})
	r.hire(job.Config{Workers: map[job.Name]int{job.Delete: 0}})
	r.hosts[4].behaves(func(_ http.ResponseWriter, req *http.Request) bool {
		if req.Method == http.MethodPut {
			if _, err := r.store.Delete(context.WithoutCancel(req.Context()), r.domain, "a"); err != nil {
				t.Error(err)
			}
		}
		return false
	})
	r.queueMove(fid, 1, "4")
	r.start()
	r.becomes(store.RebalanceQueue, "finished")
	if _, err := r.store.Queued(t.Context(), store.DeleteQueue, fid); err != nil || len(r.copies(fid)) != 3 {
		t.Errorf("got copies %v, delete queue says %v; want all of them for the delete job", r.copies(fid), err)
	}
}

func TestOneOfTooManyCopiesIsRemoved(t *testing.T) {
	r := newRig(t, twice, one, two, three, four)
	fid := r.upload("a", 1, mogile.Checksum{})
	for _, dev := range []mogile.DevID{2, 3, 4} {
		r.extraCopy(fid, dev)
	}
	r.hire(job.Config{Rand: func() float64 { return 0.5 }})
	r.check(r.store.Store.Postpone(t.Context(), store.ReplicateQueue, fid, 0, 7))
	r.start()
	for left := 3; left >= 2; left-- {
		got := r.becomes(store.ReplicateQueue, "postponed")
		if got.failCount != 1 || got.delay != 15*time.Second || len(r.copies(fid)) != left {
			t.Errorf("got %+v, copies %v; want %d copies, and to be looked at again as after a first failure", got, r.copies(fid), left)
		}
		r.check(r.store.Store.Postpone(t.Context(), store.ReplicateQueue, fid, 0, got.failCount))
	}
	r.becomes(store.ReplicateQueue, "finished")
	r.wantCopies(fid, r.copies(fid)...)
	if got := r.copies(fid); len(got) != 2 {
		t.Errorf("got copies %v; want two", got)
	}
}

// The copies that stay are on different hosts, whatever is removed.
func TestASurplusCopyIsTakenFromAHostWithTwo(t *testing.T) {
	for try := range 8 {
		r := newRig(t, twice, []mogile.DevID{1, 2}, three)
		fid := r.upload("a", 1, mogile.Checksum{})
		r.extraCopy(fid, 2)
		r.extraCopy(fid, 3)
		r.hire(job.Config{Rand: func() float64 { return float64(try) / 8 }})
		r.start()
		r.becomes(store.ReplicateQueue, "postponed")
		if got := r.copies(fid); len(got) != 2 || got[1] != 3 {
			t.Errorf("got copies %v; want one on each host", got)
		}
	}
}

// All on one host, and one too many: the other host gets one first.
func TestASurplusIsMovedToWhereACopyLacks(t *testing.T) {
	r := newRig(t, twice, []mogile.DevID{1, 2, 3}, four)
	fid := r.upload("a", 1, mogile.Checksum{})
	r.extraCopy(fid, 2)
	r.extraCopy(fid, 3)
	r.start()
	if got := r.settle(store.ReplicateQueue); got.fate != "finished" {
		t.Errorf("got %+v; want it finished", got)
	}
	if got := r.copies(fid); len(got) != 2 || got[1] != 4 {
		t.Errorf("got copies %v; want one on each host", got)
	}
	r.wantCopies(fid, r.copies(fid)...)
}

// Another tracker is told of a class with more copies just when one of too many goes, still
// sees that copy, finds enough, and finishes the row.
func TestAClassThatChangesWhileASurplusGoesIsHeeded(t *testing.T) {
	r, fid := moveRig(t, twice, mogile.Checksum{})
	thrice := must(r.store.CreateClass(t.Context(), mogile.Class{Domain: r.domain, Name: "thrice", MinDevCount: 3}))(t)
	r.check(r.live.Reload(t.Context()))
	r.extraCopy(fid, 3)
	var once sync.Once
	for _, h := range r.hosts {
		h.behaves(func(_ http.ResponseWriter, req *http.Request) bool {
			if req.Method == http.MethodDelete {
				once.Do(func() {
					ctx := context.WithoutCancel(req.Context())
					err := r.store.Store.SetClass(ctx, fid, thrice)
					if err := errors.Join(err, r.store.Store.Finish(ctx, store.ReplicateQueue, store.Item{FID: fid})); err != nil {
						t.Error(err)
					}
				})
			}
			return false
		})
	}
	r.check(r.store.Enqueue(t.Context(), store.ReplicateQueue, 0, fid))
	r.start()
	if got := r.settle(store.ReplicateQueue); got.fate != "finished" {
		t.Errorf("got %+v; want it finished", got)
	}
	if got := r.copies(fid); len(got) != 3 {
		t.Errorf("got copies %v; want three", got)
	}
	r.wantCopies(fid, r.copies(fid)...)
}

func TestASurplusCopyThatIsBadGoesFirst(t *testing.T) {
	for name, spoil := range map[string]func(r *rig, fid mogile.FID){
		"missing": func(r *rig, fid mogile.FID) { r.lose(fid, 3) },
		"short":   func(r *rig, fid mogile.FID) { r.hosts[3].put(fid.Path(3), "hell") },
		"rotten":  func(r *rig, fid mogile.FID) { r.corrupt(fid, 3) },
	} {
		t.Run(name, func(t *testing.T) {
			r, fid := moveRig(t, twice, md5Of(hello))
			r.extraCopy(fid, 3)
			spoil(r, fid)
			r.check(r.store.Enqueue(t.Context(), store.ReplicateQueue, 0, fid))
			r.start()
			r.becomes(store.ReplicateQueue, "postponed")
			r.wantCopies(fid, 1, 2)
		})
	}
}

// Two of three are rotten: the good one is copied before any of them goes.
func TestASurplusNeverCostsTheLastGoodCopy(t *testing.T) {
	for _, room := range []bool{false, true} {
		r, fid := moveRig(t, twice, md5Of(hello))
		r.extraCopy(fid, 3)
		r.corrupt(fid, 2)
		r.corrupt(fid, 3)
		if !room {
			r.noRoom()
		}
		r.check(r.store.Enqueue(t.Context(), store.ReplicateQueue, 0, fid))
		r.start()
		if !room {
			r.becomes(store.ReplicateQueue, "postponed")
			if got := r.copies(fid); len(got) != 3 {
				t.Errorf("got copies %v; want all three, as nothing better can be had", got)
			}
			continue
		}
		if got := r.settle(store.ReplicateQueue); got.fate != "finished" {
			t.Errorf("got %+v; want it finished", got)
		}
		r.wantCopies(fid, 1, 4)
	}
}

// The class comes to want one copy while a second is made, and the first can't be looked at then.
func TestASurplusThatWasJustMadeIsNoProofOfItself(t *testing.T) {
	for try := range 4 { // each of the two is taken for the surplus
		r := newRig(t, twice, one, two)
		single := must(r.store.CreateClass(t.Context(), mogile.Class{Domain: r.domain, Name: "single", MinDevCount: 1}))(t)
		r.check(r.live.Reload(t.Context()))
		fid := r.upload("a", 1, mogile.Checksum{})
		r.hosts[1].behaves(refuses(http.MethodHead, http.StatusInternalServerError))
		r.hosts[2].behaves(func(_ http.ResponseWriter, req *http.Request) bool {
			if req.Method == http.MethodPut {
				r.check(r.store.Store.SetClass(context.WithoutCancel(req.Context()), fid, single))
			}
			return false
		})
		r.hire(job.Config{Rand: func() float64 { return float64(try) / 4 }})
		r.start()
		r.becomes(store.ReplicateQueue, "postponed")
		if !slices.Contains(r.copies(fid), 2) {
			t.Errorf("got copies %v; want the one that was seen to be whole kept", r.copies(fid))
		}
	}
}

func TestTooManyCopiesStayWhereNothingMayBeDeleted(t *testing.T) {
	r, fid := moveRig(t, twice, mogile.Checksum{})
	r.extraCopy(fid, 3)
	for _, dev := range []mogile.DevID{1, 2, 3} {
		r.setState(dev, mogile.DevReadonly)
	}
	r.check(r.store.Enqueue(t.Context(), store.ReplicateQueue, 0, fid))
	r.start()
	got := r.becomes(store.ReplicateQueue, "postponed")
	if got.failCount != 1 {
		t.Errorf("got %+v; want one failure", got)
	}
	r.wantCopies(fid, 1, 2, 3)
}
