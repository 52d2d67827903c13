package sqlstore

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// oldestVersion is the first that is upgraded; older ones have not been seen for long
// (docs/spec/schema.md §9).
const oldestVersion = 10

// upgradeWords is what a dialect does to columns of older versions
// (docs/spec/schema.md §3).
type upgradeWords struct {
	added   []addition
	altered []alteration
}

// addition is a column that a later version has, with its type.
type addition struct{ table, column, kind string }

// alteration is a column that takes more in a later version.
type alteration struct {
	table, column string
	// clause is what an ALTER TABLE has to say so that the column takes what it should;
	// empty when it does. A column never takes less than before.
	clause func(name string, is column) string
}

// bringUpToDate makes an older version schemaVersion, and returns what it did.
//
// Order: 1. the steps, 2. the version. In MySQL each step commits by itself: a crash
// before 2 leaves a database that says it is older than it is, where the next upgrade does
// what is left.
func bringUpToDate(t *tx, from int) ([]string, error) {
	found, err := readLayout(t)
	if err != nil {
		return nil, err
	}
	steps := upgradeSteps(t.d, found)
	for _, step := range steps {
		if _, err := t.exec(step); err != nil {
			return nil, wrap(err, "upgrade: %s", step)
		}
	}
	if from == schemaVersion {
		return steps, nil
	}
	text := "UPDATE server_settings SET value = '" + strconv.Itoa(schemaVersion) + "' WHERE field = 'schema_version'"
	_, err = t.exec(text)
	return append(steps, text), wrap(err, "upgrade: write the version")
}

// upgradeSteps lists the statements that add what was not found. None depends on
// another.
func upgradeSteps(d *dialect, found layout) (steps []string) {
	for _, table := range schemaTables(d.schema) {
		if found[table] == nil {
			steps = append(steps, fidsLike(found["file"]["fid"], creating(d.schema, table))...)
		}
	}
	for _, a := range d.upgrade.added {
		if _, ok := found[a.table][a.column]; !ok && found[a.table] != nil {
			steps = append(steps, "ALTER TABLE "+a.table+" ADD "+a.column+" "+a.kind)
		}
	}
	for _, a := range d.upgrade.altered {
		is, ok := found[a.table][a.column]
		if !ok {
			continue
		}
		if clause := a.clause(a.column, is); clause != "" {
			steps = append(steps, "ALTER TABLE "+a.table+" "+clause)
		}
	}
	return steps
}

// Each text of a schema creates a table or an index.
var (
	createsTable = regexp.MustCompile(`^CREATE TABLE (\w+) \(`)
	createsIndex = regexp.MustCompile(`^CREATE INDEX \w+ ON (\w+) `)
)

func schemaTables(schema []string) (names []string) {
	for _, text := range schema {
		if m := createsTable.FindStringSubmatch(text); m != nil {
			names = append(names, m[1])
		}
	}
	return names
}

// creating is the texts that create one table, with its indexes.
func creating(schema []string, table string) (texts []string) {
	for _, text := range schema {
		for _, creates := range []*regexp.Regexp{createsTable, createsIndex} {
			if m := creates.FindStringSubmatch(text); m != nil && m[1] == table {
				texts = append(texts, text)
			}
		}
	}
	return texts
}

// fidsLike gives new tables fids of 32 bits where the old ones have them
// (docs/spec/schema.md §2.1): who widens them one day looks for all tables that have the
// same type as file. SQLite's have 64 bits whatever they are called.
func fidsLike(file column, texts []string) []string {
	if !strings.HasPrefix(file.kind, "int") {
		return texts
	}
	narrow := make([]string, len(texts))
	for i, text := range texts {
		narrow[i] = strings.Replace(text, "fid BIGINT", "fid INT", 1)
	}
	return narrow
}

// The states that the peer of schemaVersion writes, in the order of its ENUMs.
var (
	hostStates   = []string{string(mogile.HostAlive), string(mogile.HostDead), string(mogile.HostDown), string(mogile.HostReadonly)}
	deviceStates = []string{
		string(mogile.DevAlive), string(mogile.DevDead), string(mogile.DevDown), string(mogile.DevReadonly), string(mogile.DevDrain),
	}
)

// quotedWord is a word in an ENUM or a condition.
var quotedWord = regexp.MustCompile(`'([^']*)'`)

// gained is the words in the text and then those of want that it lacks; nil when it lacks
// none. The order stays: an ENUM's rows keep the place of their word.
func gained(text string, want []string) []string {
	var words []string
	for _, m := range quotedWord.FindAllStringSubmatch(text, -1) {
		words = append(words, m[1])
	}
	all := slices.Clone(words)
	for _, w := range want {
		if !slices.Contains(all, w) {
			all = append(all, w)
		}
	}
	if len(all) == len(words) {
		return nil
	}
	return all
}

// quoted is the words as a list in SQL.
func quoted(words []string) string { return "'" + strings.Join(words, "', '") + "'" }
