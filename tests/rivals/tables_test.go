package rivals

import (
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// row is a visible file.
type row struct {
	key      string
	length   int
	devCount int
}

// queued is a row of a queue.
type queued struct{ nextTry, failCount int }

// tables is all that a database says of contents.
type tables struct {
	files             map[mogile.FID]row
	copies            map[mogile.FID][]int // devids
	replicate, doomed map[mogile.FID]queued
	// others counts the rows of the other tables that know fids.
	others map[string]int
}

func (c *cluster) load(t *testing.T) tables {
	t.Helper()
	all := tables{
		files: map[mogile.FID]row{}, copies: map[mogile.FID][]int{},
		replicate: c.queue(t, "file_to_replicate"), doomed: c.queue(t, "file_to_delete2"),
		others: map[string]int{},
	}
	c.each(t, "SELECT fid, dkey, length, devcount FROM file", func(rows *sql.Rows) error {
		var fid mogile.FID
		var r row
		err := rows.Scan(&fid, &r.key, &r.length, &r.devCount)
		all.files[fid] = r
		return err
	})
	c.each(t, "SELECT fid, devid FROM file_on ORDER BY fid, devid", func(rows *sql.Rows) error {
		var fid mogile.FID
		var dev int
		err := rows.Scan(&fid, &dev)
		all.copies[fid] = append(all.copies[fid], dev)
		return err
	})
	for _, name := range []string{
		"tempfile", "checksum", "file_to_delete", "file_to_delete_later", "file_to_queue",
		"file_on_corrupt", "unreachable_fids", "fsck_log",
	} {
		c.each(t, "SELECT COUNT(*) FROM "+name, func(rows *sql.Rows) error {
			var n int
			err := rows.Scan(&n)
			all.others[name] = n
			return err
		})
	}
	return all
}

func (c *cluster) queue(t *testing.T, name string) map[mogile.FID]queued {
	t.Helper()
	all := map[mogile.FID]queued{}
	c.each(t, "SELECT fid, nexttry, failcount FROM "+name, func(rows *sql.Rows) error {
		var fid mogile.FID
		var q queued
		err := rows.Scan(&fid, &q.nextTry, &q.failCount)
		all[fid] = q
		return err
	})
	return all
}

func (c *cluster) each(t *testing.T, query string, scan func(*sql.Rows) error) {
	t.Helper()
	rows, err := c.tables.QueryContext(t.Context(), query)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			t.Fatalf("%s: %v", query, err)
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

// ledger is what must have become of every upload.
type ledger struct {
	visible map[mogile.FID]string // key by fid
	// doomed was visible once, or was given up.
	doomed map[mogile.FID]bool
}

func newLedger() *ledger {
	return &ledger{map[mogile.FID]string{}, map[mogile.FID]bool{}}
}

// lose notes that a content is seen no more.
func (l *ledger) lose(fid mogile.FID) {
	delete(l.visible, fid)
	l.doomed[fid] = true
}

// audit holds all tables against the ledger, before any job has worked.
func (c *cluster) audit(t *testing.T, l *ledger) {
	t.Helper()
	all := c.load(t)
	for name, n := range all.others {
		if n > 0 {
			t.Errorf("table %s: got %d rows; want none", name, n)
		}
	}
	want := map[mogile.FID]row{}
	for fid, key := range l.visible {
		want[fid] = row{key, len(content(fid)), 1}
	}
	if diff := cmp.Diff(want, all.files, cmp.AllowUnexported(row{})); diff != "" {
		t.Errorf("table file, without what should be there (-) and with what should not (+):\n%s", diff)
	}
	for fid := range all.copies {
		if l.visible[fid] == "" && !l.doomed[fid] {
			t.Errorf("file_on has fid %d, which was never closed", fid)
		}
	}
	for fid := range l.visible {
		all.check(t, fid)
		if _, doomed := all.doomed[fid]; doomed {
			t.Errorf("fid %d is visible and waits for its deletion", fid)
		}
		if q, waits := all.replicate[fid]; !waits || q != (queued{}) {
			t.Errorf("fid %d: got %+v, %v in file_to_replicate; want it due at once", fid, q, waits)
		}
	}
	for fid := range l.doomed {
		all.check(t, fid)
		if q, waits := all.doomed[fid]; !waits || q.failCount != 0 {
			t.Errorf("fid %d is leaked: got %+v, %v in file_to_delete2; want a row", fid, q, waits)
		}
	}
	known := len(l.visible) + len(l.doomed)
	if got := len(all.doomed); got != len(l.doomed) {
		t.Errorf("file_to_delete2: got %d rows; want %d", got, len(l.doomed))
	}
	if got := len(all.replicate); got > known {
		t.Errorf("file_to_replicate: got %d rows; want at most one for each of %d contents", got, known)
	}
}

// check looks at a content's copies: whatever becomes of it, the job that does it must
// find them.
func (all tables) check(t *testing.T, fid mogile.FID) {
	t.Helper()
	if len(all.copies[fid]) != 1 {
		t.Errorf("fid %d: got copies on devices %v; want one", fid, all.copies[fid])
	}
}

// settled says what jobs have still to do; empty when nothing is left.
func (c *cluster) settled(t *testing.T, l *ledger) string {
	t.Helper()
	all := c.load(t)
	if len(all.replicate)+len(all.doomed) > 0 {
		return fmt.Sprintf("%d fids to replicate, %d to delete", len(all.replicate), len(all.doomed))
	}
	fids := slices.Sorted(maps.Keys(l.visible))
	for _, fid := range fids {
		if want := (row{l.visible[fid], len(content(fid)), len(devices)}); all.files[fid] != want {
			return fmt.Sprintf("fid %d: got %+v; want %+v", fid, all.files[fid], want)
		}
	}
	if got := slices.Sorted(maps.Keys(all.copies)); !slices.Equal(got, fids) {
		return fmt.Sprintf("file_on: got fids %v; want %v", got, fids)
	}
	for _, dev := range devices {
		got := c.stored(t, dev)
		slices.Sort(got)
		if !slices.Equal(got, fids) {
			return fmt.Sprintf("device %d: got fids %v; want %v", dev, got, fids)
		}
	}
	return ""
}
