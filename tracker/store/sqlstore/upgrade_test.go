package sqlstore

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	dbtest "github.com/mogilefs/caddy-mogilefs/tests/database"
	"github.com/mogilefs/caddy-mogilefs/tests/legacy"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

// openLegacy opens a database that others have made.
func openLegacy(t *testing.T, d *legacy.Database, upgrade bool, log *zap.Logger) (s *Store, err error) {
	t.Helper()
	switch d.Kind {
	case legacy.MySQL:
		s, err = OpenMySQL(t.Context(), MySQL{DSN: d.DSN, Charset: d.Session, Upgrade: upgrade}, log)
	case legacy.Postgres:
		s, err = OpenPostgres(t.Context(), Postgres{DSN: d.DSN, Upgrade: upgrade}, log)
	default:
		if upgrade {
			s, err = UpgradeSQLite(t.Context(), d.DSN, log)
		} else {
			s, err = OpenSQLite(t.Context(), d.DSN, log)
		}
	}
	if err == nil {
		t.Cleanup(func() {
			if err := s.Close(); err != nil {
				t.Errorf("close: got %v; want nil", err)
			}
		})
	}
	return s, err
}

func mustOpenLegacy(t *testing.T, d *legacy.Database, upgrade bool) *Store {
	t.Helper()
	s, err := openLegacy(t, d, upgrade, zap.NewNop())
	if err != nil {
		t.Fatalf("open: got %v; want nil", err)
	}
	return s
}

// olderVersions are all that are upgraded on MySQL, and some of them elsewhere.
func olderVersions() map[string]legacy.Variant {
	all := map[string]legacy.Variant{}
	for version := oldestVersion; version < schemaVersion; version++ {
		for name, v := range legacy.Older(version) {
			if v.Upgraded || v.Kind != legacy.MySQL && (version-oldestVersion)%3 == 0 {
				all[name] = v
			}
		}
	}
	return all
}

// drained are tables that every open changes.
func drained(d *legacy.Database) []string {
	names := []string{"file_to_delete", "file_to_delete_later", "file_to_delete2"}
	if d.Kind == legacy.SQLite { // where leases are those of a dead tracker
		names = append(names, "file_to_replicate", "file_to_queue")
	}
	return names
}

func TestAnOlderVersionIsUpgradedWhenToldSo(t *testing.T) {
	legacy.Each(t, olderVersions(), func(t *testing.T, d *legacy.Database) {
		log, lines := observer.New(zapcore.InfoLevel)
		before := d.Dump(t, drained(d)...)
		s, err := openLegacy(t, d, true, zap.New(log))
		if err != nil {
			t.Fatalf("upgrade: got %v; want nil", err)
		}
		if lines.FilterMessage("upgraded the database").Len() != 1 {
			t.Errorf("log: got %v; want a line on the upgrade", lines.All())
		}
		checkTakesAll(t, s)
		checkRowsStay(t, d, before)
		if n := d.Number(t, "SELECT COUNT(*) FROM server_settings WHERE field = 'schema_version' AND value = '17'"); n != 1 {
			t.Errorf("schema_version: got another; want 17")
		}
		checkNewFIDsAreAsWide(t, d)
		columns := d.Columns(t)
		if _, err := openLegacy(t, d, true, zap.New(log)); err != nil {
			t.Fatalf("upgrade again: got %v; want nil", err)
		}
		if diff := cmp.Diff(columns, d.Columns(t)); diff != "" || lines.FilterMessage("upgraded the database").Len() != 1 {
			t.Errorf("upgrade again: got changes; want none\n%s", diff)
		}
		d.Tracker(t, "old") // which wants 17
	})
}

