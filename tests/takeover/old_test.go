package takeover

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tests/legacy"
	"github.com/mogilefs/caddy-mogilefs/tracker/client"
	"github.com/mogilefs/caddy-mogilefs/tracker/protocol"
)

func TestAnOldDatabaseIsFoundWholeAndGrows(t *testing.T) {
	for name, v := range legacy.Current() {
		t.Run(name, func(t *testing.T) {
			nodes, at := startNodes(t)
			v.Nodes = at
			d := legacy.New(t, v)
			k, _ := newTracker(t, open(t, d), resting)
			for _, f := range d.Files() {
				checkFile(t, k, f)
			}
			checkKeys(t, d, k)
			checkTopology(t, k)
			checkUpkeep(t, k)
			goRound(t, d, nodes, k)
		})
	}
}

func checkFile(t *testing.T, k talk, f legacy.File) {
	t.Helper()
	info, err := k.Info(t.Context(), f.Domain, f.Key)
	want := client.Info{FID: f.FID, Length: f.Length, Class: f.Class, DevCount: len(f.Devices), Checksum: f.Checksum}
	if err != nil || !cmp.Equal(want, info) {
		t.Errorf("%q: got %+v, error %v; want %+v", f.Key, info, err, want)
		return
	}
	loc, err := k.Locate(t.Context(), f.Domain, f.Key, client.MainZone)
	var got []mogile.DevID
	for _, c := range loc.Copies {
		got = append(got, c.Dev)
	}
	slices.Sort(got)
	known := slices.DeleteFunc(slices.Clone(f.Devices), func(dev mogile.DevID) bool { return dev > 4 })
	if err != nil || loc.FID != f.FID || !slices.Equal(got, known) {
		t.Errorf("%q: got fid %d on %v, error %v; want %d on %v", f.Key, loc.FID, got, err, f.FID, known)
	}
}

