package storetest

import (
	"errors"
	"strconv"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

var fsckChecks = []check{
	{"EventsKeepWhatTheyAreTold", eventsKeepWhatTheyAreTold},
	{"EventsAreCountedOnce", eventsAreCountedOnce},
	{"CountingBeginsWhereARunBegan", countingBeginsWhereARunBegan},
	{"ManyCountersCountOnce", manyCountersCountOnce},
	{"AnEmptiedLogBeginsAnew", emptiedLogBeginsAnew},
	{"ALogThatAnotherEmptiedIsCounted", logThatAnotherEmptiedIsCounted},
}

func (e env) logs(codes ...string) {
	e.Helper()
	for _, code := range codes {
		e.must(e.s.LogFsck(e.ctx, store.FsckEvent{FID: 1, Code: code}), "log %s", code)
	}
}

func (e env) events(after int64, limit int) []store.FsckEvent {
	e.Helper()
	events, err := e.s.FsckEvents(e.ctx, after, limit)
	e.must(err, "list events")
	return events
}

func (e env) lastEvent() int64 {
	e.Helper()
	last, err := e.s.LastFsckEvent(e.ctx)
	e.must(err, "find last event")
	return last
}

// counted counts, and compares the counters.
func (e env) counted(want map[string]string) {
	e.Helper()
	e.must(e.s.FoldFsckLog(e.ctx), "count events")
	all, err := e.s.AllSettings(e.ctx)
	e.must(err, "read settings")
	got := map[string]string{}
	for _, code := range []string{"MISS", "GONE", "POVI"} {
		if n, ok := all["fsck_sum_evcount_"+code]; ok {
			got[code] = n
		}
	}
	e.same(got, want, "counters")
}

func eventsKeepWhatTheyAreTold(e env) {
	e.same(e.lastEvent(), int64(0), "last event of an empty log")
	e.same(len(e.events(0, 100)), 0, "events of an empty log")
	e.must(e.s.LogFsck(e.ctx), "log nothing")
	const fid mogile.FID = 1 << 40
	before := e.clock()
	e.must(e.s.LogFsck(e.ctx,
		store.FsckEvent{FID: fid, Code: "MISS", Dev: 32767, LogID: 99, Time: 99},
		store.FsckEvent{FID: 2, Code: "GONE"},
		store.FsckEvent{},
	), "log")
	got := e.events(0, 100)
	e.same(len(got), 3, "number of events")
	for i := range got {
		if got[i].Time < before || got[i].Time > e.clock() || i > 0 && got[i].LogID <= got[i-1].LogID {
			e.Errorf("event %d of %+v: want it logged now, with a greater number than the one before", i, got)
		}
	}
	e.same(e.lastEvent(), got[2].LogID, "last event")
	e.same(e.events(got[0].LogID, 1), got[1:2], "one event after the first")
	e.same(len(e.events(got[2].LogID, 100)), 0, "events after the last")
	e.same(len(e.events(1<<40, 100)), 0, "events after all that can be")
	for i, want := range []store.FsckEvent{{FID: fid, Code: "MISS", Dev: 32767}, {FID: 2, Code: "GONE"}, {}} {
		want.LogID, want.Time = got[i].LogID, got[i].Time
		e.same(got[i], want, "event %d", i)
	}
}

func eventsAreCountedOnce(e env) {
	e.counted(map[string]string{})
	e.logs("MISS", "GONE", "MISS")
	e.must(e.s.LogFsck(e.ctx, store.FsckEvent{FID: 1}), "log an event without a code")
	for range 2 {
		e.counted(map[string]string{"MISS": "2", "GONE": "1"})
	}
	e.logs("MISS", "POVI")
	e.counted(map[string]string{"MISS": "3", "GONE": "1", "POVI": "1"})
	processed, err := e.s.Setting(e.ctx, "fsck_logid_processed")
	e.must(err, "read setting")
	e.same(processed, strconv.FormatInt(e.lastEvent(), 10), "fsck_logid_processed")
}

func countingBeginsWhereARunBegan(e env) {
	e.logs("MISS", "GONE")
	e.must(e.s.SetSetting(e.ctx, "fsck_start_maxlogid", strconv.FormatInt(e.lastEvent(), 10)), "set setting")
	e.logs("MISS")
	e.counted(map[string]string{"MISS": "1"})
}

func manyCountersCountOnce(e env) {
	const n = 8
	e.logs("MISS", "MISS")
	together(n, func(i int) {
		if err := e.s.LogFsck(e.ctx, store.FsckEvent{FID: mogile.FID(i + 1), Code: "GONE"}); err != nil {
			e.Errorf("log: got %v; want nil", err)
		}
		if err := e.s.FoldFsckLog(e.ctx); err != nil && !errors.Is(err, store.ErrLocked) {
			e.Errorf("count events: got %v; want nil", err)
		}
	})
	all, err := e.s.AllSettings(e.ctx)
	e.must(err, "read settings")
	// What was given a number while another counted is counted late or, as with peers,
	// never; nothing is counted twice.
	gone, err := strconv.Atoi(all["fsck_sum_evcount_GONE"])
	if err != nil || gone < 1 || gone > n || all["fsck_sum_evcount_MISS"] != "2" {
		e.Errorf("got counters %v; want 2 MISS and 1 to %d GONE", all, n)
	}
}

func emptiedLogBeginsAnew(e env) {
	e.must(e.s.ClearFsckLog(e.ctx), "clear an empty log")
	e.logs("MISS", "GONE")
	e.must(e.s.SetSetting(e.ctx, "fsck_start_maxlogid", strconv.FormatInt(e.lastEvent(), 10)), "set setting")
	e.logs("MISS")
	for range 2 {
		e.must(e.s.ClearFsckLog(e.ctx), "clear log")
		e.same(len(e.events(0, 100)), 0, "events of a cleared log")
		e.counted(map[string]string{"MISS": "1"})
	}
	e.logs("GONE")
	e.counted(map[string]string{"MISS": "1", "GONE": "1"})
}

// logThatAnotherEmptiedIsCounted: peers leave the settings as they were, and their
// numbers begin with 1 again.
func logThatAnotherEmptiedIsCounted(e env) {
	for _, field := range []string{"fsck_logid_processed", "fsck_start_maxlogid"} {
		e.must(e.s.SetSetting(e.ctx, field, "1000"), "set setting")
	}
	e.logs("MISS")
	for range 2 {
		e.counted(map[string]string{"MISS": "1"})
	}
	e.logs("MISS")
	e.counted(map[string]string{"MISS": "2"})
}
