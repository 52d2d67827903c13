package job_test

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/job"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
	"github.com/mogilefs/caddy-mogilefs/tracker/topology"
)

var (
	twice    = mogile.Class{MinDevCount: 2}
	twiceMD5 = mogile.Class{MinDevCount: 2, Hash: mogile.HashMD5}
	one      = []mogile.DevID{1}
	two      = []mogile.DevID{2}
	three    = []mogile.DevID{3}
)

func TestReplicateMakesTheMissingCopy(t *testing.T) {
	r := newRig(t, twice, one, two)
	var changed []string
	r.hire(job.Config{Changed: func(d mogile.DomainName, k mogile.Key) { changed = append(changed, fmt.Sprint(d, "/", k)) }})
	fid := r.upload("a", 1, mogile.Checksum{})
	r.start()
	r.becomes(store.ReplicateQueue, "finished")
	r.wantCopies(fid, 1, 2)
	r.jobs.Close()
	if fmt.Sprint(changed) != "[images/a]" {
		t.Errorf("got changes %v; want [images/a]", changed)
	}
}

func TestReplicateFinishesWhatNeedsNothing(t *testing.T) {
	for name, prepare := range map[string]func(r *rig, fid mogile.FID){
		"enough copies": func(r *rig, fid mogile.FID) { r.extraCopy(fid, 2) },
		"file is gone": func(r *rig, fid mogile.FID) {
			must(r.store.Delete(r.t.Context(), r.domain, "a"))(r.t)
			r.check(r.store.Store.RemoveCopies(r.t.Context(), fid, 1))
			r.check(r.store.Store.Finish(r.t.Context(), store.DeleteQueue, store.Item{FID: fid}))
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, twice, one, two)
			fid := r.upload("a", 1, mogile.Checksum{})
			prepare(r, fid)
			r.start()
			r.becomes(store.ReplicateQueue, "finished")
			if puts := append(r.hosts[1].heardOf("PUT"), r.hosts[2].heardOf("PUT")...); len(puts) != 0 {
				t.Errorf("got copies made: %v; want none", puts)
			}
		})
	}
}

// One that was made while the file went, by a tracker that had lost its lock.
func TestReplicateHandsOverCopiesOfAFileThatIsGone(t *testing.T) {
	r := newRig(t, twice, one, two)
	fid := r.upload("a", 1, mogile.Checksum{})
	must(r.store.Delete(t.Context(), r.domain, "a"))(t)
	r.check(r.store.Store.Finish(t.Context(), store.DeleteQueue, store.Item{FID: fid}))
	r.start()
	r.becomes(store.ReplicateQueue, "finished")
	r.becomes(store.DeleteQueue, "finished")
	r.wantCopies(fid)
}

func TestReplicateParksWhatHasNoCopyAtAll(t *testing.T) {
	r := newRig(t, twice, one, two)
	fid := r.upload("a", 1, mogile.Checksum{})
	r.check(r.store.Store.RemoveCopies(t.Context(), fid, 1))
	r.start()
	if got := r.becomes(store.ReplicateQueue, "parked"); got.failCount != 1 {
		t.Errorf("got failcount %d; want 1", got.failCount)
	}
}

// The rows of docs/spec/jobs.md §4.1 that back off.
func TestReplicateBacksOff(t *testing.T) {
	for name, prepare := range map[string]func(r *rig, fid mogile.FID){
		"its only source is down":   func(r *rig, _ mogile.FID) { r.setState(1, mogile.DevDown) },
		"its only source is dead":   func(r *rig, _ mogile.FID) { r.setState(1, mogile.DevDead) },
		"no device takes a copy":    func(r *rig, _ mogile.FID) { r.setState(2, mogile.DevReadonly) },
		"its class is not known":    func(r *rig, fid mogile.FID) { r.check(r.store.SetClass(r.t.Context(), fid, 99)) },
		"its source has lost it":    func(r *rig, fid mogile.FID) { r.hosts[1].behaves(refuses("GET", 404)) },
		"its source is too short":   func(r *rig, fid mogile.FID) { r.hosts[1].put(fid.Path(1), "hell") },
		"its destinations refuse":   func(r *rig, fid mogile.FID) { r.hosts[2].behaves(refuses("PUT", 507)) },
		"its destination stalls":    func(r *rig, fid mogile.FID) { r.hosts[2].behaves(stalls("PUT")) },
		"its source stalls":         func(r *rig, fid mogile.FID) { r.hosts[1].behaves(stalls("GET")) },
		"its policy is not known":   func(r *rig, fid mogile.FID) { r.setPolicy("OnHosts(1, 2)") },
		"its destination goes down": func(r *rig, fid mogile.FID) { r.setHostState("host2", mogile.HostDown) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, twice, one, two, three)
			r.setState(3, mogile.DevReadonly)
			fid := r.upload("a", 1, mogile.Checksum{})
			prepare(r, fid)
			before := r.copies(fid)
			r.start()
			got := r.becomes(store.ReplicateQueue, "postponed")
			if got.failCount != 1 || got.delay < 12*time.Second || got.delay >= 18*time.Second {
				t.Errorf("got failcount %d, delay %v; want 1, 15 s give or take a fifth", got.failCount, got.delay)
			}
			if after := r.copies(fid); fmt.Sprint(after) != fmt.Sprint(before) {
				t.Errorf("got copies %v; want %v as before", after, before)
			}
			if _, there := r.hosts[2].file(fid.Path(2)); there && len(before) == 1 {
				t.Error("got a file at the destination; want no litter")
			}
		})
	}
}