// checkTakesAll stores what only the columns of schema 17 have room for.
func checkTakesAll(t *testing.T, s *Store) {
	t.Helper()
	ctx := t.Context()
	long := strings.Repeat("1,", 200) + "1"
	host, err := s.HostByName(ctx, "node4")
	if err != nil {
		t.Fatal(err)
	}
	host.State = mogile.HostReadonly
	sum := mogile.Checksum{Type: mogile.HashMD5, Sum: []byte("0123456789abcdef")}
	err = errors.Join(
		s.UpdateHost(ctx, host),
		s.SetDeviceState(ctx, 8, mogile.DevDrain),
		s.SetDeviceUsage(ctx, []mogile.Device{{ID: 8, MBTotal: 1 << 30, MBUsed: 1 << 29, AsOf: 1}}),
		s.SetSetting(ctx, "long", long),
		s.EnqueueWork(ctx, store.WorkRow{FID: 7, Kind: store.RebalanceWork, Dev: 1, Arg: long}),
		s.SetChecksum(ctx, 7, sum),
		s.UpdateClass(ctx, mogile.Class{Domain: 1, ID: 1, Name: "thumb", MinDevCount: 2, Hash: mogile.HashMD5, Policy: "MultipleDevices()"}),
	)
	if err != nil {
		t.Fatalf("store what 17 has room for: got %v; want nil", err)
	}
	rows, err := s.LoadTopology(ctx)
	if err != nil || rows.Settings["long"] != long {
		t.Errorf("setting: got %q, error %v; want it whole", rows.Settings["long"], err)
	}
	i := slices.IndexFunc(rows.Devices, func(d mogile.Device) bool { return d.ID == 8 })
	if dev := rows.Devices[i]; dev.MBTotal != 1<<30 || dev.State != mogile.DevDrain {
		t.Errorf("device: got %+v; want what was stored", dev)
	}
	if work, err := s.WorkRows(ctx, 7); err != nil || len(work) != 1 || work[0].Arg != long {
		t.Errorf("work: got %+v, error %v; want one row", work, err)
	}
	// As it was, for those who compare all rows.
	host.State = mogile.HostDown
	err = errors.Join(
		s.UpdateHost(ctx, host), s.SetDeviceState(ctx, 8, mogile.DevAlive),
		s.SetDeviceUsage(ctx, []mogile.Device{{ID: 8, MBTotal: 20000, MBUsed: 30000}}),
		s.UpdateClass(ctx, mogile.Class{Domain: 1, ID: 1, Name: "thumb", MinDevCount: 1}),
	)
	if err != nil {
		t.Fatal(err)
	}
}

// checkRowsStay looks for all that was there: it may have got more columns.
func checkRowsStay(t *testing.T, d *legacy.Database, before []string) {
	t.Helper()
	after := d.Dump(t, drained(d)...)
	for _, row := range before {
		words := strings.Fields(row)
		kept := slices.ContainsFunc(after, func(now string) bool {
			has := strings.Fields(now)
			return words[0] == has[0] && !slices.ContainsFunc(words, func(w string) bool { return !slices.Contains(has, w) })
		})
		// What checkTakesAll has written, and what it has put back otherwise.
		changed := strings.Contains(row, "schema_version") || strings.HasPrefix(row, "device devid=8 ") ||
			strings.Contains(row, "hostname=node4") || strings.Contains(row, "classname=thumb")
		if !kept && !changed {
			t.Errorf("row %q is gone; want it as it was", row)
		}
	}
}

// checkNewFIDsAreAsWide as those of the table file (docs/spec/schema.md §2.1).
func checkNewFIDsAreAsWide(t *testing.T, d *legacy.Database) {
	t.Helper()
	want := "bigint"
	if d.NarrowFIDs {
		want = "int"
	}
	for _, c := range d.Columns(t) {
		words := strings.Fields(c)
		if d.Kind == legacy.SQLite || words[1] != "fid" || words[0] == "tempfile" {
			continue
		}
		if !strings.HasPrefix(words[2], want) {
			t.Errorf("column: got %q; want %s", c, want)
		}
	}
}

func TestAnOlderVersionIsLeftAloneOtherwise(t *testing.T) {
	some := legacy.Older(oldestVersion)
	maps.Copy(some, legacy.Older(schemaVersion-1))
	legacy.Each(t, some, func(t *testing.T, d *legacy.Database) {
		columns, rows := d.Columns(t), d.Dump(t)
		_, err := openLegacy(t, d, false, zap.NewNop())
		want := fmt.Sprintf("found schema_version %d, want 17", d.Version)
		if !errors.Is(err, store.ErrSchema) || !strings.Contains(err.Error(), want) ||
			!strings.Contains(err.Error(), "upgrade") || !strings.Contains(err.Error(), "mogdbsetup") {
			t.Errorf("open: got %v; want %v with %q and the ways out", err, store.ErrSchema, want)
		}
		if diff := cmp.Diff(columns, d.Columns(t)) + cmp.Diff(rows, d.Dump(t)); diff != "" {
			t.Errorf("open refused: got changes; want none\n%s", diff)
		}
	})
}

