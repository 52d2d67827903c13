package metrics_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/caddymodule/metrics"
	"github.com/mogilefs/caddy-mogilefs/tally"
	"github.com/mogilefs/caddy-mogilefs/tracker"
	"github.com/mogilefs/caddy-mogilefs/tracker/topology"
)

// gathered is the values of counters and gauges, and the counts of histograms, by name, summed up.
func gathered(t *testing.T, r prometheus.Gatherer) map[string]float64 {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]float64{}
	for _, f := range families {
		kind := f.GetType().String()
		if !strings.HasPrefix(f.GetName(), "caddy_mogilefs_") || f.GetHelp() == "" {
			t.Errorf("got %s with help %q; want our prefix and a help", f.GetName(), f.GetHelp())
		}
		if isTotal := strings.HasSuffix(f.GetName(), "_total"); isTotal != (kind == "COUNTER") {
			t.Errorf("got %s as %s; want _total behind counters, and only there", f.GetName(), kind)
		}
		for _, m := range f.GetMetric() {
			all[f.GetName()] += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return all
}

func TestTwoConfigsShowTheSameCounts(t *testing.T) {
	tallies := new(metrics.Tallies)
	tallies.Edge.Requests[tally.Get][tally.Served].Add(3)
	tallies.Edge.FirstByte[tally.Memory].Observe(time.Millisecond)
	tallies.Tracker.Commands.At(tally.Command{Name: "noop", Code: "ok"}).Observe(time.Millisecond)
	tallies.Tracker.Commands.At(tally.Command{Name: "noop", Code: "failure"}).Observe(time.Second)
	tallies.Storage.Devices.At(7).Requests.At("GET").Add(2)
	view := metrics.View{HasTracker: true, Tracker: &tracker.Stats{Connections: 5, Topology: topology.New(nil, topology.Config{}).Snapshot()}}
	for _, look := range []func() metrics.View{
		func() metrics.View { return view },
		func() metrics.View { return metrics.View{} },
		func() metrics.View { return metrics.View{HasTracker: true} },
	} {
		r := prometheus.NewPedanticRegistry()
		if err := r.Register(metrics.New(tallies, look, nil)); err != nil {
			t.Fatal(err)
		}
		got := gathered(t, r)
		for name, want := range map[string]float64{
			"edge_requests_total": 3, "edge_first_byte_seconds": 1, "tracker_commands_total": 2,
			"tracker_command_duration_seconds": 2, "storage_requests_total": 2,
		} {
			if is := got["caddy_mogilefs_"+name]; is != want {
				t.Errorf("%s: got %v; want %v", name, is, want)
			}
		}
	}
}

func TestATrackerThatIsNotThereIsNotShownAsDown(t *testing.T) {
	for name, x := range map[string]struct {
		view  metrics.View
		shown bool
	}{
		"none":     {metrics.View{}, false},
		"not open": {metrics.View{HasTracker: true}, true},
	} {
		r := prometheus.NewPedanticRegistry()
		if err := r.Register(metrics.New(new(metrics.Tallies), func() metrics.View { return x.view }, nil)); err != nil {
			t.Fatal(err)
		}
		if _, shown := gathered(t, r)["caddy_mogilefs_tracker_running"]; shown != x.shown {
			t.Errorf("%s: got it shown: %t; want %t", name, shown, x.shown)
		}
	}
}

func TestQueuesAreCountedForTheNextScrape(t *testing.T) {
	answers := make(chan error, 1)
	queues := metrics.NewQueues(func(ctx context.Context) (tracker.Queues, error) {
		select {
		case err := <-answers:
			return tracker.Queues{"replicate": 4}, err
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}, zap.NewNop())
	view := metrics.View{HasTracker: true, Tracker: &tracker.Stats{Topology: topology.New(nil, topology.Config{}).Snapshot()}}
	r := prometheus.NewPedanticRegistry()
	if err := r.Register(metrics.New(new(metrics.Tallies), func() metrics.View { return view }, queues)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { // ends below
		defer close(ended)
		queues.Run(ctx)
	}()
	shown := func() bool {
		_, is := gathered(t, r)["caddy_mogilefs_queue_files"]
		return is
	}
	if shown() {
		t.Error("got queues before they were counted")
	}
	answers <- errors.New("the database is away")
	if shown() {
		t.Error("got queues although counting failed")
	}
	answers <- nil
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for !shown() { // the time of all tests bounds it
		<-again.C
	}
	cancel()
	<-ended
}
