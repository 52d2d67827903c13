package metrics

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tests/process"
	"github.com/mogilefs/caddy-mogilefs/tracker/client"
)

const uploads = 8

func TestTheNumbersOfADayAddUp(t *testing.T) {
	s := newSite(t)
	first := s.scrape()

	fids := s.upload()
	s.read()
	s.check(s.scrape())

	before := s.scrape()
	s.hub.Reload(s.fill(hubFile, s.nodes[0], "cache_control max-age=60"))
	after := s.scrape()
	grows(t, first, before)
	grows(t, before, after)
	s.check(after)

	s.read()
	s.loseACopy(fids["two0"])
	s.killTheNode()
	s.check(s.scrape())
	grows(t, after, s.scrape())

	s.makeUpNames()
	queues(s)
	pages(t, s.scrape())
}

// upload stores files of one copy on whichever device, and of two; and returns their fids.
func (s *site) upload() map[string]mogile.FID {
	s.t.Helper()
	fids := map[string]mogile.FID{}
	for i := range uploads {
		for _, class := range []string{"one", "two"} {
			key := class + strconv.Itoa(i)
			a := s.want(http.StatusCreated, http.MethodPut, "/images/"+key, strings.Repeat(key, 1000), "X-Class", class)
			fid, err := mogile.ParseFID(strings.Trim(a.header.Get("Etag"), `"`))
			if err != nil {
				s.t.Fatalf("ETag of %s: %v", key, err)
			}
			fids[key] = fid
		}
	}
	process.Eventually(s.t, within, "two copies of each file of class two", func() bool {
		for i := range uploads {
			f, err := s.tracker.Locate(s.t.Context(), "images", mogile.Key(fmt.Sprint("two", i)), "")
			if err != nil || len(f.Copies) != 2 {
				return false
			}
		}
		return true
	})
	return fids
}

// read reads in every way there is.
func (s *site) read() {
	s.t.Helper()
	for i := range uploads {
		for _, class := range []string{"one", "two"} {
			key := class + strconv.Itoa(i)
			s.want(http.StatusOK, http.MethodGet, "/images/"+key, "")
			s.want(http.StatusPartialContent, http.MethodGet, "/images/"+key, "", "Range", "bytes=10-19")
			s.want(http.StatusOK, http.MethodHead, "/images/"+key, "")
			etag := s.want(http.StatusOK, http.MethodGet, "/hot/"+key, "").header.Get("Etag")
			s.want(http.StatusOK, http.MethodGet, "/hot/"+key, "")
			s.want(http.StatusNotModified, http.MethodGet, "/images/"+key, "", "If-None-Match", etag)
		}
		s.want(http.StatusNotFound, http.MethodGet, fmt.Sprint("/images/nothing", i), "")
		s.want(http.StatusNotFound, http.MethodDelete, fmt.Sprint("/images/nothing", i), "")
		s.want(http.StatusRequestedRangeNotSatisfiable, http.MethodGet, fmt.Sprint("/images/one", i), "", "Range", "bytes=99999-")
		s.want(http.StatusPreconditionFailed, http.MethodPut, fmt.Sprint("/images/one", i), "x", "If-None-Match", "*")
	}
	s.want(http.StatusCreated, http.MethodPut, "/images/short", "lived")
	s.want(http.StatusNoContent, http.MethodDelete, "/images/short", "")
	s.say("noop", "noop", "bogus")
}

// loseACopy has the edge go from a copy that is gone to another.
func (s *site) loseACopy(fid mogile.FID) {
	s.t.Helper()
	before := s.scrape().sum("caddy_mogilefs_edge_failovers_total")
	s.removeLocal(fid)
	// Before the edge, which has the copy made again.
	resp, err := s.client.Get("http://" + s.nodes[0] + fid.Path(1))
	if err != nil || resp.Body.Close() != nil || resp.StatusCode != http.StatusNotFound {
		s.t.Fatalf("the node was asked for it: got %v, %v; want 404", resp, err)
	}
	if a := s.want(http.StatusOK, http.MethodGet, "/images/two0", ""); a.header.Get("X-Copy") != "2" {
		s.t.Fatalf("got it from device %q; want 2, as that of device 1 is gone", a.header.Get("X-Copy"))
	}
	if got := s.scrape().sum("caddy_mogilefs_edge_failovers_total"); got != before+1 {
		s.t.Errorf("got %v fail-overs after %v; want one more", got, before)
	}
	if got := s.scrape().sum("caddy_mogilefs_storage_failures_total", "device=1", "status=404"); got != 1 {
		s.t.Errorf("got %v files that the node was asked for in vain; want 1", got)
	}
}

// killTheNode kills the other node and reads what was there.
func (s *site) killTheNode() {
	s.t.Helper()
	s.node.Kill()
	for i := range uploads {
		s.do(http.MethodGet, fmt.Sprint("/images/one", i), "")
	}
	s.await("device 2 unreachable", func(d client.Device) bool { return d.ID == 2 && d.Observed == "unreachable" }, 1)
	process.Eventually(s.t, within, "device 2 shown as not readable", func() bool {
		now := s.scrape()
		return now.sum("caddy_mogilefs_device_readable", "device=2") == 0 && now.sum("caddy_mogilefs_device_seen", "device=2", "seen=unreachable") == 1 &&
			now.sum("caddy_mogilefs_device_readable", "device=1") == 1
	})
}