func TestVersionsNobodyKnowsAreRefused(t *testing.T) {
	for name, kind := range kinds {
		d := legacy.NewEmpty(t, legacy.Variant{Kind: kind})
		for version, wayOut := range map[string]string{
			"9": "mogdbsetup", "1": "mogdbsetup", "18": "the program that made it", "17.1": "set it right", "": "set it right",
		} {
			d.Do(t, "UPDATE server_settings SET value = '"+version+"' WHERE field = 'schema_version'")
			for _, upgrade := range []bool{false, true} {
				_, err := openLegacy(t, d, upgrade, zap.NewNop())
				if !errors.Is(err, store.ErrSchema) || !strings.Contains(err.Error(), wayOut) {
					t.Errorf("%s, version %q, upgrade %v: got %v; want %v with %q", name, version, upgrade, err, store.ErrSchema, wayOut)
				}
			}
		}
	}
}

var kinds = map[string]legacy.Kind{"MySQL": legacy.MySQL, "PostgreSQL": legacy.Postgres, "SQLite": legacy.SQLite}

// TestAnInterruptedUpgradeGoesOn runs a part of the steps, as a crash leaves them in
// MySQL, in their order and against it.
func TestAnInterruptedUpgradeGoesOn(t *testing.T) {
	oldest := legacy.Variant{Kind: legacy.MySQL, Version: oldestVersion, Upgraded: true, NarrowFIDs: true, How: legacy.Latin1}
	whole := legacy.NewEmpty(t, oldest)
	steps := stepsFor(t, whole)
	mustOpenLegacy(t, whole, true)
	want := whole.Columns(t)
	if len(steps) < 8 {
		t.Fatalf("steps: got %q; want those of all versions", steps)
	}
	for done := range len(steps) + 1 {
		some := slices.Clone(steps[:done])
		if done%2 == 1 {
			some = slices.Clone(steps[len(steps)-done:])
			slices.Reverse(some)
		}
		d := legacy.NewEmpty(t, oldest)
		d.Do(t, some...)
		mustOpenLegacy(t, d, true)
		if diff := cmp.Diff(want, d.Columns(t)); diff != "" {
			t.Errorf("an upgrade after %q: got other columns than with one upgrade\n%s", some, diff)
		}
	}
}

// stepsFor is what an upgrade of a database would do.
func stepsFor(t *testing.T, d *legacy.Database) []string {
	t.Helper()
	log, lines := observer.New(zapcore.InfoLevel)
	copied := legacy.NewEmpty(t, d.Variant)
	if _, err := openLegacy(t, copied, true, zap.New(log)); err != nil {
		t.Fatal(err)
	}
	var steps []string
	for _, step := range lines.FilterMessage("upgraded the database").All()[0].ContextMap()["steps"].([]any) {
		if text := step.(string); !strings.HasPrefix(text, "UPDATE") {
			steps = append(steps, text)
		}
	}
	return steps
}

func TestStatesOfTheOperatorOutliveAnUpgrade(t *testing.T) {
	for name, texts := range map[legacy.Kind][]string{
		legacy.MySQL: {"ALTER TABLE host MODIFY status ENUM('dead', 'resting', 'alive', 'down') CHARACTER SET ascii COLLATE ascii_bin"},
		legacy.Postgres: {
			"ALTER TABLE host DROP CONSTRAINT host_status_check",
			`ALTER TABLE host ADD CONSTRAINT "my own" CHECK (status IN ('dead', 'resting', 'alive', 'down'))`,
		},
	} {
		d := legacy.New(t, legacy.Variant{Kind: name, Version: 16})
		d.Do(t, append(texts, "UPDATE host SET status = 'resting' WHERE hostid = 9")...)
		s := mustOpenLegacy(t, d, true)
		if got := d.Texts(t, "SELECT status FROM host ORDER BY hostid"); !slices.Equal(got, []string{"alive", "alive", "down", "down", "dead", "resting"}) {
			t.Errorf("%s: states after an upgrade: got %q; want them as they were", name, got)
		}
		host, err := s.HostByName(t.Context(), "node1")
		host.State = mogile.HostReadonly
		if err := errors.Join(err, s.UpdateHost(t.Context(), host)); err != nil {
			t.Errorf("%s: set readonly: got %v; want nil", name, err)
		}
		if name == legacy.MySQL && !slices.ContainsFunc(d.Columns(t), func(c string) bool {
			return strings.Contains(c, "host status enum") && strings.Contains(c, "ascii_bin")
		}) {
			t.Errorf("collation of host.status: got another; want it as it was")
		}
	}
}

