package job_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tally"
	"github.com/mogilefs/caddy-mogilefs/tracker/job"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

func TestWhyAFileIsNotReplicatedIsToldInOneLine(t *testing.T) {
	for name, x := range map[string]struct {
		prepare func(r *rig, fid mogile.FID)
		fate    string
		want    map[string]any
		err     string
	}{
		"its destination refuses": {
			func(r *rig, _ mogile.FID) { r.hosts[2].behaves(refuses("PUT", 507)) }, "postponed",
			map[string]any{"because": "no device can take a copy", "on": []any{uint32(1)}, "not_to": []any{uint32(2)}}, "507",
		},
		"its source has lost it": {
			func(r *rig, _ mogile.FID) { r.hosts[1].behaves(refuses("GET", 404)) }, "postponed",
			map[string]any{"because": "no copy can be read", "on": []any{uint32(1)}, "not_from": []any{uint32(1)}}, "404",
		},
		"its source is down": {
			func(r *rig, _ mogile.FID) { r.setState(1, mogile.DevDown) }, "postponed",
			map[string]any{"because": "no copy can be read", "on": []any{uint32(1)}}, "",
		},
		"no copy is known": {
			func(r *rig, fid mogile.FID) { r.check(r.store.Store.RemoveCopies(r.t.Context(), fid, 1)) }, "parked",
			map[string]any{"because": "no copy is known", "on": []any{}}, "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, twice, one, two)
			core, logged := observer.New(zapcore.InfoLevel)
			counts := new(tally.Tracker)
			r.hire(job.Config{Logger: zap.New(core), Tally: counts})
			fid := r.upload("a", 1, mogile.Checksum{})
			x.prepare(r, fid)
			r.start()
			r.becomes(store.ReplicateQueue, x.fate)
			r.jobs.Close()
			lines := logged.FilterMessage("file is not replicated").All()
			if len(lines) != 1 {
				t.Fatalf("got %d lines: %v; want 1", len(lines), lines)
			}
			got := lines[0].ContextMap()
			x.want["fid"], x.want["class"], x.want["wanted"], x.want["failures"], x.want["job"] = fid.String(), "twice", int64(2), int64(1), "replicate"
			if text, _ := got["error"].(string); !strings.Contains(text, x.err) {
				t.Errorf("got error %q; want %s in it", text, x.err)
			}
			if got["again in"] == nil {
				t.Error("got nothing of the next try; want it")
			}
			delete(got, "error")
			delete(got, "again in")
			if diff := cmp.Diff(x.want, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
			if n := counts.Jobs.At(tally.Job{Name: "replicate", Result: x.fate}).Read().Count; n != 1 {
				t.Errorf("got %d rows counted as %s; want 1", n, x.fate)
			}
		})
	}
}

func TestThousandsOfStoriesAreNotTold(t *testing.T) {
	var teller job.Teller
	at := time.Now()
	told := 0
	for range 5000 {
		if _, ok := teller.May(at); ok {
			told++
		}
	}
	if told != 100 {
		t.Errorf("got %d of 5000 told; want 100", told)
	}
	if untold, ok := teller.May(at.Add(time.Minute)); !ok || untold != 4900 {
		t.Errorf("a minute later: got %v, after %d that were not; want it told, after 4900", ok, untold)
	}
	if untold, ok := teller.May(at.Add(time.Minute)); !ok || untold != 0 {
		t.Errorf("then: got %v, after %d that were not; want it told, after none", ok, untold)
	}
}
