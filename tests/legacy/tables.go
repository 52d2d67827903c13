package legacy

import (
	"fmt"
	"strings"
)

// table is one of docs/spec/schema.md §1.
type table struct {
	name string
	// since is the version that brought it, 0 when it is older than all here
	// (docs/spec/schema.md §3).
	since   int
	columns []column
	// keys are the clauses behind the columns, in the words of all.
	keys    []string
	indexes []index
	noMySQL bool
}

// column has its type in the words of MySQL, FID for that of all fids, and in those of
// the others where docs/spec/schema.md §1.1 and §1.2 say so.
type column struct {
	name, kind       string
	sqlite, postgres string
	// was is its kind before a version; none means that the column was not there.
	was    func(Variant) string
	before int
	// added says when an ALTER TABLE put it behind the others.
	added func(Variant) bool
}

type index struct{ mysql, sqlite, postgres, columns string }

const none = ""

func always(Variant) bool                { return true }
func ifUpgraded(v Variant) bool          { return v.Upgraded }
func kind(k string) func(Variant) string { return func(Variant) string { return k } }

// argBefore13: the specification does not say whether the column was shorter or missing.
func argBefore13(v Variant) string {
	if v.Upgraded {
		return none
	}
	return "VARCHAR(255)"
}

// states is a column of them.
func states(v Variant, words ...string) string {
	list := "('" + strings.Join(words, "','") + "')"
	switch v.Kind {
	case MySQL:
		return "ENUM" + list
	case SQLite:
		return "TEXT"
	}
	check := "CHECK (status IN " + list + ")"
	if v.Upgraded {
		check = "CONSTRAINT status " + check
	}
	return "VARCHAR(8) " + check
}

func oldHostStates(v Variant) string { return states(v, "alive", "dead", "down") }
func hostStates(v Variant) string    { return states(v, "alive", "dead", "down", "readonly") }
func deviceStates(v Variant) string  { return states(v, "alive", "dead", "down", "readonly", "drain") }

// ever is beyond all versions: the kind then depends on the variant alone.
const ever = 1000

