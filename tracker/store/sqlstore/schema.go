package sqlstore

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

// schemaVersion is the version of the peer whose tables these are
// (docs/spec/schema.md §3). It does not change: it locks out every tracker that
// wants another.
const schemaVersion = 17

// tables is what this package reads and writes, with the columns it names; a
// database may have more of both (docs/spec/schema.md §1).
var tables = []struct{ name, columns string }{
	{"domain", "dmid, namespace"},
	{"class", "dmid, classid, classname, mindevcount, hashtype, replpolicy"},
	{"file", "fid, dmid, dkey, length, classid, devcount"},
	{"tempfile", "fid, createtime, classid, dmid, dkey, devids"},
	{"file_on", "fid, devid"},
	{"file_to_delete", "fid"},
	{"file_to_delete_later", "fid, delafter"},
	{"file_to_delete2", "fid, nexttry, failcount"},
	{"host", "hostid, status, http_port, http_get_port, hostname, hostip, altip, altmask"},
	{"device", "devid, hostid, status, weight, mb_total, mb_used, mb_asof"},
	{"server_settings", "field, value"},
	{"file_to_replicate", "fid, nexttry, fromdevid, failcount, flags"},
	{"file_to_queue", "fid, devid, type, nexttry, failcount, flags, arg"},
	{"fsck_log", "logid, utime, fid, evcode, devid"},
	{"checksum", "fid, hashtype, checksum"},
}

// optionalTables are those of the peer's that nobody here misses.
var optionalTables = []string{"file_on_corrupt", "unreachable_fids", "lock"}

// column is what a database says of one, in its own words.
type column struct {
	// kind is its type, in lower case: "int(10) unsigned", "character varying(8)".
	kind, collation string
	// limits are conditions on its values, and undo the clauses of an ALTER TABLE that
	// remove them; empty where there are none.
	limits, undo string
}

// layout is columns by table and name.
type layout map[string]map[string]column

func readLayout(t *tx) (layout, error) {
	all := layout{}
	_, err := list(t, func(s scanner) (struct{}, error) {
		var table, name string
		var c column
		err := s.Scan(&table, &name, &c.kind, &c.collation, &c.limits, &c.undo)
		if all[table] == nil {
			all[table] = map[string]column{}
		}
		c.kind = strings.ToLower(c.kind)
		all[table][strings.ToLower(name)] = c
		return struct{}{}, err
	}, t.d.columns)
	return all, wrap(err, "list columns")
}

// survey is what a database was found to be, or was made.
type survey struct {
	created bool
	// from is the version that was found, and steps the statements that made it
	// schemaVersion.
	from  int
	steps []string
	// lags are statements that would make it what the peer has since that version,
	// none of which is needed here.
	lags   []string
	layout layout
}

// ensureSchema creates the tables in an empty database and checks them in any
// other, which it changes only when it is told to upgrade it.
func ensureSchema(t *tx, upgrade bool) (is survey, err error) {
	found, err := list(t, single[string], t.d.tables)
	switch {
	case err != nil:
		return is, wrap(err, "list tables")
	case len(found) == 0:
		return survey{created: true}, createSchema(t)
	case !slices.Contains(found, "server_settings"):
		slices.Sort(found)
		return is, fmt.Errorf("%w: found tables of something else (%s), no table server_settings; "+
			"name a database that is empty or belongs to MogileFS", store.ErrSchema, strings.Join(found, ", "))
	}
	if is.from, err = readVersion(t); err != nil {
		return is, err
	}
	if err := checkVersion(is.from, upgrade); err != nil {
		return is, err
	}
	if upgrade {
		if is.steps, err = bringUpToDate(t, is.from); err != nil {
			return is, err
		}
	}
	if is.layout, err = readLayout(t); err != nil {
		return is, err
	}
	if err := is.layout.check(); err != nil {
		return is, err
	}
	is.lags = upgradeSteps(t.d, is.layout)
	return is, createNeeded(t, is.layout)
}

func createSchema(t *tx) error {
	if err := t.all(t.d.schema); err != nil {
		return wrap(err, "create tables")
	}
	_, err := t.exec("INSERT INTO server_settings (field, value) VALUES ('schema_version', ?)", strconv.Itoa(schemaVersion))
	return wrap(err, "create tables")
}

