package metrics

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mogilefs/caddy-mogilefs/cache"
	"github.com/mogilefs/caddy-mogilefs/edge/health"
	"github.com/mogilefs/caddy-mogilefs/tally"
)

type edgeFamilies struct {
	requests, duration, firstByte, sent, stored  *prometheus.Desc
	failovers, resumes, hedges, hedgesWon, asked *prometheus.Desc
	nodeLevel, nodeInFlight                      *prometheus.Desc
}

func newEdgeFamilies(d declare) edgeFamilies {
	return edgeFamilies{
		requests:     d("edge_requests_total", "Requests for files, by how they ended.", "method", "outcome"),
		duration:     d("edge_request_duration_seconds", "From a request's arrival to the last byte of its answer.", "method"),
		firstByte:    d("edge_first_byte_seconds", "From the arrival of a GET to the header of its answer, by where the first byte came from.", "source"),
		sent:         d("edge_sent_bytes_total", "Bytes of files that were sent to clients, by where they came from.", "source"),
		stored:       d("edge_stored_bytes_total", "Bytes of uploads that became files."),
		failovers:    d("edge_failovers_total", "Copies that were opened after another could not be."),
		resumes:      d("edge_resumes_total", "Bodies that were continued from another copy."),
		hedges:       d("edge_hedges_total", "Second copies that were asked because the first was late."),
		hedgesWon:    d("edge_hedges_won_total", "Second copies that answered first."),
		asked:        d("edge_tracker_duration_seconds", "How long a tracker took to answer, by question.", "question", "answered"),
		nodeLevel:    d("edge_node_level", "What the edge thinks of a storage node: 0 good, 1 slow or silent, 2 failed.", "node"),
		nodeInFlight: d("edge_node_requests", "Requests of the edge that are under way at a storage node.", "node"),
	}
}

func (f edgeFamilies) show(out sink, t *tally.Edge, nodes []health.NodeStatus) {
	for m := range tally.Methods {
		for e := range tally.Ends {
			out.count(f.requests, t.Requests[m][e].Read(), m.String(), e.String())
		}
		out.durations(f.duration, t.Duration[m].Read(), m.String())
	}
	for s := tally.Nowhere + 1; s < tally.Sources; s++ {
		out.durations(f.firstByte, t.FirstByte[s].Read(), s.String())
		out.count(f.sent, t.Sent[s].Read(), s.String())
	}
	out.count(f.stored, t.Stored.Read())
	out.count(f.failovers, t.Failovers.Read())
	out.count(f.resumes, t.Resumes.Read())
	out.count(f.hedges, t.Hedges.Read())
	out.count(f.hedgesWon, t.HedgesWon.Read())
	for q, h := range t.Asked.All() {
		out.durations(f.asked, h.Read(), q.Name, strconv.FormatBool(q.Answered))
	}
	for _, n := range nodes {
		out.gauge(f.nodeLevel, float64(n.Level), n.Address)
		out.gauge(f.nodeInFlight, float64(n.InFlight), n.Address)
	}
}

type cacheFamilies struct {
	lookups, stale, loads, loadErrors, evictions, entries, bytes, limit *prometheus.Desc
}

func newCacheFamilies(d declare) cacheFamilies {
	return cacheFamilies{
		lookups:    d("cache_lookups_total", "Look-ups, by whether memory had the answer.", "cache", "result"),
		stale:      d("cache_stale_total", "Misses that were answered from memory all the same, as no tracker answered.", "cache"),
		loads:      d("cache_loads_total", "What was fetched because it was missing or about to expire.", "cache"),
		loadErrors: d("cache_load_errors_total", "Fetches that failed.", "cache"),
		evictions:  d("cache_evictions_total", "Entries that made room for others.", "cache"),
		entries:    d("cache_entries", "Entries.", "cache"),
		bytes:      d("cache_bytes", "Memory that the entries take.", "cache"),
		limit:      d("cache_limit_bytes", "Memory that the entries may take.", "cache"),
	}
}

// show shows all caches of a kind as one.
func (f cacheFamilies) show(out sink, kind string, t *tally.Cache, caches []cache.Usage) {
	out.count(f.lookups, t.Hits.Read(), kind, "hit")
	out.count(f.lookups, t.Misses.Read(), kind, "miss")
	out.count(f.stale, t.Stale.Read(), kind)
	out.count(f.loads, t.Loads.Read(), kind)
	out.count(f.loadErrors, t.LoadErrors.Read(), kind)
	out.count(f.evictions, t.Evictions.Read(), kind)
	var all cache.Usage
	for _, u := range caches {
		all.Entries, all.Bytes, all.Limit = all.Entries+u.Entries, all.Bytes+u.Bytes, all.Limit+u.Limit
	}
	out.gauge(f.entries, float64(all.Entries), kind)
	out.gauge(f.bytes, float64(all.Bytes), kind)
	out.gauge(f.limit, float64(all.Limit), kind)
}