func stalls(method string) func(http.ResponseWriter, *http.Request) bool {
	return func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == method {
			drainBody(r)
			<-r.Context().Done()
		}
		return r.Method == method
	}
}

func TestReplicateBacksOffLongerEachTime(t *testing.T) {
	r := newRig(t, twice, one)
	fid := r.upload("a", 1, mogile.Checksum{})
	r.hire(job.Config{Rand: func() float64 { return 0.5 }})
	r.start()
	for i, want := range []int{15, 60, 300, 1800, 3600, 7200, 14400, 28800, 86400, 86400} {
		got := r.becomes(store.ReplicateQueue, "postponed")
		if got.delay.Round(time.Second) != time.Duration(want)*time.Second || got.failCount != i+1 {
			t.Errorf("failure %d: got delay %v, failcount %d; want %d s, %d", i+1, got.delay, got.failCount, want, i+1)
		}
		r.check(r.store.Store.Postpone(t.Context(), store.ReplicateQueue, fid, 0, got.failCount))
	}
}

func TestReplicateGoesOnWithAnotherSource(t *testing.T) {
	for name, script := range map[string]func(http.ResponseWriter, *http.Request) bool{
		"gone":     refuses("GET", 404),
		"failing":  refuses("GET", 500),
		"stalling": stalls("GET"),
		"corrupt": func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodGet {
				_, _ = w.Write([]byte("HELLO, REPLICA"))
			}
			return r.Method == http.MethodGet
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, mogile.Class{MinDevCount: 3}, one, two, three)
			fid := r.upload("a", 1, md5Of(hello))
			r.extraCopy(fid, 2)
			r.hosts[1].behaves(script)
			r.hire(job.Config{Rand: func() float64 { return 0 }}) // the first source that there is
			r.start()
			r.becomes(store.ReplicateQueue, "finished")
			r.wantCopies(fid, 1, 2, 3)
			if gets := r.hosts[1].heardOf("GET"); len(gets) != 1 {
				t.Errorf("bad source heard %v; want one GET", gets)
			}
		})
	}
}

func TestReplicateGoesOnWithAnotherDestination(t *testing.T) {
	for name, script := range map[string]func(http.ResponseWriter, *http.Request) bool{
		"full":     refuses("PUT", 507),
		"stalling": stalls("PUT"),
		"lying": func(w http.ResponseWriter, r *http.Request) bool { // says yes and keeps something else
			if r.Method == http.MethodGet {
				_, _ = w.Write([]byte("HELLO, REPLICA"))
			}
			return r.Method == http.MethodGet
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, twiceMD5, one, two, three)
			fid := r.upload("a", 1, mogile.Checksum{})
			r.hosts[2].behaves(script)
			r.hire(job.Config{Rand: func() float64 { return 0 }}) // the first destination that there is
			r.start()
			r.becomes(store.ReplicateQueue, "finished")
			r.wantCopies(fid, 1, 3)
			if puts := r.hosts[2].heardOf("PUT"); len(puts) != 1 {
				t.Errorf("bad destination heard %v; want one PUT", puts)
			}
		})
	}
}

