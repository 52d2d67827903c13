package legacy

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Kind is a kind of database.
type Kind string

// The kinds that MogileFS works on.
const (
	MySQL    Kind = "mysql"
	Postgres Kind = "postgres"
	SQLite   Kind = "sqlite"
)

// Current is the version of the tables that 2.73 wants.
const Current = 17

// Variant says how a database differs from a new one of 2.73.
type Variant struct {
	// Version of the tables, 5 to 17; 0 means 17.
	Version int
	// SmallFIDs: made when fids had 32 bits (docs/spec/schema.md §2.1). MySQL only.
	SmallFIDs bool
	// Bare: without the tables that nobody reads or writes any more.
	Bare bool
}

// table is a table as docs/spec/schema.md §1 has it, in MySQL's words.
type table struct {
	name string
	// since is the version that brought it.
	since   int
	columns []column
	// keys are the primary key and the unique ones, indexes the others by name.
	keys    []string
	indexes []index
	// unused tables may be missing.
	unused bool
}

type column struct {
	name, kind string
	// since is the version that brought it to tables that were there already; until is
	// what it was before.
	since int
	was   string // its kind before since; empty: it was not there
}

type index struct {
	name, columns string
	// postgres is its name there (docs/spec/schema.md §1.2).
	postgres string
}

// Schema returns the statements that make the tables and the version's row.
func Schema(k Kind, v Variant) []string {
	if v.Version == 0 {
		v.Version = Current
	}
	var texts []string
	for _, t := range tables {
		if t.since > v.Version || t.unused && v.Bare {
			continue
		}
		texts = append(texts, t.create(k, v)...)
	}
	if k == SQLite || k == Postgres && !v.Bare { // where it is used, and where it is not
		texts = append(texts, lockTable)
	}
	return append(texts, fmt.Sprintf("INSERT INTO server_settings (field, value) VALUES ('schema_version', '%d')", v.Version))
}

const lockTable = `CREATE TABLE lock (lockid INT NOT NULL PRIMARY KEY, hostname VARCHAR(255) NOT NULL,
	pid INT NOT NULL, acquiredat INT NOT NULL)`

func (t table) create(k Kind, v Variant) []string {
	var parts []string
	for _, c := range t.columns {
		kind := c.kind
		if c.since > v.Version {
			if kind = c.was; kind == "" {
				continue
			}
		}
		parts = append(parts, c.name+" "+words(k, v, t.name, c.name, kind))
	}
	parts = append(parts, t.keys...)
	if k == MySQL {
		for _, i := range t.indexes {
			parts = append(parts, fmt.Sprintf("INDEX %s (%s)", i.name, i.columns))
		}
		for n := range parts {
			parts[n] = namedUnique.ReplaceAllString(parts[n], "UNIQUE KEY $1 (")
		}
		return []string{fmt.Sprintf("CREATE TABLE %s (%s) ENGINE = InnoDB", t.name, strings.Join(parts, ", "))}
	}
	for n := range parts {
		parts[n] = namedUnique.ReplaceAllString(parts[n], "UNIQUE (")
	}
	if k == SQLite && t.name == "tempfile" || t.name == "fsck_log" && k == SQLite {
		parts = slices.DeleteFunc(parts, func(p string) bool { return strings.HasPrefix(p, "PRIMARY KEY") })
	}
	texts := []string{fmt.Sprintf("CREATE TABLE %s (%s)", t.name, strings.Join(parts, ", "))}
	for _, i := range t.indexes {
		name := i.postgres
		if k == SQLite {
			if name = i.sqlite(t); name == "" {
				continue
			}
		}
		texts = append(texts, fmt.Sprintf("CREATE INDEX %s ON %s (%s)", name, t.name, i.columns))
	}
	return texts
}

// sqlite is the name of the index there, or empty where it is missing
// (docs/spec/schema.md §1.1).
func (i index) sqlite(t table) string {
	switch {
	case t.name == "file":
		return ""
	case t.name == "file_to_delete2":
		return i.postgres
	}
	return i.name
}

// namedUnique is how tables name their unique keys.
var namedUnique = regexp.MustCompile(`UNIQUE (\w+) \(`)

// words are the kind's words for the type of a column.
func words(k Kind, v Variant, table, name, kind string) string {
	auto := strings.Contains(kind, "AUTO_INCREMENT")
	isFID := name == "fid"
	if isFID && v.SmallFIDs {
		kind = strings.Replace(kind, "BIGINT", "INT", 1)
	}
	switch k {
	case Postgres:
		return postgresKind(table, name, kind, auto)
	case SQLite:
		if auto {
			return "INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT"
		}
		if isFID || name == "length" {
			kind = strings.Replace(kind, "BIGINT", "INT", 1)
		}
		return enum.ReplaceAllString(kind, "TEXT")
	}
	return kind
}

var (
	enum     = regexp.MustCompile(`ENUM\(([^)]*)\)`)
	smallInt = regexp.MustCompile(`\b(TINYINT|MEDIUMINT)\b`)
)

// postgresKind follows docs/spec/schema.md §1.2.
func postgresKind(table, name, kind string, auto bool) string {
	switch {
	case auto:
		return "SERIAL NOT NULL"
	case enum.MatchString(kind):
		return enum.ReplaceAllString(kind, "VARCHAR(8) CHECK ("+name+" IN ($1))")
	case table == "host" && strings.HasSuffix(name, "_port"):
		return strings.Replace(kind, "MEDIUMINT UNSIGNED", "INT", 1) + " CHECK (" + name + " >= 0 AND " + name + " < 65536)"
	case table == "device" && name == "weight":
		return "INT DEFAULT 100"
	case table == "device" && strings.HasPrefix(name, "mb_"):
		return "INT CHECK (" + name + " >= 0)"
	case table == "file" && name == "length":
		return "BIGINT CHECK (length >= 0)"
	}
	kind = strings.ReplaceAll(smallInt.ReplaceAllString(kind, "SMALLINT"), " UNSIGNED", "")
	return strings.Replace(kind, "VARBINARY(64)", "BYTEA", 1)
}
