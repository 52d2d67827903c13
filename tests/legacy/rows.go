package legacy

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// Neighbour is the host of the old tracker that is running an fsck and a rebalance.
const Neighbour = "oldtracker1.example.com"

// Lease is how far ahead a claim of the old tracker sets nexttry, in seconds
// (docs/spec/schema.md §5.2).
const Lease = 1000

// Parked is the nexttry of what waits for an operator (docs/spec/schema.md §5.1).
const Parked = 1<<31 - 1

// Values of a row besides strings, numbers, fids and nil.
type (
	fromNow int // seconds, by the database's clock
	digest  []byte
	name    string // bytes as the old tracker sent them
)

// row is a table, then names of columns, each with its value.
type row []any

// Rows are the statements that fill the tables. What this version has no room for is left
// out.
func (v Variant) Rows() []string {
	texts := v.Topology()
	for _, rows := range [][]row{v.contents(), v.uploads(), v.queues(), v.fsck(), settings} {
		texts = append(texts, v.inserts(rows)...)
	}
	if v.Kind == Postgres {
		// A sequence of PostgreSQL is not raised by explicit numbers, nor ever forgotten.
		texts = append(texts, fmt.Sprintf("SELECT setval(pg_get_serial_sequence('tempfile', 'fid'), %d)", v.HighFID()),
			"SELECT setval(pg_get_serial_sequence('fsck_log', 'logid'), 4)")
	}
	return texts
}

// Topology is those of Rows that are of hosts, devices, domains and classes.
func (v Variant) Topology() []string { return v.inserts(v.topology()) }

func (v Variant) inserts(rows []row) (texts []string) {
	for _, r := range rows {
		if text := v.insert(r); text != "" {
			texts = append(texts, text)
		}
	}
	return texts
}

func (v Variant) insert(r row) string {
	table := r[0].(string)
	var names, values []string
	for i := 1; i < len(r); i += 2 {
		if column := r[i].(string); v.hasColumn(table, column) {
			names, values = append(names, column), append(values, v.literal(r[i+1]))
		}
	}
	if len(names) == 0 {
		return ""
	}
	return "INSERT INTO " + table + " (" + strings.Join(names, ", ") + ") VALUES (" + strings.Join(values, ", ") + ")"
}

func (v Variant) literal(value any) string {
	switch x := value.(type) {
	case nil:
		return "NULL"
	case int:
		return strconv.Itoa(x)
	case int64:
		return strconv.FormatInt(x, 10)
	case mogile.FID:
		return x.String()
	case mogile.DevID:
		return x.String()
	case fromNow:
		return fmt.Sprintf("%s + (%d)", v.now(), int(x))
	case digest:
		return v.bytes(x)
	case name:
		return v.text(string(x))
	}
	return "'" + strings.ReplaceAll(fmt.Sprint(value), "'", "''") + "'"
}

// now is the database's clock (docs/spec/schema.md §2.4).
func (v Variant) now() string {
	return map[Kind]string{
		MySQL: "UNIX_TIMESTAMP()", SQLite: "strftime('%s','now')", Postgres: "CAST(EXTRACT(EPOCH FROM NOW()) AS INT4)",
	}[v.Kind]
}

func (v Variant) bytes(b []byte) string {
	if v.Kind == Postgres {
		return `'\x` + hex.EncodeToString(b) + `'::BYTEA`
	}
	return "X'" + hex.EncodeToString(b) + "'"
}

// text is what becomes of bytes on their way through the old tracker's connection
// (docs/spec/schema.md §2.3). Perl's driver for PostgreSQL hands each byte to the server
// as a character.
func (v Variant) text(s string) string {
	b := v.bytes([]byte(s))
	switch v.Kind {
	case MySQL:
		return "_" + v.session() + " " + b
	case Postgres:
		return "convert_from(" + b + ", 'LATIN1')"
	}
	return "CAST(" + b + " AS TEXT)"
}

