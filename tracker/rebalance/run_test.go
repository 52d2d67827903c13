package rebalance_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/rebalance"
)

func TestARunIsReadFromTheSettings(t *testing.T) {
	r, err := rebalance.Read(map[string]string{
		"rebal_host": "here", "rebal_policy": "from_devices=1", "rebal_state": "source_devs=1", "rebal_signal": "stop",
		"rebal_sdev_was": "1 drain", "rebal_waits": "better times",
	})
	if err != nil || r.Host != "here" || !r.Stopping || r.Was != (rebalance.Was{Dev: 1, State: mogile.DevDrain}) ||
		r.Text != "source_devs=1" || r.Waits != "better times" || len(r.State.Sources) != 1 || len(r.Policy.From.Devices) != 1 {
		t.Errorf("got %+v, %v; want all that is set", r, err)
	}
	for field, value := range map[string]string{"rebal_policy": "from_devices=all", "rebal_state": "source_devs=x"} {
		r, err := rebalance.Read(map[string]string{field: value, "rebal_host": "here"})
		if err == nil || !strings.Contains(err.Error(), "id") || r.Host != "here" {
			t.Errorf("%s: got %+v, %v; want an error, and the host", field, r, err)
		}
	}
}

func TestWhatADeviceWasIsReadAsItIsWritten(t *testing.T) {
	for text, want := range map[string]rebalance.Was{
		"":        {},
		"7 alive": {Dev: 7, State: mogile.DevAlive},
		"7":       {Dev: 7},
	} {
		if got := rebalance.ParseWas(text); got != want || got.String() != text || got.Held() != (want.State != "") {
			t.Errorf("ParseWas(%q): got %+v, %q; want %+v", text, got, got, want)
		}
	}
	for text, want := range map[string]rebalance.Was{"7 broken": {Dev: 7}, "alive": {}, "x alive": {}, "7 alive and kicking": {Dev: 7}} {
		if got := rebalance.ParseWas(text); got != want {
			t.Errorf("ParseWas(%q): got %+v; want %+v", text, got, want)
		}
	}
}

func TestARunIsOverWhenNothingIsLeftToQueue(t *testing.T) {
	for text, want := range map[string]bool{
		"source_devs=1":                         false,
		"source_devs= completed_devs=1":         true,
		"source_devs= sdev_current=1":           false,
		"source_devs=1 limit=5":                 false,
		"source_devs=1 limit=0":                 false, // of no global limit
		"source_devs= sdev_current=1 limit=0":   false,
		"limit_by=count source_devs=1 limit=0":  true,
		"limit_by=count source_devs=1 limit=1":  false,
		"limit_by=size source_devs=1 limit=500": true,
	} {
		r := rebalance.Run{State: parseState(t, text)}
		if by, _, ok := strings.Cut(text, " "); ok && strings.HasPrefix(by, "limit_by=") {
			r.Policy = parse(t, by+" limit=9k limit_type=global")
		}
		if got := r.Over(); got != want {
			t.Errorf("%q: got over %v; want %v", text, got, want)
		}
	}
}

func TestASourceCanBePreferred(t *testing.T) {
	s := rebalance.State{Sources: []mogile.DevID{1, 2, 3}}
	s.Prefer(3)
	if want := []mogile.DevID{3, 1, 2}; !slices.Equal(s.Sources, want) {
		t.Errorf("got %v; want %v", s.Sources, want)
	}
}

func TestProgressIsCountedSinceTheLastStart(t *testing.T) {
	run := rebalance.Run{Host: "here", State: rebalance.State{FIDs: 700}}
	over := rebalance.Run{State: rebalance.State{FIDs: 700}}
	for _, c := range []struct {
		run    rebalance.Run
		since  string
		queued int64
		want   rebalance.Progress
	}{
		{run, "1000 100", 200, rebalance.Progress{Queued: 200, Done: 500, Rate: 40}},
		{run, rebalance.Since{Time: 1000, Done: 100}.String(), 200, rebalance.Progress{Queued: 200, Done: 500, Rate: 40}},
		{over, "1000 100", 200, rebalance.Progress{Queued: 200, Done: 500, Rate: 40}},
		{over, "1000 100", 0, rebalance.Progress{Done: 700}},
		{run, "1010 100", 200, rebalance.Progress{Queued: 200, Done: 500}}, // just started
		{run, "", 200, rebalance.Progress{Queued: 200, Done: 500}},
		{run, "1000 600", 800, rebalance.Progress{Queued: 800}}, // rows of a run before
	} {
		if got := c.run.Progress(c.since, c.queued, 1010); got != c.want {
			t.Errorf("since %q, %d queued: got %+v; want %+v", c.since, c.queued, got, c.want)
		}
	}
}
