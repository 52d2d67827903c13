package doctor

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
)

const (
	// schema is the version of the tables that all trackers work on.
	schema = "17"
	// spareConnections is what a server should have left for backups, people, and
	// another tracker that is just being started.
	spareConnections = 10
	// minPacket is room for the longest statement: some hundred rows of keys.
	minPacket = 4 << 20
)

// aboutDatabase asks a database and judges what it says.
func aboutDatabase(ctx context.Context, d Database) report {
	var r report
	if d.Vitals == nil {
		return nil
	}
	asked := time.Now()
	vitals, err := d.Vitals(ctx)
	if err != nil {
		r.fail("database", "see that it runs, and that address, user, password and database are right", "%s: %v", d.Name, err)
		return r
	}
	return judgeDatabase(d, vitals, asked, time.Now())
}

// judgeDatabase judges a database by what it said of itself between two times.
func judgeDatabase(d Database, is map[string]string, before, after time.Time) report {
	var r report
	v := vital{&r, is}
	switch {
	case is["missing"] == "yes":
		r.ok("database", "%s: the file is created at the first start", d.Name)
		return r
	case is["schema_version"] == "":
		r.ok("database", "%s: empty; the tables are created at the first start", d.Name)
	case is["schema_version"] != schema:
		r.fail("database", "save it, and let upgrade in the database block bring it up to date (10 to 16); see docs/takeover.md",
			"its tables are of version %s, want %s", is["schema_version"], schema)
	default:
		r.ok("database", "%s, version %s, tables of version %s", d.Name, is["version"], schema)
	}
	switch d.Engine {
	case "mysql":
		v.mysql(d)
	case "postgres":
		v.postgres(d)
	case "sqlite":
		v.want("journal_mode", "wal", Warn, "start the tracker once: it turns write-ahead logging on. If it can't, put the file on a local file system")
	}
	if clock := v.number("clock"); clock > 0 {
		r.clock("clock of the database", ahead(time.Unix(clock, 0), before, after))
	}
	if dead := is["dead_with_files"]; dead != "" {
		r.warn("dead devices", "let the reaper go on (docs/jobs/reap.md), and keep as many copies elsewhere as files need until it is done",
			"copies are still recorded on dev %s", strings.ReplaceAll(dead, ",", ", "))
	} else if _, asked := is["dead_with_files"]; asked {
		r.ok("dead devices", "no copy is recorded on one")
	}
	return r
}

// vital judges single values.
type vital struct {
	r  *report
	is map[string]string
}

func (v vital) number(name string) int64 {
	n, _ := strconv.ParseInt(v.is[name], 10, 64)
	return n
}

// want judges a setting that should have one value.
func (v vital) want(name, value string, level Level, do string) {
	got, known := v.is[name]
	switch {
	case !known:
	case strings.EqualFold(got, value):
		v.r.ok("database "+name, "%s", got)
	default:
		*v.r = append(*v.r, Finding{level, "database " + name, got + ", want " + value, do})
	}
}

// least judges a setting that should have some value at least.
func (v vital) least(name string, value int64, do string) {
	if _, known := v.is[name]; !known {
		return
	}
	if got := v.number(name); got < value {
		v.r.warn("database "+name, do, "%d, want %d at least", got, value)
		return
	}
	v.r.ok("database "+name, "%s", v.is[name])
}

func (v vital) mysql(d Database) {
	if v.is["wsrep_on"] != "ON" { // another node has what this one loses
		v.want("innodb_flush_log_at_trx_commit", "1", Fail, "SET GLOBAL innodb_flush_log_at_trx_commit = 1, and in my.cnf: files that were acknowledged are lost when its machine fails")
	}
	if v.is["log_bin"] == "ON" {
		v.want("sync_binlog", "1", Warn, "SET GLOBAL sync_binlog = 1, and in my.cnf: after a crash of its machine, replicas may differ")
		if v.is["binlog_format"] == "STATEMENT" {
			v.r.warn("database binlog_format", "set it to ROW or MIXED: uploads and deletions can then share transactions", "STATEMENT")
		} else {
			v.r.ok("database binlog_format", "%s", v.is["binlog_format"])
		}
	}
	v.want("read_only", "OFF", Fail, "let the tracker's address lead to the primary")
	v.connections(d)
	v.least("max_allowed_packet", minPacket, "set it to 16M in my.cnf")
	v.least("wait_timeout", 60, "set it to 600 or more: connections that wait for work are closed under the tracker")
	if charset := v.is["character_set_database"]; charset != "" && v.is["schema_version"] != "" && v.is["key_collation"] != "" {
		v.r.warn("database keys", "nothing, if a MogileFS of old made the tables: see docs/databases.md for the charset",
			"compare by %s: they are no bytes, and may not tell Foo from foo", v.is["key_collation"])
	} else if charset != "" {
		v.r.ok("database keys", "are bytes; the database is in %s", charset)
	}
	if odd := v.is["not_innodb"]; odd != "" {
		v.r.fail("database tables", "change their engine to InnoDB: a crash can lose files that were acknowledged", "without transactions: %s", odd)
	}
}

func (v vital) postgres(d Database) {
	v.want("fsync", "on", Fail, "turn it on: files that were acknowledged are lost when its machine fails")
	v.want("full_page_writes", "on", Warn, "turn it on, unless the file system writes pages whole")
	v.want("standby", "off", Fail, "name all servers in the DSN, or let its address lead to the primary")
	v.want("default_transaction_read_only", "off", Fail, "let the tracker's user write: ALTER ROLE … RESET default_transaction_read_only")
	v.want("default_transaction_isolation", "read committed", Warn, "RESET it for the tracker's user: under another, changes at the same time fail and are tried again")
	if v.is["synchronous_commit"] == "off" {
		v.r.ok("database synchronous_commit", "off; a tracker turns it on for itself")
	}
	v.connections(d)
	if v.is["server_encoding"] != "" {
		v.r.ok("database encoding", "%s; docs/databases.md has what that means for keys beyond ASCII", v.is["server_encoding"])
	}
}

// connections judges whether one tracker fits beside others.
func (v vital) connections(d Database) {
	own := int64(d.Connections + 1)
	v.least("max_connections", own+spareConnections,
		fmt.Sprintf("raise it: each tracker takes up to %d, and others want some too", own))
}
