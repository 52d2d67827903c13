package fsck_test

import (
	"maps"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mogilefs/caddy-mogilefs/tracker/fsck"
)

// settings is what a database has, changed by changes.
type settings map[string]string

func (s settings) change(c fsck.Changes) settings {
	after := maps.Clone(s)
	for _, field := range c.Unset {
		delete(after, field)
	}
	maps.Copy(after, c.Set)
	return after
}

func (s settings) is(t *testing.T, what string, want settings) {
	t.Helper()
	if diff := cmp.Diff(want, s); diff != "" {
		t.Errorf("%s: settings (-want +got):\n%s", what, diff)
	}
}

var facts = fsck.Facts{Now: 1_700_000_000, MaxFID: 50, MaxLogID: 7}

func TestTheFirstStartChecksAllFiles(t *testing.T) {
	got := settings{"skip_mkcol": "1", "fsck_stop_time": "5"}.change(fsck.Start(settings{}, "here", facts))
	got.is(t, "start", settings{
		"skip_mkcol": "1", "fsck_host": "here", "fsck_start_time": "1700000000", "fsck_start_fid": "0", "fsck_fids_checked": "0",
		"fsck_fid_at_end": "50", "fsck_start_maxlogid": "7", "fsck_logid_processed": "7",
	})
}

func TestAStartGoesOnWhereItWasStopped(t *testing.T) {
	before := settings{
		"fsck_highest_fid_checked": "20", "fsck_fid_at_end": "30", "fsck_stop_time": "5",
		"fsck_sum_evcount_MISS": "3", "fsck_logid_processed": "4",
	}
	before.change(fsck.Start(before, "here", facts)).is(t, "start", settings{
		"fsck_highest_fid_checked": "20", "fsck_fid_at_end": "30", "fsck_sum_evcount_MISS": "3", "fsck_logid_processed": "4",
		"fsck_host": "here", "fsck_start_time": "1700000000", "fsck_start_fid": "20", "fsck_fids_checked": "0",
	})
}

func TestAStartAfterTheEndChecksWhatCameSince(t *testing.T) {
	for _, highest := range []string{"30", "31"} {
		before := settings{
			"fsck_highest_fid_checked": highest, "fsck_fid_at_end": "30", "fsck_stop_time": "5",
			"fsck_sum_evcount_MISS": "3", "fsck_sum_evcount_GONE": "1", "fsck_logid_processed": "4",
		}
		before.change(fsck.Start(before, "here", facts)).is(t, "start", settings{
			"fsck_highest_fid_checked": highest, "fsck_fid_at_end": "50", "fsck_start_fid": highest, "fsck_fids_checked": "0",
			"fsck_host": "here", "fsck_start_time": "1700000000", "fsck_start_maxlogid": "7", "fsck_logid_processed": "7",
		})
	}
}

func TestStopAndResetDoTheirPart(t *testing.T) {
	running := settings{"fsck_host": "there", "fsck_highest_fid_checked": "20", "fsck_fid_at_end": "30", "fsck_sum_evcount_MISS": "3"}
	running.change(fsck.Stop(9)).is(t, "stop", settings{
		"fsck_stop_time": "9", "fsck_highest_fid_checked": "20", "fsck_fid_at_end": "30", "fsck_sum_evcount_MISS": "3",
	})
	reset := running.change(fsck.Reset(running, 0, true, facts))
	reset.is(t, "reset", settings{
		"fsck_host": "there", "fsck_highest_fid_checked": "0", "fsck_fid_at_end": "50", "fsck_opt_policy_only": "1",
		"fsck_start_maxlogid": "7", "fsck_logid_processed": "7",
	})
	reset = reset.change(fsck.Reset(reset, 12, false, facts))
	if _, only := reset["fsck_opt_policy_only"]; only || reset["fsck_highest_fid_checked"] != "12" {
		t.Errorf("reset behind 12: got %v; want that position, and the copies checked", reset)
	}
	advance, err := fsck.Advance(reset, fsck.Read(reset), 44, 30)
	if err != nil {
		t.Fatal(err)
	}
	reset.change(advance).is(t, "advance", reset.change(fsck.Changes{
		Set: settings{"fsck_highest_fid_checked": "44", "fsck_fids_checked": "30"},
	}))
}

func TestARunIsReadFromItsSettings(t *testing.T) {
	got := fsck.Read(settings{
		"fsck_host": "here", "fsck_highest_fid_checked": "20", "fsck_fid_at_end": "30", "fsck_opt_policy_only": "1",
		"fsck_start_time": "4", "fsck_stop_time": "5", "fsck_sum_evcount_POVI": "2", "fsck_sum_evcount_MISS": "3",
	})
	want := fsck.Run{
		Host: "here", Highest: 20, End: 30, PolicyOnly: true, Started: 4, Stopped: 5,
		Counts: []fsck.Count{{fsck.Missing, 3}, {fsck.PolicyViolation, 2}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("run (-want +got):\n%s", diff)
	}
	if !got.Running() || (fsck.Run{}).Running() {
		t.Error("a run is on while it has a host, and not else")
	}
	odd := fsck.Read(settings{"fsck_opt_policy_only": "0", "fsck_fid_at_end": "-1", "fsck_highest_fid_checked": "x", "fsck_start_time": ""})
	if diff := cmp.Diff(fsck.Run{}, odd); diff != "" {
		t.Errorf("what is no number (-want +got):\n%s", diff)
	}
}
