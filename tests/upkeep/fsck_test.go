package upkeep

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tests/process"
)

// damaged is how many files get a wrong byte, and how many lose a copy.
const damaged = 100

// event is a line of the check's log.
type event struct {
	code string
	fid  mogile.FID
	dev  mogile.DevID // 0: none is named
}

func TestFsckRepairsWhatAHandBrokeThoughTheTrackerDies(t *testing.T) {
	t.Parallel()
	r := newRig(t, options{})
	r.fill()
	first, second := r.trackers[0], r.trackers[1]
	want := r.breakFiles()
	r.set("fsck_checksum", "MD5")
	// So the check takes its time, and can be met in the middle.
	r.set("queue_size_for_fsck", "200")
	r.set("queue_rate_for_fsck", "100")
	for _, k := range r.trackers {
		r.say(k, "!want 1 fsck")
	}
	highest := r.count("SELECT MAX(fid) FROM file")
	r.do(first, "fsck_start")
	process.Eventually(t, patience, "a quarter of the check", func() bool { return r.checked() > highest/4 })
	first.Kill()
	at := r.checked()
	r.logf("the first tracker is dead, and the check has come to fid %d of %d", at, highest)
	if at >= highest {
		t.Error("got a check that is through; want the tracker killed in the middle")
	}
	r.say(second, "!want 4 fsck")
	process.Eventually(t, patience, "end of the check", func() bool { return r.do(second, "fsck_status")["running"] == "0" })
	r.logf("the check is through")
	r.awaitIdle()
	r.logf("nothing is left to do")
	r.wantEvents(want)
	r.wantWhole(second, files)
}

// checked is the fid that the check has come to.
func (r *rig) checked() int {
	r.t.Helper()
	n, err := strconv.Atoi(r.setting("fsck_highest_fid_checked"))
	if err != nil {
		return 0 // it has not begun
	}
	return n
}

// setting is what the database has, empty when it is not set.
func (r *rig) setting(name string) string {
	r.t.Helper()
	rows, err := r.db.QueryContext(r.t.Context(), "SELECT value FROM server_settings WHERE field = ?", name)
	if err != nil {
		r.t.Fatal(err)
	}
	defer rows.Close()
	var value string
	for rows.Next() {
		if err := rows.Scan(&value); err != nil {
			r.t.Fatal(err)
		}
	}
	if err := rows.Err(); err != nil {
		r.t.Fatal(err)
	}
	return value
}

// breakFiles flips a byte in a copy of some files, deletes a copy of others, and returns what
// the check has to say of it (docs/spec/jobs.md §7.2): a copy that is gone is missing; one
// with other bytes than its checksum is named, too, of which the reference says nothing; each
// of both is replaced.
func (r *rig) breakFiles() map[event]bool {
	r.t.Helper()
	want := map[event]bool{}
	on := r.holders(files)
	fids := slices.Sorted(maps.Keys(on))
	rnd := rand.New(rand.NewPCG(4, 4))
	rnd.Shuffle(len(fids), func(i, j int) { fids[i], fids[j] = fids[j], fids[i] })
	for i, fid := range fids[:2*damaged] {
		dev := on[fid][rnd.IntN(len(on[fid]))]
		path := filepath.Join(r.nodes[hostOf(dev)].root, fid.Path(dev))
		want[event{"REPL", fid, 0}] = true
		if i < damaged {
			flip(r, path)
			want[event{"BSUM", fid, dev}] = true
			continue
		}
		if err := os.Remove(path); err != nil {
			r.t.Fatal(err)
		}
		want[event{"MISS", fid, dev}] = true
	}
	r.logf("%d files have a wrong byte, %d a copy less", damaged, damaged)
	return want
}

// flip changes the byte in the middle of a file.
func flip(r *rig, path string) {
	r.t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		r.t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		r.t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte{b[len(b)/2] ^ 1}, int64(len(b)/2)); err != nil {
		r.t.Fatal(err)
	}
}

// inHand is how many files a tracker checks at a time.
const inHand = 8

// wantEvents compares the log of the check with what it should say. A file that the dead
// tracker had in hand may be spoken of twice; and when it was queued for replication
// already, and replicated before it was checked again, nobody says that it was queued. When
// the dead tracker had its row for replication in hand as well, it is checked again before
// it is replicated, and found to have too few copies.
func (r *rig) wantEvents(want map[event]bool) {
	r.t.Helper()
	rows, err := r.db.QueryContext(r.t.Context(), "SELECT evcode, fid, COALESCE(devid, 0) FROM fsck_log")
	if err != nil {
		r.t.Fatal(err)
	}
	defer rows.Close()
	got := map[event]bool{}
	for rows.Next() {
		var e event
		if err := rows.Scan(&e.code, &e.fid, &e.dev); err != nil {
			r.t.Fatal(err)
		}
		got[e] = true
	}
	if err := rows.Err(); err != nil {
		r.t.Fatal(err)
	}
	r.wantSame("missing in", want, got, map[string]int{"REPL": inHand})
	r.wantSame("superfluous in", got, want, map[string]int{"POVI": inHand})
}

// wantSame fails for what is in one, and not in the other, but for so many of some codes.
func (r *rig) wantSame(how string, in, notIn map[event]bool, most map[string]int) {
	r.t.Helper()
	odd := map[string]int{}
	var one string
	for e := range in {
		if !notIn[e] {
			odd[e.code]++
			one = fmt.Sprintf("%+v", e)
		}
	}
	maps.DeleteFunc(odd, func(code string, n int) bool { return n <= most[code] })
	if len(odd) > 0 {
		r.t.Errorf("got events %s the check's log by code: %v, such as %s", how, odd, one)
	}
}