// topology has hosts and devices in every state, as full as they get and as empty. Of the
// hosts, the first two have storage nodes.
func (v Variant) topology() (rows []row) {
	readonly := "readonly"
	if v.version() < 17 {
		readonly = "down"
	}
	one, two := v.node(0), v.node(1)
	rows = append(rows,
		row{"host", "hostid", 1, "status", "alive", "http_port", one.Port, "http_get_port", one.Port, "hostname", "node1",
			"hostip", one.IP, "altip", "10.9.0.1", "altmask", "10.9.0.0/16"},
		row{"host", "hostid", 2, "status", "alive", "http_port", two.Port, "http_get_port", 0, "hostname", "node2",
			"hostip", two.IP, "altip", nil, "altmask", nil},
		row{"host", "hostid", 3, "status", "down", "http_port", 7500, "hostname", "node3", "hostip", "127.0.0.4", "altip", ""},
		row{"host", "hostid", 4, "status", readonly, "http_port", 7500, "hostname", "node4", "hostip", "127.0.0.5"},
		row{"host", "hostid", 7, "status", "dead", "http_port", 7500, "hostname", "node7", "hostip", "127.0.0.6"},
		row{"host", "hostid", 9, "status", "down", "http_port", nil, "hostname", "node9", "hostip", nil},
		row{"device", "devid", 1, "hostid", 1, "status", "alive", "weight", 100, "mb_total", 30000, "mb_used", 100, "mb_asof", fromNow(-5)},
		row{"device", "devid", 2, "hostid", 2, "status", "alive", "weight", 50, "mb_total", 30000, "mb_used", 100, "mb_asof", fromNow(-5)},
		row{"device", "devid", 3, "hostid", 1, "status", "drain", "weight", nil, "mb_total", 0, "mb_used", 0},
		row{"device", "devid", 4, "hostid", 2, "status", "readonly", "weight", 0},
		row{"device", "devid", 5, "hostid", 2, "status", "down"},
		row{"device", "devid", 6, "hostid", 2, "status", "dead"},
		row{"device", "devid", 8, "hostid", 3, "status", "alive", "mb_total", 20000, "mb_used", 30000},
		row{"device", "devid", 9, "hostid", 4, "status", "alive"},
		row{"device", "devid", 30000, "hostid", 9, "status", nil, "weight", nil},
	)
	for _, n := range []mogile.DomainName{Images, Mail, Empty} {
		rows = append(rows, row{"domain", "dmid", int(domainIDs[n]), "namespace", string(n)})
	}
	for _, c := range classes {
		rows = append(rows, row{"class", "dmid", int(c.Domain), "classid", int(c.ID), "classname", string(c.Name),
			"mindevcount", c.MinDevCount, "hashtype", orNull(int(c.Hash)), "replpolicy", orNull(c.Policy)})
	}
	return rows
}

func orNull[T comparable](value T) any {
	var zero T
	if value == zero {
		return nil
	}
	return value
}

func (v Variant) contents() (rows []row) {
	for _, f := range v.Files() {
		dm := domainIDs[f.Domain]
		rows = append(rows, row{"file", "fid", f.FID, "dmid", int(dm), "dkey", name(f.Key), "length", f.Length,
			"classid", classID(dm, f.Class), "devcount", len(f.Devices)})
		for _, dev := range f.Devices {
			rows = append(rows, row{"file_on", "fid", f.FID, "devid", dev})
		}
		if !f.Checksum.IsZero() {
			rows = append(rows, row{"checksum", "fid", f.FID, "hashtype", int(f.Checksum.Type), "checksum", digest(f.Checksum.Sum)})
		}
	}
	return append(rows,
		// A file of a class that is gone, with nothing but what must be there.
		row{"file", "fid", 104, "dmid", 3, "dkey", nil, "length", nil, "classid", 9, "devcount", 0},
		row{"file_on", "fid", v.HighFID() + 20, "devid", 1},
		row{"file_on_corrupt", "fid", 1, "devid", 1},
		row{"unreachable_fids", "fid", 2, "lastupdate", fromNow(-100000)},
		row{"checksum", "fid", 300, "hashtype", 1, "checksum", digest("0123456789abcdef")},
		row{"lock", "lockid", 12345, "hostname", Neighbour, "pid", 99, "acquiredat", fromNow(-10)},
	)
}

func classID(dm mogile.DomainID, name mogile.ClassName) int {
	for _, c := range classes {
		if c.Domain == dm && c.Name == name {
			return int(c.ID)
		}
	}
	return 0
}

// The uploads that an old tracker left.
const (
	YoungUpload = mogile.FID(201)
	StaleUpload = mogile.FID(202)
)

func (v Variant) uploads() []row {
	return []row{
		{"tempfile", "fid", YoungUpload, "createtime", fromNow(-10), "classid", 2, "dmid", 1, "dkey", name("young"), "devids", "1,2"},
		{"tempfile", "fid", StaleUpload, "createtime", fromNow(-7200), "classid", 0, "dmid", 1, "dkey", name("stale"), "devids", "1,2"},
		{"tempfile", "fid", 203, "createtime", fromNow(-7200), "classid", 0, "dmid", 1, "dkey", nil, "devids", "2,x,,-1,77"},
		{"tempfile", "fid", 204, "createtime", fromNow(-7200), "classid", 0, "dmid", 99, "dkey", name("_server_startup_test"), "devids", nil},
		{"tempfile", "fid", 205, "createtime", 0, "classid", 0, "dmid", 1, "dkey", name("no device"), "devids", ""},
		// Visible as well: an explicit fid that was refused (docs/spec/schema.md §5.6).
		{"tempfile", "fid", 3, "createtime", fromNow(-7200), "classid", 0, "dmid", 1, "dkey", name("refused"), "devids", "1"},
		{"tempfile", "fid", 206, "createtime", fromNow(1000), "classid", 0, "dmid", 1, "dkey", name("from the future"), "devids", "1"},
	}
}