// makeUpNames does what must not make metrics.
func (s *site) makeUpNames() {
	s.t.Helper()
	s.want(http.StatusNotFound, http.MethodGet, "/images/made/up", "")
	s.say("bogus", "noop")
	before := len(s.scrape().ours())
	for i := range 50 {
		s.want(http.StatusNotFound, http.MethodGet, fmt.Sprint("/images/made/up", i), "")
		s.say(fmt.Sprint("bogus", i))
		s.say(fmt.Sprint("get_paths domain=made", i, "&key=up"))
		if resp, err := s.client.Get(fmt.Sprintf("http://%s/dev%d/0/000/000/0000000001.fid", s.nodes[0], 1000+i)); err != nil {
			s.t.Fatal(err)
		} else {
			resp.Body.Close()
		}
	}
	// One for get_paths itself: a histogram and its codes.
	if got := len(s.scrape().ours()); got > before+40 {
		s.t.Errorf("got %d series after names that clients made up, %d before; want no more", got, before)
	}
}

// queues waits for what a scrape before had counted.
func queues(s *site) {
	s.t.Helper()
	process.Eventually(s.t, within, "length of the four queues", func() bool {
		now := s.scrape()
		n := 0
		for _, queue := range []string{"replicate", "delete", "fsck", "rebalance"} {
			if _, there := now.values[series{"caddy_mogilefs_queue_files", "queue=" + queue}]; there {
				n++
			}
		}
		return n == 4 && now.sum("caddy_mogilefs_queue_sampled_timestamp_seconds") > 0
	})
}

// check holds a scrape against what the client has counted.
func (s *site) check(got scrape) {
	s.t.Helper()
	want := func(value float64, name string, labels ...string) {
		s.t.Helper()
		if is := got.sum("caddy_mogilefs_"+name, labels...); is != value {
			s.t.Errorf("%s%q: got %v; want %v", name, labels, is, value)
		}
	}
	total := 0
	byMethod := map[string]int{}
	for what, n := range s.seen.requests {
		method, outcome, _ := strings.Cut(what, " ")
		want(float64(n), "edge_requests_total", "method="+method, "outcome="+outcome)
		byMethod[method] += n
		total += n
	}
	want(float64(total), "edge_requests_total")
	for method, n := range byMethod {
		want(float64(n), "edge_request_duration_seconds_count", "method="+method)
		want(float64(n), "edge_request_duration_seconds_bucket", "method="+method, "le=+Inf")
	}
	for source, n := range s.seen.sources {
		want(float64(n), "edge_first_byte_seconds_count", "source="+source)
		want(float64(s.seen.bytes[source]), "edge_sent_bytes_total", "source="+source)
	}
	want(sum(s.seen.sources), "edge_first_byte_seconds_count")
	want(sum(s.seen.bytes), "edge_sent_bytes_total")
	want(float64(s.seen.stored), "edge_stored_bytes_total")
	want(float64(s.seen.lookups), "cache_lookups_total", "cache=location")
	puts := float64(s.seen.requests["PUT served"])
	for _, question := range []string{"open", "close"} {
		want(puts, "edge_tracker_duration_seconds_count", "question="+question)
	}
	want(float64(byMethod["DELETE"]), "edge_tracker_duration_seconds_count", "question=delete")
	want(float64(s.seen.commands["noop"]), "tracker_commands_total", "command=noop", "code=ok")
	want(float64(s.seen.commands["bogus"]), "tracker_commands_total", "command=unknown", "code=unknown_command")
	s.adds(got)
}

func sum(of map[string]int) float64 {
	n := 0
	for _, m := range of {
		n += m
	}
	return float64(n)
}

// adds checks what must be so in any scrape.
func (s *site) adds(got scrape) {
	s.t.Helper()
	same := func(a, b string, labels ...string) {
		s.t.Helper()
		if x, y := got.sum("caddy_mogilefs_"+a, labels...), got.sum("caddy_mogilefs_"+b, labels...); x != y {
			s.t.Errorf("got %s %v and %s %v; want the same", a, x, b, y)
		}
	}
	same("tracker_commands_total", "tracker_command_duration_seconds_count")
	same("job_rows_total", "job_duration_seconds_count")
	same("database_accesses_total", "database_access_duration_seconds_count")
	same("storage_stored_files_total", "storage_sync_duration_seconds_count")
	least := func(value float64, name string, labels ...string) {
		s.t.Helper()
		if is := got.sum("caddy_mogilefs_"+name, labels...); is < value {
			s.t.Errorf("%s%q: got %v; want %v at least", name, labels, is, value)
		}
	}
	least(uploads, "job_rows_total", "worker=replicate", "result=finished")
	least(uploads, "database_accesses_total", "kind=write", "failed=false")
	least(uploads, "storage_stored_files_total", "device=1")
	least(float64(s.seen.sources["local"]), "storage_local_reads_total", "device=1")
	least(1, "cache_entries", "cache=location")
	least(1, "tracker_running")
	least(1, "tracker_connections")
	least(2, "host_state", "state=alive")
}

// grows makes sure that what counts has not begun anew.
func grows(t *testing.T, before, after scrape) {
	t.Helper()
	n := 0
	for _, key := range before.ours() {
		if !before.isCounter(key.name) {
			continue
		}
		n++
		if is, there := after.values[key]; !there || is < before.values[key] {
			t.Errorf("%s{%s}: got %v after %v; want no less", key.name, key.labels, is, before.values[key])
		}
	}
	if n == 0 {
		t.Error("got no counters")
	}
}