var tables = []table{
	{name: "lock", noMySQL: true, columns: []column{
		{name: "lockid", kind: "INT UNSIGNED NOT NULL PRIMARY KEY"},
		{name: "hostname", kind: "VARCHAR(255) NOT NULL"},
		{name: "pid", kind: "INT UNSIGNED NOT NULL"},
		{name: "acquiredat", kind: "INT UNSIGNED NOT NULL"},
	}},
	{name: "domain", columns: []column{
		{name: "dmid", kind: "SMALLINT UNSIGNED NOT NULL PRIMARY KEY"},
		{name: "namespace", kind: "VARCHAR(255)"},
	}, keys: []string{"UNIQUE (namespace)"}},
	{name: "class", columns: []column{
		{name: "dmid", kind: "SMALLINT UNSIGNED NOT NULL"},
		{name: "classid", kind: "TINYINT UNSIGNED NOT NULL"},
		{name: "classname", kind: "VARCHAR(50)"},
		{name: "mindevcount", kind: "TINYINT UNSIGNED NOT NULL"},
		{name: "replpolicy", kind: "VARCHAR(255)", added: always},
		{name: "hashtype", kind: "TINYINT UNSIGNED", before: 15, was: kind(none), added: ifUpgraded},
	}, keys: []string{"UNIQUE (dmid, classname)", "PRIMARY KEY (dmid, classid)"}},
	{name: "file", columns: []column{
		{name: "fid", kind: "FID NOT NULL PRIMARY KEY"},
		{name: "dmid", kind: "SMALLINT UNSIGNED NOT NULL"},
		{name: "dkey", kind: "VARCHAR(255)"},
		{name: "length", kind: "BIGINT UNSIGNED", sqlite: "INT UNSIGNED", postgres: "BIGINT CHECK (length >= 0)"},
		{name: "classid", kind: "TINYINT UNSIGNED NOT NULL"},
		{name: "devcount", kind: "TINYINT UNSIGNED NOT NULL"},
	}, keys: []string{"UNIQUE (dmid, dkey)"}, indexes: []index{{"devcount", "", "file_devcount", "dmid, classid, devcount"}}},
	{name: "tempfile", columns: []column{
		{name: "fid", kind: "FID NOT NULL PRIMARY KEY AUTO_INCREMENT",
			sqlite: "INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT", postgres: "SERIAL NOT NULL PRIMARY KEY"},
		{name: "createtime", kind: "INT UNSIGNED NOT NULL"},
		{name: "classid", kind: "TINYINT UNSIGNED NOT NULL"},
		{name: "dmid", kind: "SMALLINT UNSIGNED NOT NULL"},
		{name: "dkey", kind: "VARCHAR(255)"},
		{name: "devids", kind: "VARCHAR(60)"},
	}},
	{name: "file_on", columns: []column{
		{name: "fid", kind: "FID NOT NULL"},
		{name: "devid", kind: "MEDIUMINT UNSIGNED NOT NULL"},
	}, keys: []string{"PRIMARY KEY (fid, devid)"}, indexes: []index{{"devid", "devid", "file_on_devid", "devid"}}},
	{name: "file_on_corrupt", columns: []column{
		{name: "fid", kind: "FID NOT NULL"},
		{name: "devid", kind: "MEDIUMINT UNSIGNED NOT NULL"},
	}, keys: []string{"PRIMARY KEY (fid, devid)"}},
	{name: "file_to_delete", columns: []column{
		{name: "fid", kind: "FID NOT NULL PRIMARY KEY"},
	}},
	{name: "file_to_delete_later", columns: []column{
		{name: "fid", kind: "FID NOT NULL PRIMARY KEY"},
		{name: "delafter", kind: "INT UNSIGNED NOT NULL"},
	}, indexes: []index{{"delafter", "delafter", "file_to_delete_later_delafter", "delafter"}}},
	{name: "file_to_delete2", since: 12, columns: []column{
		{name: "fid", kind: "FID NOT NULL PRIMARY KEY"},
		{name: "nexttry", kind: "INT UNSIGNED NOT NULL"},
		{name: "failcount", kind: "TINYINT UNSIGNED NOT NULL DEFAULT 0"},
	}, indexes: []index{{"nexttry", "file_to_delete2_nexttry", "file_to_delete2_nexttry", "nexttry"}}},
	{name: "unreachable_fids", columns: []column{
		{name: "fid", kind: "FID NOT NULL PRIMARY KEY"},
		{name: "lastupdate", kind: "INT UNSIGNED NOT NULL"},
	}, indexes: []index{{"lastupdate", "lastupdate", "unreachable_fids_lastupdate", "lastupdate"}}},
	{name: "host", columns: []column{
		{name: "hostid", kind: "MEDIUMINT UNSIGNED NOT NULL PRIMARY KEY"},
		{name: "status", was: hostStatus, before: ever},
		{name: "http_port", kind: "MEDIUMINT UNSIGNED DEFAULT 7500",
			postgres: "INT DEFAULT 7500 CHECK (http_port >= 0 AND http_port < 65536)"},
		{name: "http_get_port", kind: "MEDIUMINT UNSIGNED", added: ifUpgraded,
			postgres: "INT CHECK (http_get_port >= 0 AND http_get_port < 65536)"},
		{name: "hostname", kind: "VARCHAR(40)"},
		{name: "hostip", kind: "VARCHAR(15)"},
		{name: "altip", kind: "VARCHAR(15)", added: ifUpgraded},
		{name: "altmask", kind: "VARCHAR(18)", added: ifUpgraded},
	}, keys: []string{"UNIQUE (hostname)", "UNIQUE (hostip)", "UNIQUE (altip)"}},
	{name: "device", columns: []column{
		{name: "devid", kind: "MEDIUMINT UNSIGNED NOT NULL PRIMARY KEY"},
		{name: "hostid", kind: "MEDIUMINT UNSIGNED NOT NULL"},
		{name: "status", was: deviceStates, before: ever},
		{name: "weight", kind: "MEDIUMINT DEFAULT 100", postgres: "INT DEFAULT 100", added: ifUpgraded},
		{name: "mb_total", kind: "INT UNSIGNED", postgres: "INT CHECK (mb_total >= 0)", before: 14, was: kind("MEDIUMINT UNSIGNED")},
		{name: "mb_used", kind: "INT UNSIGNED", postgres: "INT CHECK (mb_used >= 0)", before: 14, was: kind("MEDIUMINT UNSIGNED")},
		{name: "mb_asof", kind: "INT UNSIGNED", postgres: "INT CHECK (mb_asof >= 0)", added: ifUpgraded},
	}, indexes: []index{{"status", "status", "device_status", "status"}}},
	{name: "server_settings", columns: []column{
		{name: "field", kind: "VARCHAR(50) NOT NULL PRIMARY KEY"},
		{name: "value", kind: "TEXT", before: 13, was: kind("VARCHAR(255)")},
	}},
	{name: "file_to_replicate", columns: []column{
		{name: "fid", kind: "FID NOT NULL PRIMARY KEY"},
		{name: "nexttry", kind: "INT UNSIGNED NOT NULL"},
		{name: "fromdevid", kind: "INT UNSIGNED"},
		{name: "failcount", kind: "TINYINT UNSIGNED NOT NULL DEFAULT 0"},
		{name: "flags", kind: "SMALLINT UNSIGNED NOT NULL DEFAULT 0"},
	}, indexes: []index{{"nexttry", "nexttry", "file_to_replicate_nexttry", "nexttry"}}},
	{name: "file_to_queue", since: 11, columns: []column{
		{name: "fid", kind: "FID NOT NULL"},
		{name: "devid", kind: "INT UNSIGNED"},
		{name: "type", kind: "TINYINT UNSIGNED NOT NULL"},
		{name: "nexttry", kind: "INT UNSIGNED NOT NULL"},
		{name: "failcount", kind: "TINYINT UNSIGNED NOT NULL DEFAULT 0"},
		{name: "flags", kind: "SMALLINT UNSIGNED NOT NULL DEFAULT 0"},
		{name: "arg", kind: "TEXT", before: 13, was: argBefore13},
	}, keys: []string{"PRIMARY KEY (fid, type)"}, indexes: []index{{"type_nexttry", "type_nexttry", "type_nexttry", "type, nexttry"}}},
	{name: "fsck_log", columns: []column{
		{name: "logid", kind: "INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY",
			sqlite: "INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT", postgres: "SERIAL NOT NULL PRIMARY KEY"},
		{name: "utime", kind: "INT UNSIGNED NOT NULL"},
		{name: "fid", kind: "FID"},
		{name: "evcode", kind: "CHAR(4)"},
		{name: "devid", kind: "MEDIUMINT UNSIGNED"},
	}, indexes: []index{{"utime", "utime", "fsck_log_utime", "utime"}}},
	{name: "checksum", since: 15, columns: []column{
		{name: "fid", kind: "FID NOT NULL PRIMARY KEY"},
		{name: "hashtype", kind: "TINYINT UNSIGNED NOT NULL"},
		{name: "checksum", kind: "VARBINARY(64) NOT NULL"},
	}},
}