func TestWhatIsMissingIsAddedWhenToldSo(t *testing.T) {
	for name, kind := range kinds {
		d := legacy.New(t, legacy.Variant{Kind: kind, Without: []string{"checksum", "file_on_corrupt"}})
		if _, err := openLegacy(t, d, false, zap.NewNop()); !errors.Is(err, store.ErrSchema) || !strings.Contains(err.Error(), "no table checksum; add the word upgrade") {
			t.Errorf("%s: open: got %v; want %v and the way out", name, err, store.ErrSchema)
		}
		s := mustOpenLegacy(t, d, true)
		if err := s.SetChecksum(t.Context(), 1, mogile.Checksum{Type: mogile.HashMD5, Sum: []byte("0123456789abcdef")}); err != nil {
			t.Errorf("%s: set a checksum: got %v; want nil", name, err)
		}
	}
}

func TestUnusedTablesMayBeMissing(t *testing.T) {
	for name, kind := range kinds {
		d := legacy.New(t, legacy.Variant{Kind: kind, Without: optionalTables})
		log, lines := observer.New(zapcore.InfoLevel)
		s, err := openLegacy(t, d, false, zap.New(log))
		if err != nil {
			t.Errorf("%s: open: got %v; want nil", name, err)
			continue
		}
		release, err := s.Lock(t.Context(), "mgfs:test", 0)
		if err != nil {
			t.Errorf("%s: lock: got %v; want nil", name, err)
			continue
		}
		release()
		if got := fmt.Sprint(lines.FilterMessage("found a database").All()); !strings.Contains(got, "unreachable_fids") {
			t.Errorf("%s: log: got %s; want what is missing", name, got)
		}
	}
}

func TestTheLogSaysWhatWasFound(t *testing.T) {
	d := legacy.New(t, legacy.Variant{Kind: legacy.MySQL, NarrowFIDs: true, How: legacy.Latin1})
	d.Do(t, "UPDATE host SET status = 'down' WHERE status = 'readonly'", "ALTER TABLE host MODIFY status ENUM('alive', 'dead', 'down')")
	log, lines := observer.New(zapcore.InfoLevel)
	if _, err := openLegacy(t, d, false, zap.New(log)); err != nil {
		t.Fatalf("open: got %v; want nil", err)
	}
	found := lines.FilterMessage("found a database").All()
	if len(found) != 1 || !strings.Contains(fmt.Sprint(found[0].ContextMap()), "latin1_swedish_ci") || !strings.Contains(fmt.Sprint(found[0].ContextMap()), "int(10) unsigned") {
		t.Errorf("log: got %v; want one line with the width of fids and the collation of keys", found)
	}
	if got := fmt.Sprint(lines.FilterLevelExact(zapcore.WarnLevel).All()); !strings.Contains(got, "'readonly'") {
		t.Errorf("warnings: got %s; want that host.status lacks readonly", got)
	}
}

func TestANewDatabaseLacksNothing(t *testing.T) {
	for name, open := range map[string]func(log *zap.Logger) (*Store, error){
		"MySQL": func() func(log *zap.Logger) (*Store, error) {
			m := MySQL{DSN: dbtest.MariaDB(t).MustCreate(t, "")}
			return func(log *zap.Logger) (*Store, error) { return OpenMySQL(t.Context(), m, log) }
		}(),
		"PostgreSQL": func() func(log *zap.Logger) (*Store, error) {
			p := Postgres{DSN: dbtest.Postgres(t).MustCreate(t, "")}
			return func(log *zap.Logger) (*Store, error) { return OpenPostgres(t.Context(), p, log) }
		}(),
		"SQLite": func() func(log *zap.Logger) (*Store, error) {
			path := filepath.Join(t.TempDir(), "new.db")
			return func(log *zap.Logger) (*Store, error) { return OpenSQLite(t.Context(), path, log) }
		}(),
	} {
		log, lines := observer.New(zapcore.InfoLevel)
		for _, message := range []string{"created the tables of a new database", "found a database"} {
			s, err := open(zap.New(log))
			if err != nil {
				t.Fatalf("%s: open: got %v; want nil", name, err)
			}
			if err := s.Close(); err != nil {
				t.Errorf("%s: close: got %v; want nil", name, err)
			}
			if lines.FilterMessage(message).Len() != 1 {
				t.Errorf("%s: log: got %v; want a line %q", name, lines.All(), message)
			}
		}
		if lacks := lines.FilterMessageSnippet("lacks").All(); len(lacks) > 0 {
			t.Errorf("%s: log: got %v; want nothing that is missing", name, lacks)
		}
	}
}