func TestReplicateRecordsTheClassChecksum(t *testing.T) {
	r := newRig(t, twiceMD5, one, two)
	fid := r.upload("a", 1, mogile.Checksum{})
	r.start()
	r.becomes(store.ReplicateQueue, "finished")
	sum, err := r.store.Store.Checksum(t.Context(), fid)
	if err != nil || !sum.Equal(md5Of(hello)) {
		t.Errorf("got checksum %v, %v; want %v", sum, err, md5Of(hello))
	}
	if gets := r.hosts[2].heardOf("GET"); len(gets) != 1 {
		t.Errorf("destination heard %v; want one GET: nothing was sent ahead that it could check", gets)
	}
}

func TestReplicateReadsBackWhatTheNodeDidNotCheck(t *testing.T) {
	for name, c := range map[string]struct {
		strict   bool
		recorded mogile.Checksum
		gets     int
	}{
		"sent ahead, and checked":     {true, md5Of(hello), 0},
		"sent ahead, and not checked": {false, md5Of(hello), 1},
		"not sent ahead":              {true, mogile.Checksum{}, 1},
	} {
		r := newRig(t, twiceMD5, one, two)
		fid := r.upload("a", 1, c.recorded)
		r.hosts[2].strict = c.strict
		r.start()
		r.becomes(store.ReplicateQueue, "finished")
		r.wantCopies(fid, 1, 2)
		if gets := r.hosts[2].heardOf("GET"); len(gets) != c.gets {
			t.Errorf("%s: destination heard %v; want %d GET", name, gets, c.gets)
		}
	}
}

// Locks don't keep all trackers out: a copy that one of them has recorded stays.
func TestReplicateNeverDiscardsARecordedCopy(t *testing.T) {
	r := newRig(t, twice, one, two)
	fid := r.upload("a", 1, mogile.Checksum{})
	r.hosts[2].behaves(func(w http.ResponseWriter, req *http.Request) bool {
		if req.Method == http.MethodPut {
			drainBody(req)
			r.hosts[2].put(fid.Path(2), hello)
			if err := r.store.Store.AddCopy(context.WithoutCancel(req.Context()), fid, 2); err != nil {
				t.Error(err)
			}
			w.WriteHeader(http.StatusInternalServerError)
		}
		return req.Method == http.MethodPut
	})
	r.start()
	r.becomes(store.ReplicateQueue, "postponed")
	r.wantCopies(fid, 1, 2)
}

// A tracker that was killed before it recorded its copy may have left the only good one;
// and a node may have kept what it then failed to say so of.
func TestReplicateKeepsWhatIsWholeWhereACopyFailed(t *testing.T) {
	for name, prepare := range map[string]func(r *rig, fid mogile.FID){
		"left by another, and the source is bad": func(r *rig, fid mogile.FID) {
			r.hosts[1].put(fid.Path(1), strings.ToUpper(hello))
			r.hosts[2].strict = true
			r.hosts[2].put(fid.Path(2), hello)
		},
		"kept, and not said so": func(r *rig, fid mogile.FID) {
			r.hosts[2].behaves(func(w http.ResponseWriter, req *http.Request) bool {
				if req.Method == http.MethodPut {
					drainBody(req)
					r.hosts[2].put(fid.Path(2), hello)
					w.WriteHeader(http.StatusInternalServerError)
				}
				return req.Method == http.MethodPut
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, twice, one, two)
			fid := r.upload("a", 1, md5Of(hello))
			prepare(r, fid)
			r.start()
			r.becomes(store.ReplicateQueue, "finished")
			if on := r.copies(fid); !slices.Equal(on, []mogile.DevID{1, 2}) {
				t.Errorf("got copies %v; want 1 and 2", on)
			}
			if got, _ := r.hosts[2].file(fid.Path(2)); got != hello {
				t.Errorf("destination has %q; want %q", got, hello)
			}
		})
	}
}

// Parking is for ever; so a device that another tracker has just created is looked for.
func TestReplicateReadsTheTopologyBeforeItParks(t *testing.T) {
	r := newRig(t, twice, one, two)
	r.start()
	r.check(r.store.CreateDevice(t.Context(), mogile.Device{ID: 3, Host: 2, State: mogile.DevAlive}))
	r.hosts[3] = r.hosts[2]
	r.upload("a", 3, mogile.Checksum{})
	r.becomes(store.ReplicateQueue, "postponed")
}

// A recorded checksum that no source matches: nothing is spread, nothing is lost.
func TestReplicateNeverSpreadsWhatDiffersFromItsChecksum(t *testing.T) {
	for _, class := range []mogile.Class{twice, twiceMD5} {
		r := newRig(t, class, one, two)
		fid := r.upload("a", 1, md5Of("something else"))
		r.start()
		r.becomes(store.ReplicateQueue, "postponed")
		r.wantCopies(fid, 1)
		if deleted := r.hosts[2].heardOf("DELETE"); len(deleted) != 1 {
			t.Errorf("destination heard %v; want what it had taken deleted", deleted)
		}
	}
}