func hostStatus(v Variant) string {
	if v.version() < 17 {
		return oldHostStates(v)
	}
	return hostStates(v)
}

// kindOf is a column's type in this database, or none.
func (v Variant) kindOf(c column) string {
	kind := c.kind
	switch {
	case v.version() < c.before:
		kind = c.was(v)
	case v.Kind == SQLite && c.sqlite != "":
		return c.sqlite
	case v.Kind == Postgres && c.postgres != "":
		return c.postgres
	}
	return v.words().Replace(kind)
}

// words turns MySQL's types into those of the kind.
func (v Variant) words() *strings.Replacer {
	switch {
	case v.Kind == SQLite: // types are kept as written
		return strings.NewReplacer("FID", "INT UNSIGNED")
	case v.Kind == MySQL && v.NarrowFIDs:
		return strings.NewReplacer("FID", "INT UNSIGNED")
	case v.Kind == MySQL:
		return strings.NewReplacer("FID", "BIGINT UNSIGNED")
	}
	fid := "BIGINT"
	if v.NarrowFIDs {
		fid = "INT"
	}
	return strings.NewReplacer("FID", fid, " UNSIGNED", "", "TINYINT", "SMALLINT", "MEDIUMINT", "SMALLINT", "VARBINARY(64)", "BYTEA")
}

// Tables are the statements that make the empty tables, with the version.
func (v Variant) Tables() (texts []string) {
	for _, t := range tables {
		if v.hasTable(t.name) {
			texts = append(texts, v.create(t)...)
		}
	}
	return append(texts, fmt.Sprintf("INSERT INTO server_settings (field, value) VALUES ('schema_version', '%d')", v.version()))
}

func (v Variant) create(t table) (texts []string) {
	var parts, later []string
	for _, c := range t.columns {
		switch kind := v.kindOf(c); {
		case kind == none:
		case c.added != nil && c.added(v):
			later = append(later, "ALTER TABLE "+t.name+" ADD "+c.name+" "+kind)
		default:
			parts = append(parts, c.name+" "+kind)
		}
	}
	for _, key := range t.keys {
		if v.Kind == SQLite && t.name == "class" {
			key = strings.Replace(key, "PRIMARY KEY", "UNIQUE", 1)
		}
		if v.Upgraded && strings.Contains(key, "altip") {
			later = append(later, "CREATE UNIQUE INDEX altip ON host (altip)")
			continue
		}
		parts = append(parts, key)
	}
	for _, i := range t.indexes {
		name := map[Kind]string{MySQL: i.mysql, SQLite: i.sqlite, Postgres: i.postgres}[v.Kind]
		if name != "" {
			later = append(later, "CREATE INDEX "+name+" ON "+t.name+" ("+i.columns+")")
		}
	}
	end := ")"
	if v.Kind == MySQL {
		end = ") ENGINE = InnoDB"
	}
	return append([]string{"CREATE TABLE " + t.name + " (" + strings.Join(parts, ", ") + end}, later...)
}