// queues have rows of every age: new, again, due, claimed, postponed and parked.
func (v Variant) queues() []row {
	high := v.HighFID()
	return []row{
		{"file_to_replicate", "fid", 1, "nexttry", 0, "fromdevid", nil, "failcount", 0, "flags", 0},
		{"file_to_replicate", "fid", 2, "nexttry", 1, "fromdevid", 2, "failcount", 1, "flags", 7},
		{"file_to_replicate", "fid", 4, "nexttry", fromNow(-500), "failcount", 3},
		{"file_to_replicate", "fid", 5, "nexttry", fromNow(Lease), "failcount", 2},
		{"file_to_replicate", "fid", 6, "nexttry", fromNow(80000), "failcount", 255},
		{"file_to_replicate", "fid", lostFID, "nexttry", Parked, "failcount", 1},
		{"file_to_replicate", "fid", 299, "nexttry", fromNow(90000)}, // gone long ago
		{"file_to_delete2", "fid", high + 10, "nexttry", fromNow(Lease)},
		{"file_to_delete2", "fid", 301, "nexttry", fromNow(Lease), "failcount", 4},
		{"file_to_delete2", "fid", 302, "nexttry", fromNow(70000), "failcount", 255},
		{"file_to_delete", "fid", 310},
		{"file_to_delete", "fid", 301},
		{"file_to_delete", "fid", high + 30},
		{"file_to_delete_later", "fid", 311, "delafter", fromNow(7000)},
		{"file_to_delete_later", "fid", v.HighestFID(), "delafter", fromNow(-7000)},
		{"file_on", "fid", 310, "devid", 1},
		{"file_on", "fid", 311, "devid", 2},
		{"file_to_queue", "fid", 1, "type", 1, "nexttry", fromNow(Lease), "failcount", 0, "flags", 0},
		{"file_to_queue", "fid", 2, "type", 1, "nexttry", fromNow(-5)},
		{"file_to_queue", "fid", 2, "devid", 3, "type", 2, "nexttry", 0, "arg", "1,2"},
		{"file_to_queue", "fid", 6, "devid", 3, "type", 2, "nexttry", fromNow(Lease), "arg", "2"},
	}
}

func (v Variant) fsck() []row {
	return []row{
		{"fsck_log", "logid", 1, "utime", fromNow(-500), "fid", lostFID, "evcode", "NOPA", "devid", nil},
		{"fsck_log", "logid", 2, "utime", fromNow(-400), "fid", 1, "evcode", "MISS", "devid", 1},
		{"fsck_log", "logid", 3, "utime", fromNow(-300), "fid", nil, "evcode", nil, "devid", nil},
		{"fsck_log", "logid", 4, "utime", fromNow(-200), "fid", 2, "evcode", "NOPA", "devid", 2},
	}
}

// settings are those of an installation where another tracker is in the midst of an fsck,
// and has lost a rebalance, with some that nobody knows any more.
var settings = []row{
	setting("fsck_host", Neighbour), setting("fsck_start_time", "1700000000"), setting("fsck_start_fid", "0"),
	setting("fsck_highest_fid_checked", "4"), setting("fsck_fid_at_end", "1000"), setting("fsck_fids_checked", "0"),
	setting("fsck_opt_policy_only", "1"), setting("fsck_logid_processed", "2"), setting("fsck_start_maxlogid", "0"),
	setting("fsck_sum_evcount_NOPA", "1"), setting("fsck_sum_evcount_MISS", "1"), setting("fsck_checksum", "MD5"),
	setting("rebal_host", Neighbour), setting("rebal_policy", "from_devices=3 to_percent_free=10"),
	setting("rebal_state", "completed_devs= source_devs=3 sdev_current=3 sdev_lastfid=2 sdev_limit=none limit=0 fids_queued=2 "+
		"bytes_queued=2001 time_started=1700000000 time_finished=0 time_stopped=0 time_latest_run=1700000100 empty_runs=0"),
	setting("enable_rebalance", "1"), setting("fsck_enable", "0"), setting("memcache_ttl", "0"),
	setting("queue_rate_for_fsck", "7"), setting("network_zones", "near,far"), setting("zone_near", "127.0.0.0/8"),
	setting("internal_queue_limit", "300"), setting("somebody_elses", "a=b&c d\n%"), setting("nothing", ""),
	{"server_settings", "field", "null", "value", nil},
}

func setting(field, value string) row {
	return row{"server_settings", "field", field, "value", value}
}