func TestReplicatePrefersTheSourceOfTheRow(t *testing.T) {
	r := newRig(t, mogile.Class{MinDevCount: 3}, one, two, three)
	fid := r.upload("a", 1, mogile.Checksum{})
	r.extraCopy(fid, 2)
	r.store.from = 2
	r.hire(job.Config{Rand: func() float64 { return 0 }})
	r.start()
	r.becomes(store.ReplicateQueue, "finished")
	if gets := r.hosts[2].heardOf("GET"); len(gets) != 1 {
		t.Errorf("preferred source heard %v; want one GET", gets)
	}
}

func TestReplicatePrefersSourcesInItsOwnZone(t *testing.T) {
	for name, c := range map[string]struct {
		local   string // where the tracker is
		script  func(http.ResponseWriter, *http.Request) bool
		sources []mogile.DevID // that were asked
	}{
		"near":                  {"127.0.0.2", nil, two},
		"the near one fails":    {"127.0.0.2", refuses("GET", 500), []mogile.DevID{1, 2}},
		"none is near":          {"127.0.0.3", nil, one},
		"zones don't matter":    {"", nil, one},
		"tracker is in no zone": {"10.0.0.1", nil, one},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, mogile.Class{MinDevCount: 3}, one, two, three)
			local, _ := netip.ParseAddr(c.local)
			r.live = topology.New(r.store, topology.Config{MinFreeMB: 100, Local: local})
			r.set("network_zones", "second,third")
			r.set("zone_second", "127.0.0.2/32")
			r.set("zone_third", "127.0.0.3/32")
			r.hire(job.Config{Rand: func() float64 { return 0 }}) // the first source that there is
			fid := r.upload("a", 1, mogile.Checksum{})
			r.extraCopy(fid, 2)
			r.hosts[2].behaves(c.script)
			r.start()
			r.becomes(store.ReplicateQueue, "finished")
			r.wantCopies(fid, 1, 2, 3)
			var asked []mogile.DevID
			for _, dev := range []mogile.DevID{1, 2} {
				if len(r.hosts[dev].heardOf("GET")) > 0 {
					asked = append(asked, dev)
				}
			}
			if !slices.Equal(asked, c.sources) {
				t.Errorf("got %v asked for the file; want %v", asked, c.sources)
			}
		})
	}
}

func TestReplicateDoesNotCountCopiesOnDeadDevices(t *testing.T) {
	r := newRig(t, twice, one, two, three)
	fid := r.upload("a", 1, mogile.Checksum{})
	r.extraCopy(fid, 2)
	r.setState(2, mogile.DevDead)
	r.start()
	r.becomes(store.ReplicateQueue, "finished")
	r.wantCopies(fid, 1, 2, 3)
}

func TestReplicateLeavesAFidThatAnotherWorksOn(t *testing.T) {
	r := newRig(t, twice, one, two)
	held, free := r.upload("held", 1, mogile.Checksum{}), mogile.FID(0)
	release := must(r.store.Lock(t.Context(), fmt.Sprintf("mgfs:fid:%d:replicate", held), 0))(t)
	defer release()
	free = r.upload("free", 1, mogile.Checksum{})
	r.hire(job.Config{Workers: map[job.Name]int{job.Replicate: 1}})
	r.start()
	if got := r.becomes(store.ReplicateQueue, "finished"); got.fid != free {
		t.Errorf("got fid %d finished; want %d", got.fid, free)
	}
	row := must(r.store.Queued(t.Context(), store.ReplicateQueue, held))(t)
	due := time.Until(time.Unix(row.NextTry, 0))
	if row.FailCount != 0 || due < 30*time.Second || due > 61*time.Second {
		t.Errorf("got row %+v; want failcount 0, due when the claim of a minute runs out", row)
	}
}

