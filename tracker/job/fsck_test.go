package job_test

import (
	"cmp"
	"crypto/sha1"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/job"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

// other has the length of hello, and other bytes.
const other = "HELLO, REPLICA"

var (
	none     = mogile.Checksum{}
	onlyFsck = job.Config{Workers: map[job.Name]int{job.Replicate: 0, job.Delete: 0}}
)

func sha1Of(s string) mogile.Checksum {
	sum := sha1.Sum([]byte(s))
	return mogile.Checksum{Type: mogile.HashSHA1, Sum: sum[:]}
}

// newFsckRig has three hosts with a device each, and nobody who replicates.
func newFsckRig(t *testing.T, class mogile.Class) *rig {
	t.Helper()
	r := newRig(t, class, one, two, three)
	r.hire(onlyFsck)
	return r
}

// file has copies on devices 1 and 2, and no queue row.
func (r *rig) file(key mogile.Key, sum mogile.Checksum) mogile.FID {
	r.t.Helper()
	fid := r.upload(key, 1, sum)
	r.extraCopy(fid, 2)
	r.check(r.store.Store.Finish(r.t.Context(), store.ReplicateQueue, store.Item{FID: fid}))
	return fid
}

// spoil changes the bytes of a copy.
func (r *rig) spoil(fid mogile.FID, dev mogile.DevID, content string) {
	r.hosts[dev].put(fid.Path(dev), content)
}

// queueFsck has a file checked.
func (r *rig) queueFsck(fid mogile.FID) {
	r.t.Helper()
	r.check(r.store.EnqueueWork(r.t.Context(), store.WorkRow{FID: fid, Kind: store.FsckWork}))
}

// events is the log of fsck: codes, with the device behind a slash if there is one.
func (r *rig) events() string {
	r.t.Helper()
	var words []string
	for _, e := range must(r.store.FsckEvents(r.t.Context(), 0, 1000))(r.t) {
		word := e.Code
		if e.Dev != 0 {
			word += "/" + e.Dev.String()
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
}

// onDisk lists the devices that have something of a fid, with a mark for what is not
// the file.
func (r *rig) onDisk(fid mogile.FID) string {
	var words []string
	for dev, h := range r.hosts {
		switch content, there := h.file(fid.Path(dev)); {
		case there && content == hello:
			words = append(words, dev.String())
		case there:
			words = append(words, dev.String()+"!")
		}
	}
	slices.Sort(words)
	return strings.Join(words, " ")
}

// queued reports whether a fid is queued for replication.
func (r *rig) queued(fid mogile.FID) bool {
	_, err := r.store.Queued(r.t.Context(), store.ReplicateQueue, fid)
	return err == nil
}

// fsckCase is a file that is checked once.
type fsckCase struct {
	name  string
	class mogile.Class
	sum   mogile.Checksum // recorded
	do    func(r *rig, fid mogile.FID)

	stalled bool   // else finished
	events  string // what is logged
	copies  string // recorded afterwards
	disk    string // there afterwards; empty means as recorded
	queued  bool   // for replication: REPL, or one that it turns out not to need
}

// nowhere is where a file is that is not on disk.
const nowhere = "nowhere"

func (c fsckCase) run(t *testing.T) {
	t.Parallel()
	r := newFsckRig(t, c.class)
	fid := r.file("a", c.sum)
	if c.do != nil {
		c.do(r, fid)
	}
	r.start()
	r.queueFsck(fid)
	fate := "finished"
	if c.stalled {
		fate = "postponed"
	}
	r.becomes(store.FsckQueue, fate)
	if got := r.events(); got != c.events {
		t.Errorf("got events %q; want %q", got, c.events)
	}
	if got := strings.Trim(fmt.Sprint(r.copies(fid)), "[]"); got != c.copies {
		t.Errorf("got copies recorded on %q; want %q", got, c.copies)
	}
	if c.disk == "" {
		c.disk = c.copies
	}
	if got := cmp.Or(r.onDisk(fid), nowhere); got != cmp.Or(c.disk, nowhere) {
		t.Errorf("got on disk %q; want %q", got, c.disk)
	}
	if got := r.queued(fid); got != c.queued {
		t.Errorf("queued for replication: got %v; want %v", got, c.queued)
	}
}

func runAll(t *testing.T, cases []fsckCase) {
	for _, c := range cases {
		t.Run(c.name, c.run)
	}
}

var twiceSHA1 = mogile.Class{MinDevCount: 2, Hash: mogile.HashSHA1}

// The rows of docs/spec/jobs.md §7.1: what is found without the lock.
func TestFsckLooksAtAFile(t *testing.T) {
	runAll(t, []fsckCase{
		{name: "all is well", class: twice, copies: "1 2"},
		{name: "all is well with a checksum", class: twiceMD5, sum: md5Of(hello), copies: "1 2"},
		{name: "all is well with the other checksum", class: twiceSHA1, sum: sha1Of(hello), copies: "1 2"},
		{
			name: "the file is gone", class: twice, copies: "1 2",
			do: func(r *rig, _ mogile.FID) { must(r.store.Delete(r.t.Context(), r.domain, "a"))(r.t) },
		},
		{
			name: "no copy is recorded", class: twice, events: "NOPA SRCH FOND REPL", copies: "2", disk: "1! 2", queued: true,
			do: func(r *rig, fid mogile.FID) {
				r.check(r.store.Store.RemoveCopies(r.t.Context(), fid, 1, 2))
				r.spoil(fid, 1, "short")
			},
		},
		{
			name: "too few copies", class: twice, events: "POVI REPL", copies: "1", disk: "1 2", queued: true,
			do: func(r *rig, fid mogile.FID) { r.check(r.store.Store.RemoveCopies(r.t.Context(), fid, 2)) },
		},
		{
			name: "too many copies", class: twice, events: "POVI REPL", copies: "1 2 3", queued: true,
			do: func(r *rig, fid mogile.FID) { r.extraCopy(fid, 3) },
		},
		{
			name: "the count is wrong", class: twice, events: "BCNT", copies: "1 2", do: (*rig).miscount,
		},
		{
			name: "the count is wrong and nobody minds", class: twice, copies: "1 2",
			do: func(r *rig, fid mogile.FID) { r.miscount(fid); r.set("skip_devcount", "1") },
		},
		{name: "the class wants a checksum", class: twiceMD5, events: "NSUM", copies: "1 2"},
		{
			name: "only the policy is asked", class: twice, copies: "1 2", disk: "1",
			do: func(r *rig, fid mogile.FID) { r.set("fsck_opt_policy_only", "1"); r.lose(fid, 2) },
		},
		{
			name: "a copy is missing", class: twice, events: "MISS/2 REPL", copies: "1", queued: true,
			do: func(r *rig, fid mogile.FID) { r.lose(fid, 2) },
		},
		{
			name: "a copy is too short", class: twice, events: "BLEN/2 REPL", copies: "1", queued: true,
			do: func(r *rig, fid mogile.FID) { r.spoil(fid, 2, "hell") },
		},
		{
			name: "a device is down", class: twice, stalled: true, copies: "1 2",
			do: func(r *rig, _ mogile.FID) { r.setState(2, mogile.DevDown) },
		},
		{
			name: "a device is not known", class: twice, stalled: true, copies: "1 2 99", disk: "1 2", queued: true, events: "POVI REPL",
			do: func(r *rig, fid mogile.FID) {
				r.check(r.store.Store.RemoveCopies(r.t.Context(), fid, 2))
				r.check(r.store.Store.AddCopy(r.t.Context(), fid, 99))
				r.check(r.store.Store.AddCopy(r.t.Context(), fid, 2))
				r.extraCopy(fid, 3)
				r.check(r.store.Store.RemoveCopies(r.t.Context(), fid, 3))
				r.setPolicy("MultipleHosts(3)")
				r.lose(fid, 3)
			},
		},
		{
			name: "a node fails", class: twice, stalled: true, copies: "1 2",
			do: func(r *rig, _ mogile.FID) { r.hosts[2].behaves(refuses("HEAD", 500)) },
		},
		{
			name: "a node stalls", class: twice, stalled: true, copies: "1 2",
			do: func(r *rig, _ mogile.FID) { r.hosts[2].behaves(stalls("HEAD")) },
		},
		{
			name: "a device is dead", class: twice, events: "POVI REPL", copies: "1", disk: "1 2", queued: true,
			do: func(r *rig, _ mogile.FID) { r.setState(2, mogile.DevDead) },
		},
		{
			name: "another works on it", class: twice, stalled: true, copies: "1 2", disk: "1",
			do: func(r *rig, fid mogile.FID) {
				r.lose(fid, 2)
				r.t.Cleanup(must(r.store.Lock(r.t.Context(), fmt.Sprintf("mgfs:fid:%d:replicate", fid), 0))(r.t))
			},
		},
		{
			name: "its policy is not known", class: twice, copies: "1 2",
			do: func(r *rig, _ mogile.FID) { r.setPolicy("Nonsense(") },
		},
		{
			name: "its class is not known", class: twice, copies: "1 2", queued: true,
			do: func(r *rig, fid mogile.FID) { r.check(r.store.SetClass(r.t.Context(), fid, 99)) },
		},
	})
}

// miscount makes the cached number of copies wrong.
func (r *rig) miscount(fid mogile.FID) {
	r.check(r.store.SetSetting(r.t.Context(), "skip_devcount", "1"))
	r.check(r.store.Store.RemoveCopies(r.t.Context(), fid, 2))
	r.check(r.store.UnsetSetting(r.t.Context(), "skip_devcount"))
	r.check(r.store.Store.RemoveCopies(r.t.Context(), fid)) // counts one
	r.check(r.store.SetSetting(r.t.Context(), "skip_devcount", "1"))
	r.extraCopy(fid, 2)
	r.check(r.store.UnsetSetting(r.t.Context(), "skip_devcount"))
	r.check(r.live.Reload(r.t.Context()))
}

// The rows of docs/spec/jobs.md §7.2: what is done under the lock, where no checksum
// counts.
func TestFsckMendsAFile(t *testing.T) {
	runAll(t, []fsckCase{
		{
			name: "both copies are missing, another is found", class: twice, events: "MISS/1 MISS/2 SRCH FOND REPL", copies: "3", queued: true,
			do: func(r *rig, fid mogile.FID) { r.move(fid, 1, 3); r.lose(fid, 2) },
		},
		{
			name: "what is found elsewhere is too short", class: twice, events: "MISS/1 MISS/2 SRCH GONE", copies: "", disk: "3!",
			do: func(r *rig, fid mogile.FID) { r.lose(fid, 1); r.lose(fid, 2); r.spoil(fid, 3, "hell") },
		},
		{
			name: "nothing is left", class: twice, events: "MISS/1 MISS/2 SRCH GONE", copies: "",
			do: func(r *rig, fid mogile.FID) { r.lose(fid, 1); r.lose(fid, 2) },
		},
		{
			name: "something is left", class: twice, events: "MISS/1 BLEN/2 SRCH GONE", copies: "2", disk: "2!",
			do: func(r *rig, fid mogile.FID) { r.lose(fid, 1); r.spoil(fid, 2, "hell") },
		},
		{
			name: "the only copies are on dead devices", class: twice, events: "POVI SRCH GONE", copies: "", disk: "1 2",
			do: func(r *rig, _ mogile.FID) { r.setState(1, mogile.DevDead); r.setState(2, mogile.DevDead) },
		},
		{
			name: "nothing is found where it could be looked for", class: twice, stalled: true, copies: "1 2", disk: nowhere,
			do: func(r *rig, fid mogile.FID) { r.lose(fid, 1); r.lose(fid, 2); r.setState(3, mogile.DevDown) },
		},
		{
			name: "a device that is down does not stall the search", class: twice, events: "MISS/1 SRCH FOND", copies: "2 3", stalled: true, queued: true,
			do: func(r *rig, fid mogile.FID) {
				r.move(fid, 1, 3)
				r.setState(2, mogile.DevDown)
			},
		},
		{
			name: "one copy is missing, one can't be asked", class: twice, stalled: true, copies: "1 2", disk: "2",
			do: func(r *rig, fid mogile.FID) { r.lose(fid, 1); r.setState(2, mogile.DevDown) },
		},
		{
			name: "bad bytes on a device that is not written to", class: twice, events: "BLEN/2 REPL", copies: "1", disk: "1 2!", queued: true,
			do: func(r *rig, fid mogile.FID) { r.spoil(fid, 2, "hell"); r.setState(2, mogile.DevReadonly) },
		},
		{
			name: "bad bytes that a node does not delete", class: twice, events: "BLEN/2", copies: "1 2", disk: "1 2!", queued: true, stalled: true,
			do: func(r *rig, fid mogile.FID) { r.spoil(fid, 2, "hell"); r.hosts[2].behaves(refuses("DELETE", 500)) },
		},
	})
}

// move takes the bytes of a copy to another device.
func (r *rig) move(fid mogile.FID, from, to mogile.DevID) {
	r.hosts[to].put(fid.Path(to), hello)
	r.lose(fid, from)
}

// Checksums: docs/spec/jobs.md §7.2, point 4, where ours replaces what is bad.
func TestFsckComparesChecksums(t *testing.T) {
	spoil := func(dev mogile.DevID) func(*rig, mogile.FID) {
		return func(r *rig, fid mogile.FID) { r.spoil(fid, dev, other) }
	}
	with := func(value string, do func(*rig, mogile.FID)) func(*rig, mogile.FID) {
		return func(r *rig, fid mogile.FID) { r.set("fsck_checksum", value); do(r, fid) }
	}
	both := func(r *rig, fid mogile.FID) { r.spoil(fid, 1, other); r.spoil(fid, 2, other) }
	nothing := func(*rig, mogile.FID) {}
	runAll(t, []fsckCase{
		{name: "a corrupt copy", class: twiceMD5, sum: md5Of(hello), do: spoil(2), events: "BSUM/2 REPL", copies: "1", queued: true},
		{name: "the other one", class: twiceSHA1, sum: sha1Of(hello), do: spoil(1), events: "BSUM/1 REPL", copies: "2", queued: true},
		{name: "off", class: twiceMD5, sum: md5Of(hello), do: with("off", spoil(2)), copies: "1 2", disk: "1 2!"},
		{
			name: "off, but something is wrong", class: twiceMD5, sum: md5Of(hello), events: "POVI BSUM/2", copies: "1 3", queued: true,
			do: with("off", func(r *rig, fid mogile.FID) { r.extraCopy(fid, 3); r.spoil(fid, 2, other) }),
		},
		{name: "no checksums", class: twice, do: spoil(2), copies: "1 2", disk: "1 2!"},
		{
			name: "recorded though the class wants none", class: twice, sum: md5Of(hello), do: with("MD5", spoil(2)),
			events: "BSUM/2 REPL", copies: "1", queued: true,
		},
		{name: "all files", class: twice, do: with("MD5", spoil(2)), events: "MSUM", copies: "1 2", disk: "1 2!"},
		{name: "all files, the other one", class: twice, do: with("SHA-1", spoil(1)), events: "MSUM", copies: "1 2", disk: "1! 2"},
		{name: "all files, and all is well", class: twice, do: with("MD5", nothing), copies: "1 2"},
		{name: "nothing recorded, copies differ", class: twiceMD5, do: spoil(2), events: "BSUM", copies: "1 2", disk: "1 2!"},
		{name: "no copy matches, and they agree", class: twiceMD5, sum: md5Of(hello), do: both, events: "BSUM", copies: "1 2", disk: "1! 2!"},
		{
			name: "no copy matches, and they differ", class: twiceMD5, sum: md5Of(hello), events: "SRCH BSUM", copies: "1 2", disk: "1! 2!",
			do: func(r *rig, fid mogile.FID) { r.spoil(fid, 1, other); r.spoil(fid, 2, "hello: REPLICA") },
		},
		{
			name: "no copy matches, another is found", class: twiceMD5, sum: md5Of(hello), copies: "3", queued: true,
			events: "MISS/1 SRCH FOND BSUM/2 REPL",
			do:     func(r *rig, fid mogile.FID) { r.move(fid, 1, 3); r.spoil(fid, 2, other) },
		},
		{
			name: "what is found does not match either", class: twiceMD5, sum: md5Of(hello), copies: "1 2", disk: "2! 3!",
			events: "MISS/1 SRCH BSUM",
			do:     func(r *rig, fid mogile.FID) { r.lose(fid, 1); r.spoil(fid, 3, other); r.spoil(fid, 2, other) },
		},
		{name: "another algorithm is recorded", class: twiceSHA1, sum: md5Of(hello), events: "BALG", copies: "1 2"},
		{
			name: "another algorithm is recorded, a copy is corrupt", class: twiceSHA1, sum: md5Of(hello), do: spoil(2),
			events: "BSUM/2 BALG REPL", copies: "1", queued: true,
		},
		{
			name: "a copy goes missing while it is digested", class: twiceMD5, sum: md5Of(hello), events: "MISS/2 REPL", copies: "1", queued: true,
			disk: "1 2", do: func(r *rig, _ mogile.FID) { r.hosts[2].behaves(refuses("GET", 404)) },
		},
		{
			name: "a copy can't be read", class: twiceMD5, sum: md5Of(hello), stalled: true, copies: "1 2",
			do: func(r *rig, _ mogile.FID) { r.hosts[2].behaves(refuses("GET", 500)) },
		},
		{
			name: "a corrupt copy, another can't be read", class: mogile.Class{MinDevCount: 3, Hash: mogile.HashMD5}, sum: md5Of(hello),
			stalled: true, events: "BSUM/2 REPL", copies: "1 3", queued: true,
			do: func(r *rig, fid mogile.FID) {
				r.extraCopy(fid, 3)
				r.setState(3, mogile.DevDown)
				r.spoil(fid, 2, other)
			},
		},
	})
}

func TestFsckRepairsWithReplication(t *testing.T) {
	r := newRig(t, twiceMD5, one, two, three)
	var fids []mogile.FID
	for i := range 4 {
		fids = append(fids, r.file(mogile.Key(fmt.Sprint(i)), md5Of(hello)))
	}
	r.lose(fids[0], 2)
	r.spoil(fids[1], 1, other)
	r.spoil(fids[2], 2, "hell")
	for _, fid := range fids {
		r.queueFsck(fid)
	}
	r.start()
	r.repaired(fids...)
}

// repaired waits until files have two good copies recorded, nothing bad is left, and
// nothing is queued any more. Rows that wait for their next try are made due.
func (r *rig) repaired(fids ...mogile.FID) {
	r.t.Helper()
	deadline := time.After(patience)
	for !r.allGood(fids) {
		for _, q := range []store.QueueName{store.FsckQueue, store.ReplicateQueue} {
			must(r.store.ReleaseAll(r.t.Context(), q))(r.t)
			r.jobs.Wake(q)
		}
		select {
		case <-r.store.settled:
		case <-deadline:
			for _, fid := range fids {
				r.t.Logf("fid %d: recorded on %v, on disk %q", fid, r.copies(fid), r.onDisk(fid))
			}
			r.t.Fatalf("files are not repaired; events %s", r.events())
		}
	}
}

func (r *rig) allGood(fids []mogile.FID) bool {
	for _, fid := range fids {
		disk := r.onDisk(fid)
		for _, dev := range r.copies(fid) {
			if !strings.Contains(disk, dev.String()) {
				return false
			}
		}
		if strings.Contains(disk, "!") || len(r.copies(fid)) != 2 {
			return false
		}
		if len(must(r.store.WorkRows(r.t.Context(), fid))(r.t)) > 0 || r.queued(fid) {
			return false
		}
	}
	return true
}

// Whatever fails, and wherever it dies: another run puts the file right, and never is the
// last good copy lost.
func TestFsckSurvivesEveryFailureOfTheStore(t *testing.T) {
	for _, fault := range faults {
		t.Run(fault.name, func(t *testing.T) {
			t.Parallel()
			for n := 1; ; n++ {
				r := newRig(t, twiceMD5, one, two, three)
				fid := r.file("a", fault.sum)
				fault.do(r, fid)
				r.queueFsck(fid)
				r.store.failNext(n)
				r.start()
				r.await()
				r.repaired(fid)
				r.jobs.Close()
				if r.store.hasFailed() == "" {
					if n < 4 {
						t.Errorf("got %d calls that can fail; want more", n-1)
					}
					return
				}
			}
		})
	}
}

var faults = []struct {
	name string
	sum  mogile.Checksum
	do   func(r *rig, fid mogile.FID)
}{
	{"a copy is missing", md5Of(hello), func(r *rig, fid mogile.FID) { r.lose(fid, 2) }},
	{"a copy is corrupt", md5Of(hello), func(r *rig, fid mogile.FID) { r.spoil(fid, 2, other) }},
	{"a copy is short", none, func(r *rig, fid mogile.FID) { r.spoil(fid, 1, "hell") }},
	{"copies are found by search", md5Of(hello), func(r *rig, fid mogile.FID) { r.move(fid, 1, 3); r.spoil(fid, 2, other) }},
	{"nothing is recorded", md5Of(hello), func(r *rig, fid mogile.FID) { r.check(r.store.Store.RemoveCopies(r.t.Context(), fid, 1, 2)) }},
}

func TestFsckSurvivesEveryFailureOfANode(t *testing.T) {
	for _, fault := range faults {
		t.Run(fault.name, func(t *testing.T) {
			t.Parallel()
			for n, failed := 1, true; failed; n++ {
				failed = false
				r := newRig(t, twiceMD5, one, two, three)
				fid := r.file("a", fault.sum)
				fault.do(r, fid)
				r.queueFsck(fid)
				left := make(chan struct{}, n)
				for range n - 1 {
					left <- struct{}{}
				}
				once := make(chan struct{}, 1)
				once <- struct{}{}
				for _, h := range r.hosts {
					h.behaves(func(w http.ResponseWriter, req *http.Request) bool {
						select {
						case <-left:
							return false
						default:
						}
						select {
						case <-once:
							failed = true
							drainBody(req)
							w.WriteHeader(http.StatusInternalServerError)
							return true
						default:
							return false
						}
					})
				}
				r.start()
				r.await()
				r.repaired(fid)
				r.jobs.Close()
				for _, h := range r.hosts {
					h.Close()
				}
			}
		})
	}
}

// What can't be checked comes back ever more rarely.
func TestFsckTriesAgainEverMoreRarely(t *testing.T) {
	r := newFsckRig(t, twice)
	fid := r.file("a", none)
	r.setState(2, mogile.DevDown)
	r.start()
	r.queueFsck(fid)
	var last time.Duration
	for i := range 5 {
		got := r.becomes(store.FsckQueue, "postponed")
		if got.failCount != i+1 || got.delay <= last {
			t.Errorf("got failcount %d, delay %v; want %d, more than %v", got.failCount, got.delay, i+1, last)
		}
		if last = got.delay; i < 4 {
			must(r.store.ReleaseAll(t.Context(), store.FsckQueue))(t)
		}
	}
	if got := r.events(); got != "" {
		t.Errorf("got events %q; want none, as nothing was found out", got)
	}
	r.setState(2, mogile.DevAlive)
	r.check(r.jobs.Refresh(t.Context()))
	must(r.store.ReleaseAll(t.Context(), store.FsckQueue))(t)
	r.becomes(store.FsckQueue, "finished")
}

// A node that does not delete a bad copy does not keep it in the way of a good one for
// ever.
func TestFsckForgetsWhatANodeWillNotDelete(t *testing.T) {
	r := newFsckRig(t, twice)
	fid := r.file("a", none)
	r.spoil(fid, 2, "hell")
	r.hosts[2].behaves(refuses("DELETE", 500))
	r.start()
	r.queueFsck(fid)
	for range 3 {
		r.becomes(store.FsckQueue, "postponed")
		must(r.store.ReleaseAll(t.Context(), store.FsckQueue))(t)
	}
	r.becomes(store.FsckQueue, "finished")
	if got := fmt.Sprint(r.copies(fid)); got != "[1]" || !r.queued(fid) {
		t.Errorf("got copies %s, queued %v; want [1], queued", got, r.queued(fid))
	}
}

// Replication gives a file up when no copy is known.
func TestFsckHasReplicationTakeUpAFileThatIsFound(t *testing.T) {
	r := newFsckRig(t, mogile.Class{MinDevCount: 1})
	fid := r.file("a", mogile.Checksum{})
	r.check(r.store.Store.RemoveCopies(t.Context(), fid, 1, 2))
	r.move(fid, 1, 3)
	r.lose(fid, 2)
	r.check(r.store.Store.Enqueue(t.Context(), store.ReplicateQueue, 0, fid))
	r.check(r.store.Store.Park(t.Context(), store.ReplicateQueue, fid, 1))
	r.start()
	r.queueFsck(fid)
	r.becomes(store.FsckQueue, "finished")
	r.wantCopies(fid, 3)
	row := must(r.store.Queued(t.Context(), store.ReplicateQueue, fid))(t)
	if due := time.Until(time.Unix(row.NextTry, 0)); due > time.Minute {
		t.Errorf("got its row due in %v; want it at once, to go", due)
	}
}
