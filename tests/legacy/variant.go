package legacy

import (
	"cmp"
	"fmt"
	"slices"
	"testing"
)

// Kind is a kind of database.
type Kind string

// The kinds, by the names of their drivers.
const (
	MySQL    Kind = "mysql"
	Postgres Kind = "pgx"
	SQLite   Kind = "sqlite"
)

// Variant is one of the databases that may be met. With only its Kind set, it is a new
// installation of 2.73.
type Variant struct {
	Kind Kind
	// Version is the schema's, 10 to 17; 0 means 17.
	Version int
	// Upgraded: an older version made it, and later ones added columns behind the others.
	Upgraded bool
	// NarrowFIDs have 32 bits, as the first versions made them.
	NarrowFIDs bool
	// How is added to CREATE DATABASE: the character set. Empty means the server's,
	// utf8mb4 or UTF8.
	How string
	// Session is the character set of the old tracker's connection to MySQL; empty means
	// that of its newer client library, utf8mb4 (docs/spec/schema.md §2.3).
	Session string
	// Without names tables that are missing.
	Without []string
	// Nodes are where its storage nodes listen, two at most; for those that are missing
	// it is an address where nobody does.
	Nodes []Node
}

// Node is the address of a storage node.
type Node struct {
	IP   string
	Port int
}

// Latin1 is a MySQL database in latin1, the default for many years.
const Latin1 = "CHARACTER SET latin1"

func (v Variant) version() int { return cmp.Or(v.Version, 17) }

func (v Variant) session() string { return cmp.Or(v.Session, "utf8mb4") }

func (v Variant) node(i int) Node {
	if i < len(v.Nodes) {
		return v.Nodes[i]
	}
	return Node{IP: []string{"127.0.0.2", "127.0.0.3"}[i], Port: 7500}
}

// hasTable reports whether the database has a table.
func (v Variant) hasTable(name string) bool {
	for _, t := range tables {
		if t.name == name {
			return t.since <= v.version() && !slices.Contains(v.Without, name) && !(t.noMySQL && v.Kind == MySQL)
		}
	}
	return false
}

func (v Variant) hasColumn(table, name string) bool {
	for _, t := range tables {
		for _, c := range t.columns {
			if t.name == table && c.name == name {
				return v.hasTable(table) && v.kindOf(c) != ""
			}
		}
	}
	return false
}

// Current are databases of version 17 as they may be met, by name.
func Current() map[string]Variant {
	unused := []string{"file_on_corrupt", "unreachable_fids"}
	return map[string]Variant{
		"MariaDB":                     {Kind: MySQL},
		"MariaDB of old":              {Kind: MySQL, Upgraded: true, NarrowFIDs: true, How: Latin1, Session: "latin1"},
		"MariaDB latin1 tables":       {Kind: MySQL, How: Latin1},
		"MariaDB latin1 sessions":     {Kind: MySQL, Session: "latin1", Without: unused},
		"PostgreSQL":                  {Kind: Postgres},
		"PostgreSQL of old":           {Kind: Postgres, Upgraded: true, NarrowFIDs: true, Without: append(unused, "lock")},
		"SQLite":                      {Kind: SQLite},
		"SQLite without what is idle": {Kind: SQLite, Upgraded: true, Without: unused},
	}
}

// Older are databases of an older version, by name.
func Older(version int) map[string]Variant {
	return map[string]Variant{
		fmt.Sprintf("MariaDB %d", version):        {Kind: MySQL, Version: version},
		fmt.Sprintf("MariaDB %d of old", version): {Kind: MySQL, Version: version, Upgraded: true, NarrowFIDs: true, How: Latin1},
		fmt.Sprintf("PostgreSQL %d", version):     {Kind: Postgres, Version: version, NarrowFIDs: version%2 == 0},
		fmt.Sprintf("SQLite %d", version):         {Kind: SQLite, Version: version},
	}
}

// Each runs a test on a new database of each variant.
func Each(t *testing.T, variants map[string]Variant, test func(t *testing.T, d *Database)) {
	for name, v := range variants {
		t.Run(name, func(t *testing.T) { test(t, New(t, v)) })
	}
}