// checkKeys lists all keys, a few at a time, and those of some prefixes.
func checkKeys(t *testing.T, d *legacy.Database, k talk) {
	t.Helper()
	all := map[string]bool{}
	for _, f := range d.Files() {
		if f.Domain == legacy.Images {
			all[string(f.Key)] = true
		}
	}
	listed := map[string]bool{}
	for after := ""; ; {
		page, err := k.ask(t.Context(), "list_keys", "domain", "images", "limit", "7", "after", after)
		if errors.Is(err, protocol.NoneMatch) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		for i := 1; page["key_"+strconv.Itoa(i)] != ""; i++ {
			key := page["key_"+strconv.Itoa(i)]
			if listed[key] {
				t.Fatalf("list after %q: got %q again; want each key once", after, key)
			}
			listed[key] = true
		}
		after = page["next_after"]
	}
	if diff := cmp.Diff(all, listed); diff != "" {
		t.Errorf("keys listed, without those that should be (-) and with those that should not (+):\n%s", diff)
	}
	for prefix, want := range map[string]string{"photos/": "10", "grü": "1", "100%": "1", "under_": "1", `back\`: "1"} {
		if got := k.ok(t, "list_keys", "domain", "images", "prefix", prefix)["key_count"]; got != want {
			t.Errorf("list of %q: got %s keys; want %s", prefix, got, want)
		}
	}
	k.refused(t, protocol.NoneMatch, "list_keys", "domain", "images", "prefix", "underXscore")
}

// want compares some values of an answer.
func want(t *testing.T, got protocol.Values, what map[string]string) {
	t.Helper()
	some := protocol.Values{}
	for name := range what {
		some[name] = got[name]
	}
	if diff := cmp.Diff(protocol.Values(what), some); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}
}

// checkTopology looks at what the rows of hosts, devices, domains and classes became.
func checkTopology(t *testing.T, k talk) {
	t.Helper()
	want(t, k.ok(t, "get_hosts"), map[string]string{"hosts": "6"})
	want(t, k.ok(t, "get_hosts", "hostid", "1"), map[string]string{"host1_status": "alive", "host1_altip": "10.9.0.1", "host1_altmask": "10.9.0.0/16"})
	for id, status := range map[string]string{"2": "alive", "3": "down", "4": "readonly", "7": "dead", "9": "down"} {
		want(t, k.ok(t, "get_hosts", "hostid", id), map[string]string{"host1_status": status})
	}
	for id, status := range map[string]string{
		"1": "alive", "2": "alive", "3": "drain", "4": "readonly", "5": "down", "6": "dead", "8": "alive", "9": "alive",
	} {
		want(t, k.ok(t, "get_devices", "devid", id), map[string]string{"dev1_status": status})
	}
	for id, weight := range map[string]string{"1": "100", "2": "50", "5": "100"} {
		want(t, k.ok(t, "get_devices", "devid", id), map[string]string{"dev1_weight": weight})
	}
	want(t, classesOf(k.ok(t, "get_domains")), map[string]string{
		"images/default": "2 MultipleHosts() NONE", "images/thumb": "1 MultipleHosts() NONE", "images/original": "3 MultipleHosts(3) MD5",
		"mail/default": "3 MultipleHosts() NONE", "mail/keep": "2 MultipleDevices() SHA-1", "empty/default": "2 MultipleHosts() NONE",
	})
}

// classesOf is mindevcount, policy and hashtype by domain/class.
func classesOf(domains protocol.Values) protocol.Values {
	all := protocol.Values{}
	for d := 1; domains[fmt.Sprint("domain", d)] != ""; d++ {
		prefix := fmt.Sprint("domain", d)
		for c := 1; domains[fmt.Sprint(prefix, "class", c, "name")] != ""; c++ {
			at := fmt.Sprint(prefix, "class", c)
			all[domains[prefix]+"/"+domains[at+"name"]] = domains[at+"mindevcount"] + " " + domains[at+"replpolicy"] + " " + domains[at+"hashtype"]
		}
	}
	return all
}

// checkUpkeep sees another tracker's fsck and rebalance, and what operators have set.
func checkUpkeep(t *testing.T, k talk) {
	t.Helper()
	want(t, k.ok(t, "fsck_status"), map[string]string{
		"running": "1", "host": legacy.Neighbour, "max_fid_checked": "4", "end_fid": "1000", "policy_only": "1",
		"start_time": "1700000000", "stop_time": "0", "max_logid": "4",
		"num_NOPA": "2", "num_MISS": "1", // with the row that had not been counted
	})
	k.refused(t, protocol.FsckRunning, "fsck_start")
	k.refused(t, protocol.RebalRunning, "rebalance_start")
	want(t, k.ok(t, "server_setting", "key", "rebal_host"), map[string]string{"value": legacy.Neighbour})
	state := k.ok(t, "rebalance_status")["state"]
	if wanted := "sdev_lastfid=2"; !slices.Contains(splitBlanks(state), wanted) {
		t.Errorf("rebalance_status: got %q; want %s in it", state, wanted)
	}
	log := k.ok(t, "fsck_getlog", "after_logid", "0")
	want(t, log, map[string]string{"row_count": "4", "row_1_evcode": "NOPA", "row_2_devid": "1", "row_3_fid": ""})
	want(t, k.ok(t, "server_setting", "key", "somebody_elses"), map[string]string{"value": "a=b&c d\n%"})
	want(t, k.ok(t, "file_debug", "fid", "2"), map[string]string{
		"replqueue_nexttry": "1", "replqueue_fromdevid": "2", "replqueue_flags": "7", "replqueue_failcount": "1",
	})
}

func splitBlanks(text string) []string {
	words := []string{""}
	for _, r := range text {
		if r == ' ' {
			words = append(words, "")
			continue
		}
		words[len(words)-1] += string(r)
	}
	return words
}

// goRound uploads, overwrites, renames, lists and deletes keys beside old ones.
func goRound(t *testing.T, d *legacy.Database, nodes []*node, k talk) {
	t.Helper()
	seen := map[mogile.FID]bool{}
	for _, key := range []mogile.Key{"photos/001.jpg", "new/ö.jpg"} { // the first replaces an old one
		fid, err := k.upload(t.Context(), nodes, legacy.Images, key)
		if err != nil || fid <= d.HighestFID() || seen[fid] {
			t.Fatalf("upload %q: got fid %d, error %v; want more than %d", key, fid, err, d.HighestFID())
		}
		seen[fid] = true
		loc, err := k.Locate(t.Context(), legacy.Images, key, client.MainZone)
		if err != nil || loc.FID != fid || len(loc.Copies) != 1 {
			t.Errorf("%q: got %+v, error %v; want fid %d with a copy", key, loc, err, fid)
		}
	}
	want(t, k.ok(t, "file_debug", "fid", "1"), map[string]string{"delqueue_fid": "1"})
	k.ok(t, "rename", "domain", "images", "from_key", "new/ö.jpg", "to_key", "new/ä.jpg")
	want(t, k.ok(t, "list_keys", "domain", "images", "prefix", "new/"), map[string]string{"key_1": "new/ä.jpg", "key_count": "1"})
	k.ok(t, "delete", "domain", "images", "key", "new/ä.jpg")
	k.refused(t, protocol.UnknownKey, "file_info", "domain", "images", "key", "new/ä.jpg")
	k.refused(t, protocol.FIDInUse, "create_open", "domain", "images", "key", "k", "fid", (d.HighFID() + 10).String())
	// An upload that was begun with the old tracker ends with this one.
	nodes[0].put(legacy.YoungUpload.Path(1), "12345")
	k.ok(t, "create_close", "domain", "images", "key", "young", "fid", legacy.YoungUpload.String(), "devid", "1",
		"path", fmt.Sprintf("http://%s:%d%s", d.Nodes[0].IP, d.Nodes[0].Port, legacy.YoungUpload.Path(1)), "size", "5")
	want(t, k.ok(t, "file_info", "domain", "images", "key", "young"), map[string]string{"class": "original", "length": "5"})
}

// TestJobsHonourWhatTheOldTrackerHasClaimed: on a database that others use, nobody touches a
// row before its time; what is due is worked on.
func TestJobsHonourWhatTheOldTrackerHasClaimed(t *testing.T) {
	for name, v := range kinds {
		t.Run(name, func(t *testing.T) {
			nodes, at := startNodes(t)
			v.Nodes = at
			d := legacy.New(t, v)
			for _, f := range d.Files() {
				for _, dev := range f.Devices {
					if dev <= 4 {
						nodeOf(nodes, dev).put(f.FID.Path(dev), "x")
					}
				}
			}
			// Jobs give each device some seconds to appear; this one never does.
			d.Do(t, "UPDATE host SET status = 'down' WHERE hostid = 4")
			leased := "SELECT nexttry FROM file_to_replicate WHERE fid IN (5, 6, 299) ORDER BY fid"
			before := d.Texts(t, leased)
			newTracker(t, open(t, d), map[string]int{"replicate": 2, "delete": 2})
			eventually(t, "deletions that are due", func() bool {
				return d.Number(t, "SELECT COUNT(*) FROM file_on WHERE fid = 310") == 0
			})
			eventually(t, "replications that are due", func() bool {
				return d.Number(t, "SELECT COUNT(*) FROM file_to_replicate WHERE fid = 1 AND nexttry = 0") == 0
			})
			if d.Kind == legacy.SQLite { // which nobody else uses
				return
			}
			if got := d.Texts(t, leased); !slices.Equal(got, before) {
				t.Errorf("claimed and postponed rows: got nexttry %v; want %v", got, before)
			}
			if n := d.Number(t, "SELECT COUNT(*) FROM file_to_delete2 WHERE fid IN (301, 302)"); n != 2 {
				t.Errorf("claimed and postponed deletions: got %d; want 2", n)
			}
			parked := fmt.Sprintf("SELECT COUNT(*) FROM file_to_replicate WHERE nexttry = %d", legacy.Parked)
			if n := d.Number(t, parked); n != 1 {
				t.Errorf("parked rows: got %d; want 1", n)
			}
		})
	}
}