// A file that is deleted while its copy is under way leaves nothing behind.
func TestReplicateHandsCopiesOfAVanishedFileToDelete(t *testing.T) {
	r := newRig(t, twice, one, two)
	fid := r.upload("a", 1, mogile.Checksum{})
	r.hire(job.Config{Workers: map[job.Name]int{job.Delete: 0}})
	r.hosts[2].behaves(func(_ http.ResponseWriter, req *http.Request) bool {
		if req.Method == http.MethodPut {
			_, err := r.store.Delete(context.WithoutCancel(req.Context()), r.domain, "a")
			if err == nil {
				err = r.store.Store.Finish(context.WithoutCancel(req.Context()), store.DeleteQueue, store.Item{FID: fid})
			}
			if err != nil {
				t.Error(err)
			}
		}
		return false
	})
	r.start()
	r.becomes(store.ReplicateQueue, "finished")
	if _, err := r.store.Queued(t.Context(), store.DeleteQueue, fid); err != nil {
		t.Errorf("got %v from the delete queue; want the fid there", err)
	}
}

// A class change that comes while the row is claimed does not get a row of its own.
func TestReplicateNoticesAClassChangeWhileItWorks(t *testing.T) {
	r := newRig(t, twice, one, two, three)
	thrice := must(r.store.CreateClass(t.Context(), mogile.Class{Domain: r.domain, Name: "thrice", MinDevCount: 3}))(t)
	r.check(r.live.Reload(t.Context()))
	fid := r.upload("a", 1, mogile.Checksum{})
	var once sync.Once
	change := func(_ http.ResponseWriter, req *http.Request) bool {
		once.Do(func() {
			if err := r.store.SetClass(context.WithoutCancel(req.Context()), fid, thrice); err != nil {
				t.Error(err)
			}
		})
		return false
	}
	r.hosts[1].behaves(change)
	r.start()
	r.becomes(store.ReplicateQueue, "finished")
	r.wantCopies(fid, 1, 2, 3)
}

// One that comes after the last look at the file, but before the row goes, is not lost
// with the row.
func TestAClassChangeOutlivesTheRowInHand(t *testing.T) {
	r := newRig(t, twice, one, two, three)
	thrice := must(r.store.CreateClass(t.Context(), mogile.Class{Domain: r.domain, Name: "thrice", MinDevCount: 3}))(t)
	r.check(r.live.Reload(t.Context()))
	fid := r.upload("a", 1, mogile.Checksum{})
	var once sync.Once
	r.store.beforeFinish = func() {
		once.Do(func() {
			if err := r.store.SetClass(context.WithoutCancel(t.Context()), fid, thrice); err != nil {
				t.Error(err)
			}
		})
	}
	r.start()
	r.becomes(store.ReplicateQueue, "finished")
	r.becomes(store.ReplicateQueue, "finished")
	r.wantCopies(fid, 1, 2, 3)
}

func TestReplicateBoundsTheCopiesToOneDevice(t *testing.T) {
	r := newRig(t, twice, one, two)
	const files = 12
	r.hire(job.Config{Workers: map[job.Name]int{job.Replicate: 6}, CopiesPerDevice: 2})
	for i := range files {
		r.upload(mogile.Key(fmt.Sprint(i)), 1, mogile.Checksum{})
	}
	// Each PUT waits until another comes along, so that they surely meet.
	var waiting atomic.Int32
	meet := make(chan struct{}, files)
	r.hosts[2].behaves(func(_ http.ResponseWriter, req *http.Request) bool {
		if req.Method == http.MethodPut && waiting.Add(1)%2 == 0 {
			meet <- struct{}{}
		} else if req.Method == http.MethodPut {
			<-meet
		}
		return false
	})
	r.start()
	for range files {
		if got := r.becomes(store.ReplicateQueue, "finished"); got.failCount != 0 {
			t.Errorf("got %+v; want no failure", got)
		}
	}
	if most := r.hosts[2].mostPuts(); most != 2 {
		t.Errorf("got %d copies at once to the device; want 2", most)
	}
}

func (r *rig) setState(dev mogile.DevID, state mogile.DevState) {
	r.t.Helper()
	r.check(r.store.SetDeviceState(r.t.Context(), dev, state))
	r.check(r.live.Reload(r.t.Context()))
}

func (r *rig) setHostState(name mogile.HostName, state mogile.HostState) {
	r.t.Helper()
	h, _ := r.live.Snapshot().HostByName(name)
	h.State = state
	r.check(r.store.UpdateHost(r.t.Context(), h))
	r.check(r.live.Reload(r.t.Context()))
}

func (r *rig) setPolicy(text string) {
	r.t.Helper()
	r.check(r.store.UpdateClass(r.t.Context(), mogile.Class{
		Domain: r.domain, ID: r.class, Name: "twice", MinDevCount: 2, Policy: text,
	}))
	r.check(r.live.Reload(r.t.Context()))
}
