package crash

import (
	"database/sql"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	_ "modernc.org/sqlite" // registers its driver

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tests/database"
)

// catalogue is a tracker's database, to be looked into while the tracker is not there.
type catalogue struct {
	// caddyfile is its line there, empty for the usual one.
	caddyfile   string
	driver, dsn string
}

func onSQLite(*testing.T) catalogue { return catalogue{driver: "sqlite"} }

func onMariaDB(t *testing.T) catalogue {
	dsn := database.MariaDB(t).MustCreate(t, "")
	return catalogue{caddyfile: "mysql " + dsn, driver: "mysql", dsn: dsn}
}

// in says where the tracker runs.
func (c *catalogue) in(dir string) {
	if c.dsn == "" {
		c.dsn = filepath.Join(dir, "data", "mogilefs.db")
	}
}

// rows are what it says.
type rows struct {
	files   []fileRow
	copies  map[place]bool // recorded
	offered map[place]bool // to uploads that are not closed
}

type fileRow struct {
	fid      mogile.FID
	key      string
	devcount int
}

// read reads uploads first: one that becomes a file meanwhile is seen as both.
func (c catalogue) read(t *testing.T) rows {
	t.Helper()
	db := c.open(t)
	defer db.Close()
	r := rows{copies: map[place]bool{}, offered: map[place]bool{}}
	each(t, db, "SELECT fid, devids FROM tempfile", func(scan func(...any) error) error {
		var fid mogile.FID
		var devids string
		if err := scan(&fid, &devids); err != nil {
			return err
		}
		for _, digits := range strings.Split(devids, ",") {
			dev, err := strconv.ParseUint(digits, 10, 32)
			if err != nil {
				return err
			}
			r.offered[place{fid, mogile.DevID(dev)}] = true
		}
		return nil
	})
	each(t, db, "SELECT fid, dkey, devcount FROM file", func(scan func(...any) error) error {
		var f fileRow
		err := scan(&f.fid, &f.key, &f.devcount)
		r.files = append(r.files, f)
		return err
	})
	each(t, db, "SELECT fid, devid FROM file_on", func(scan func(...any) error) error {
		var at place
		err := scan(&at.fid, &at.dev)
		r.copies[at] = true
		return err
	})
	return r
}

// age lets an hour pass for uploads that are not closed, and for what waits to be deleted, or
// was claimed for that by a tracker that is no more.
func (c catalogue) age(t *testing.T) {
	t.Helper()
	db := c.open(t)
	defer db.Close()
	for _, statement := range []string{
		"UPDATE tempfile SET createtime = createtime - 3600",
		"UPDATE file_to_delete2 SET nexttry = nexttry - 3600 WHERE nexttry BETWEEN 3600 AND 2147483646",
	} {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

func (c catalogue) open(t *testing.T) *sql.DB {
	t.Helper()
	db, err := sql.Open(c.driver, c.dsn)
	if err != nil {
		t.Fatal(err)
	}
	return db
}

// each hands every row of a query on.
func each(t *testing.T, db *sql.DB, query string, row func(scan func(...any) error) error) {
	t.Helper()
	found, err := db.QueryContext(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	defer found.Close()
	for found.Next() {
		if err := row(found.Scan); err != nil {
			t.Fatalf("%s: %v", query, err)
		}
	}
	if err := found.Err(); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}
