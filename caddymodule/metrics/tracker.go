package metrics

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mogilefs/caddy-mogilefs/tally"
	"github.com/mogilefs/caddy-mogilefs/tracker"
)

type trackerFamilies struct {
	running                                             *prometheus.Desc
	commands, duration, pending, processing, places     *prometheus.Desc
	connections, accepted, refused                      *prometheus.Desc
	rows, rowDuration, workers, wanted, claimed, copied *prometheus.Desc
	waiting, sampled                                    *prometheus.Desc
	accesses, accessDuration, dbConnections, dbLimit    *prometheus.Desc
}

// The label of jobs is worker, as Prometheus has a label job of its own.
func newTrackerFamilies(d declare) trackerFamilies {
	return trackerFamilies{
		running:        d("tracker_running", "Whether the tracker of this process has its database open and works."),
		commands:       d("tracker_commands_total", "Commands of clients, by name and code of the answer.", "command", "code"),
		duration:       d("tracker_command_duration_seconds", "From a command's arrival to its answer.", "command"),
		pending:        d("tracker_commands_waiting", "Commands that wait for their turn."),
		processing:     d("tracker_commands_running", "Commands that are being carried out."),
		places:         d("tracker_commands_limit", "Commands that are carried out at once at most."),
		connections:    d("tracker_connections", "Clients that are connected."),
		accepted:       d("tracker_connections_accepted_total", "Connections that were let in."),
		refused:        d("tracker_connections_refused_total", "Connections that were not, by reason.", "reason"),
		rows:           d("job_rows_total", "Files that a job has worked on, by what became of their row.", "worker", "result"),
		rowDuration:    d("job_duration_seconds", "How long a job worked on a file.", "worker"),
		workers:        d("job_workers", "Workers of a job.", "worker"),
		wanted:         d("job_workers_wanted", "Workers that a job is to have.", "worker"),
		claimed:        d("job_rows_claimed", "Files that were claimed and wait for a worker.", "worker"),
		copied:         d("replicated_bytes_total", "Bytes of copies that replication has made."),
		waiting:        d("queue_files", "Files that wait in a queue, those included that are tried again later.", "queue"),
		sampled:        d("queue_sampled_timestamp_seconds", "When the queues were counted."),
		accesses:       d("database_accesses_total", "Accesses to the database, by kind and whether they failed.", "kind", "failed"),
		accessDuration: d("database_access_duration_seconds", "How long accesses to the database took.", "kind"),
		dbConnections:  d("database_connections", "Connections to the database.", "state"),
		dbLimit:        d("database_connections_limit", "Connections to the database that there may be."),
	}
}

func (f trackerFamilies) show(out sink, t *Tallies, now *tracker.Stats) {
	f.showCommands(out, &t.Tracker)
	f.showAccesses(out, &t.Database)
	out.count(f.accepted, t.Tracker.Accepted.Read())
	for why, n := range t.Tracker.Refused.All() {
		out.count(f.refused, n.Read(), why)
	}
	out.count(f.copied, t.Tracker.Copied.Read())
	if now == nil {
		return
	}
	out.gauge(f.pending, float64(now.Pending))
	out.gauge(f.processing, float64(now.Processing))
	out.gauge(f.places, float64(now.Places))
	out.gauge(f.connections, float64(now.Connections))
	for _, j := range now.Jobs {
		out.gauge(f.workers, float64(j.Count), string(j.Name))
		out.gauge(f.wanted, float64(j.Desired), string(j.Name))
		out.gauge(f.claimed, float64(j.Queued), string(j.Name))
	}
	out.gauge(f.dbConnections, float64(now.Pool.InUse), "in_use")
	out.gauge(f.dbConnections, float64(now.Pool.Idle), "idle")
	out.gauge(f.dbLimit, float64(now.Pool.Limit))
}

func (f trackerFamilies) showCommands(out sink, t *tally.Tracker) {
	byName := map[string]tally.Reading{}
	for c, h := range t.Commands.All() {
		r := h.Read()
		out.count(f.commands, int64(r.Count), c.Name, c.Code)
		byName[c.Name] = byName[c.Name].And(r)
	}
	for name, r := range byName {
		out.durations(f.duration, r, name)
	}
	byJob := map[string]tally.Reading{}
	for j, h := range t.Jobs.All() {
		r := h.Read()
		out.count(f.rows, int64(r.Count), j.Name, j.Result)
		byJob[j.Name] = byJob[j.Name].And(r)
	}
	for name, r := range byJob {
		out.durations(f.rowDuration, r, name)
	}
}

func (f trackerFamilies) showAccesses(out sink, t *tally.Database) {
	byKind := map[string]tally.Reading{}
	for a, h := range t.Accesses.All() {
		r := h.Read()
		out.count(f.accesses, int64(r.Count), a.Kind, strconv.FormatBool(a.Failed))
		byKind[a.Kind] = byKind[a.Kind].And(r)
	}
	for kind, r := range byKind {
		out.durations(f.accessDuration, r, kind)
	}
}

func (f trackerFamilies) showQueues(out sink, s sample) {
	if s.at.IsZero() {
		return
	}
	for queue, n := range s.waiting {
		out.gauge(f.waiting, float64(n), queue)
	}
	out.gauge(f.sampled, float64(s.at.Unix()))
}
