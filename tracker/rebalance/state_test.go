package rebalance_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/rebalance"
)

func parseState(t testing.TB, text string) rebalance.State {
	t.Helper()
	s, err := rebalance.ParseState(text)
	if err != nil {
		t.Fatalf("ParseState(%q): got %v; want nil", text, err)
	}
	return s
}

func TestANewStateIsWrittenLikeThePeers(t *testing.T) {
	const rest = " fids_queued=0 bytes_queued=0 time_started=1700000000 time_finished=0 time_stopped=0" +
		" time_latest_run=0 time_latest_empty_run=0 empty_runs=0"
	for policy, want := range map[string]string{
		"":                         "completed_devs= source_devs=1,2 limit=0" + rest,
		"limit_by=count limit=500": "completed_devs= source_devs=1,2 limit=0" + rest,
		"limit_by=count limit=500 limit_type=global": "completed_devs= source_devs=1,2 limit=500" + rest,
		"limit_type=global limit=500":                "completed_devs= source_devs=1,2 limit=0" + rest,
	} {
		if got := parse(t, policy).Begin([]mogile.DevID{1, 2}, 1_700_000_000).String(); got != want {
			t.Errorf("%q: got state %q; want %q", policy, got, want)
		}
	}
}

func TestStatesOfPeersAreRead(t *testing.T) {
	text := "bytes_queued=1.5e+15 completed_devs=,102,125 empty_runs=2 fids_queued=31 limit= sdev_current=7 sdev_lastfid=99" +
		" sdev_limit=2048 source_devs= time_finished=0 time_latest_empty_run=1700000003 time_latest_run=1700000002" +
		" time_started=1700000001 time_stopped=1700000004 of_the_future=1"
	want := rebalance.State{
		Completed: []mogile.DevID{102, 125}, Current: 7, LastFID: 99, Left: rebalance.Allowance{N: 2048},
		FIDs: 31, Bytes: 1_500_000_000_000_000, Started: 1700000001, Stopped: 1700000004,
		LatestRun: 1700000002, LatestEmptyRun: 1700000003, EmptyRuns: 2,
	}
	if diff := cmp.Diff(want, parseState(t, text)); diff != "" {
		t.Errorf("state (-want +got):\n%s", diff)
	}
	if got := parseState(t, "sdev_current=7 sdev_limit=none"); !got.Left.Unlimited {
		t.Errorf("got %+v; want no limit", got)
	}
	if diff := cmp.Diff(rebalance.State{}, parseState(t, "sdev_lastfid=9 sdev_limit=none")); diff != "" {
		t.Errorf("between devices (-want +got):\n%s", diff)
	}
	for text, want := range map[string]string{
		"source_devs=a":    `"a" is no id`,
		"sdev_current=x":   "sdev_current=x",
		"sdev_lastfid=-1":  "sdev_lastfid=-1",
		"sdev_limit=much":  "want a number",
		"fids_queued=many": "want a number",
		"limit=1e300":      "want a number",
	} {
		if _, err := rebalance.ParseState(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseState(%q): got error %v; want one with %q", text, err, want)
		}
	}
}

func TestStatesAreReadAsTheyAreWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		number := rapid.Int64Range(0, math.MaxInt64)
		s := rebalance.State{
			Completed: devIDs(4).Draw(t, "completed"), Sources: devIDs(4).Draw(t, "sources"),
			GlobalLeft: number.Draw(t, "global"), FIDs: number.Draw(t, "fids"), Bytes: number.Draw(t, "bytes"),
			Started: number.Draw(t, "started"), Finished: number.Draw(t, "finished"), Stopped: number.Draw(t, "stopped"),
			LatestRun: number.Draw(t, "latest"), LatestEmptyRun: number.Draw(t, "empty"), EmptyRuns: number.Draw(t, "runs"),
		}
		if rapid.Bool().Draw(t, "at a device") {
			s.Current, s.LastFID = 5, mogile.FID(rapid.Uint64().Draw(t, "fid"))
			if s.Left.Unlimited = rapid.Bool().Draw(t, "unlimited"); !s.Left.Unlimited {
				s.Left.N = number.Draw(t, "left")
			}
		}
		got, err := rebalance.ParseState(s.String())
		if diff := cmp.Diff(s, got); err != nil || diff != "" {
			t.Fatalf("ParseState(%q): got %v (-want +got):\n%s", s, err, diff)
		}
	})
}

func FuzzParseState(f *testing.F) {
	for _, s := range []string{
		"", "completed_devs=,1 source_devs= sdev_current=1 sdev_limit=none limit=0", "fids_queued=1e3", "a", "==",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := rebalance.ParseState(text)
		if err != nil {
			return
		}
		again, err := rebalance.ParseState(s.String())
		if err != nil || again.String() != s.String() {
			t.Errorf("ParseState(%q) is %q, which reads as %q, %v; want the same", text, s, again, err)
		}
	})
}

// A walk through a whole rebalance, as the job that injects files does it.
func TestLimitsAreUsedUp(t *testing.T) {
	files := []int64{600, 5000, 600, 600} // bytes, on each of two devices
	for policy, want := range map[string][]int64{
		"":                       {600, 5000, 600, 600, 600, 5000, 600, 600},
		"limit_by=count limit=3": {600, 5000, 600, 600, 5000, 600},
		"limit_by=count limit=5 limit_type=global": {600, 5000, 600, 600, 600},
		"limit_by=size limit=2k":                   {600, 600, 600, 600}, // what does not fit is passed over
		"limit_by=size limit=2k limit_type=global": {600, 600},
		"limit_by=size limit=1023":                 nil, // not worth looking
	} {
		p := parse(t, policy)
		s := p.Begin([]mogile.DevID{1, 2}, 1)
		var got []int64
		for s.Next(p.Limit) {
			for _, bytes := range files {
				if !s.Allowance(p.Limit).Spent(p.Limit.By) && s.Queue(p.Limit, bytes) {
					got = append(got, bytes)
				}
			}
			s = parseState(t, s.String()) // another tracker goes on
			s.Complete()
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q: queued files of %v bytes; want %v", policy, got, want)
		}
		if s.FIDs != int64(len(want)) || !slices.Equal(s.Completed, []mogile.DevID{1, 2}) || s.Current != 0 || len(s.Sources) != 0 {
			t.Errorf("%q: got state %q at the end; want %d files and both devices done", policy, s, len(want))
		}
	}
}

func TestAStateKnowsItsDevices(t *testing.T) {
	s := rebalance.State{Completed: []mogile.DevID{1}, Sources: []mogile.DevID{2}, Current: 3}
	for id, want := range map[mogile.DevID]bool{1: true, 2: true, 3: true, 4: false} {
		if got := s.Takes(id); got != want {
			t.Errorf("device %d: got %v; want %v", id, got, want)
		}
	}
}
