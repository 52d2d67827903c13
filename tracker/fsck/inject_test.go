package fsck_test

import (
	"errors"
	"testing"

	"github.com/mogilefs/caddy-mogilefs/tracker/fsck"
)

func TestThePaceIsThatOfTheSettings(t *testing.T) {
	for _, c := range []struct {
		size, rate string
		want       fsck.Pace
	}{
		{"", "", fsck.Pace{Size: 20000, Rate: 1000}},
		{"7", "3", fsck.Pace{Size: 7, Rate: 3, EverySecond: true}},
		{"0", "0", fsck.Pace{Size: 20000, Rate: 1000}},
		{"-1", "x", fsck.Pace{Size: 20000, Rate: 1000}},
		{"30000", "99999999", fsck.Pace{Size: 30000, Rate: 10000, EverySecond: true}},
	} {
		now := settings{"queue_size_for_fsck": c.size, "queue_rate_for_fsck": c.rate}
		if got := fsck.ReadPace(func(field string) string { return now[field] }); got != c.want {
			t.Errorf("size %q, rate %q: got %+v; want %+v", c.size, c.rate, got, c.want)
		}
	}
}

// Whoever queues files stops when the run is not his any more, or not where he left it.
func TestARunIsOnlyMovedByWhoKnowsWhereItIs(t *testing.T) {
	now := settings{"fsck_host": "here", "fsck_highest_fid_checked": "20", "fsck_fid_at_end": "30", "fsck_fids_checked": "5"}
	run := fsck.Read(now)
	for name, then := range map[string]settings{
		"another took it over": {"fsck_host": "there", "fsck_highest_fid_checked": "20", "fsck_fid_at_end": "30"},
		"it was stopped":       {"fsck_highest_fid_checked": "20", "fsck_fid_at_end": "30"},
		"it was set back":      {"fsck_host": "here", "fsck_highest_fid_checked": "0", "fsck_fid_at_end": "30"},
		"it was made longer":   {"fsck_host": "here", "fsck_highest_fid_checked": "20", "fsck_fid_at_end": "90"},
	} {
		_, advanced := fsck.Advance(then, run, 25, 5)
		_, ended := fsck.End(then, run, 99)
		_, taken := fsck.TakeOver(then, run, "third")
		for _, err := range []error{advanced, ended, taken} {
			if !errors.Is(err, fsck.ErrMoved) {
				t.Errorf("%s: got %v; want %v", name, err, fsck.ErrMoved)
			}
		}
	}
	advance, err := fsck.Advance(now, run, 25, 4)
	if err != nil {
		t.Fatal(err)
	}
	now.change(advance).is(t, "advance", settings{
		"fsck_host": "here", "fsck_highest_fid_checked": "25", "fsck_fid_at_end": "30", "fsck_fids_checked": "9",
	})
	end, err := fsck.End(now, run, 99)
	if err != nil {
		t.Fatal(err)
	}
	now.change(end).is(t, "end", settings{
		"fsck_stop_time": "99", "fsck_highest_fid_checked": "30", "fsck_fid_at_end": "30", "fsck_fids_checked": "5",
	})
	taken, err := fsck.TakeOver(now, run, "third")
	if err != nil || taken.Set["fsck_host"] != "third" {
		t.Errorf("take over: got %+v, %v; want the new host", taken, err)
	}
}

func TestProgressIsWhatIsCheckedASecond(t *testing.T) {
	for _, c := range []struct {
		run       fsck.Run
		waiting   int64
		checked   int64
		perSecond float64
	}{
		{fsck.Run{Host: "here", Started: 100, Queued: 5000}, 1000, 4000, 400},
		{fsck.Run{Started: 100, Stopped: 105, Queued: 5000}, 0, 5000, 1000},
		{fsck.Run{Host: "here", Started: 110, Queued: 10}, 20, 0, 0},
		{fsck.Run{Host: "here", Started: 110, Queued: 10}, 4, 6, 6},
	} {
		checked, perSecond := c.run.Progress(110, c.waiting)
		if checked != c.checked || perSecond != c.perSecond {
			t.Errorf("%+v, %d waiting: got %d, %v a second; want %d, %v", c.run, c.waiting, checked, perSecond, c.checked, c.perSecond)
		}
	}
}
