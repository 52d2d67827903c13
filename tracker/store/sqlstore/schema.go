package sqlstore

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

// schemaVersion is the version of the peer whose tables these are
// (docs/spec/schema.md §3). It does not change: it locks out every tracker that
// wants another.
const schemaVersion = "17"

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

// ensureSchema creates the tables in an empty database and checks them in any
// other. It never changes a table that is there.
func ensureSchema(t *tx) error {
	found, err := list(t, single[string], t.d.tables)
	switch {
	case err != nil:
		return wrap(err, "list tables")
	case len(found) == 0:
		return createSchema(t)
	case !slices.Contains(found, "server_settings"):
		slices.Sort(found)
		return fmt.Errorf("%w: found tables of something else (%s), no table server_settings; "+
			"name a database that is empty or belongs to MogileFS", store.ErrSchema, strings.Join(found, ", "))
	}
	if err := checkVersion(t); err != nil {
		return err
	}
	return checkTables(t, found)
}

func createSchema(t *tx) error {
	if err := t.all(t.d.schema); err != nil {
		return wrap(err, "create tables")
	}
	_, err := t.exec("INSERT INTO server_settings (field, value) VALUES ('schema_version', ?)", schemaVersion)
	return wrap(err, "create tables")
}

func checkVersion(t *tx) error {
	found, err := setting(t, "schema_version")
	switch {
	case errors.Is(err, store.ErrNotFound):
		return fmt.Errorf("%w: found no schema_version in server_settings, want %s; "+
			"finish what created the database (mogdbsetup), or name another", store.ErrSchema, schemaVersion)
	case err != nil:
		return fmt.Errorf("%w: schema_version is unreadable: %w", store.ErrSchema, err)
	case found != schemaVersion:
		return fmt.Errorf("%w: found schema_version %s, want %s; "+
			"run mogdbsetup of MogileFS-Server 2.73 when it is older, the program that made it when it is newer",
			store.ErrSchema, found, schemaVersion)
	}
	return nil
}

func checkTables(t *tx, found []string) error {
	for _, want := range tables {
		if !slices.Contains(found, want.name) {
			return fmt.Errorf("%w: found schema_version %s but no table %s; "+
				"run mogdbsetup of MogileFS-Server 2.73, which adds what is missing", store.ErrSchema, schemaVersion, want.name)
		}
		if _, err := t.exists("SELECT " + want.columns + " FROM " + want.name + " WHERE 1 = 0"); err != nil {
			return fmt.Errorf("%w: table %s lacks one of the columns %s; "+
				"run mogdbsetup of MogileFS-Server 2.73, which adds what is missing: %w",
				store.ErrSchema, want.name, want.columns, err)
		}
	}
	return nil
}