// createNeeded creates what a dialect can't do without and others can.
func createNeeded(t *tx, found layout) error {
	for _, table := range t.d.needs {
		if found[table] != nil {
			continue
		}
		if err := t.all(creating(t.d.schema, table)); err != nil {
			return wrap(err, "create table %s", table)
		}
	}
	return nil
}

func readVersion(t *tx) (int, error) {
	found, err := setting(t, "schema_version")
	if errors.Is(err, store.ErrNotFound) {
		return 0, fmt.Errorf("%w: found no schema_version in server_settings, want %d; "+
			"finish what created the database (mogdbsetup), or name another", store.ErrSchema, schemaVersion)
	}
	if err != nil {
		return 0, fmt.Errorf("%w: schema_version is unreadable: %w", store.ErrSchema, err)
	}
	n, err := strconv.Atoi(found)
	if err != nil {
		return 0, fmt.Errorf("%w: found schema_version %q, want %d; "+
			"set it right in server_settings, or name another database", store.ErrSchema, found, schemaVersion)
	}
	return n, nil
}

// checkVersion tells the way out of all versions but the one.
func checkVersion(found int, upgrade bool) error {
	var wayOut string
	switch {
	case found == schemaVersion || upgrade && found >= oldestVersion && found < schemaVersion:
		return nil
	case found > schemaVersion:
		wayOut = "use the program that made it, or a newer version of this one"
	case found < oldestVersion:
		wayOut = "run mogdbsetup of MogileFS-Server 2.73: versions before " + strconv.Itoa(oldestVersion) + " are not upgraded here"
	default:
		wayOut = "stop all trackers, and add the word upgrade to the Caddyfile's database block " +
			"(database … { upgrade }), or run mogdbsetup of MogileFS-Server 2.73"
	}
	return fmt.Errorf("%w: found schema_version %d, want %d; %s", store.ErrSchema, found, schemaVersion, wayOut)
}

// check finds what is missing of that which this package names.
func (l layout) check() error {
	for _, want := range tables {
		found, ok := l[want.name]
		if !ok {
			return fmt.Errorf("%w: found schema_version %d but no table %s; "+
				"add the word upgrade to the Caddyfile's database block, which adds what is missing",
				store.ErrSchema, schemaVersion, want.name)
		}
		for name := range strings.SplitSeq(want.columns, ", ") {
			if _, ok := found[name]; !ok {
				return fmt.Errorf("%w: table %s lacks the column %s; "+
					"add the word upgrade to the Caddyfile's database block, which adds what is missing",
					store.ErrSchema, want.name, name)
			}
		}
	}
	return nil
}

// report says in one line what there is.
func (is survey) report(log *zap.Logger) {
	version := zap.Int("schema_version", schemaVersion)
	switch {
	case is.created:
		log.Info("created the tables of a new database", version)
	case len(is.steps) > 0:
		log.Info("upgraded the database", version, zap.Int("from", is.from), zap.Strings("steps", is.steps), is.traits())
	default:
		log.Info("found a database", version, is.traits())
	}
	if len(is.lags) > 0 {
		log.Warn("the database lacks what its version should have; the word upgrade in the Caddyfile's database block adds it",
			zap.Strings("steps", is.lags))
	}
}

// traits are what differs between databases of one version.
func (is survey) traits() zap.Field {
	var missing []string
	for _, table := range optionalTables {
		if is.layout[table] == nil {
			missing = append(missing, table)
		}
	}
	return zap.Dict("database",
		zap.String("fids", is.layout["file"]["fid"].kind),
		zap.String("new_fids", is.layout["tempfile"]["fid"].kind),
		zap.String("keys", is.layout.words("file", "dkey")),
		zap.String("domains", is.layout.words("domain", "namespace")),
		zap.String("classes", is.layout.words("class", "classname")),
		zap.Strings("missing", missing),
	)
}

// words is a column's type and collation.
func (l layout) words(table, name string) string {
	c := l[table][name]
	return strings.TrimSpace(c.kind + " " + c.collation)
}
