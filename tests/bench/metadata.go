package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/cache"
	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/store/sqlstore"
)

// shape is what files have rows for.
type shape struct {
	key, copies int
	checksum    bool
}

// shapes differ in one thing from the second each, so that each thing has its price.
var shapes = []shape{{key: 16, copies: 1}, {key: 16, copies: 2}, {key: 64, copies: 2}, {key: 16, copies: 2, checksum: true}}

// measureMetadata finds the constants of docs/scale.md: what a file costs in the tables, what
// an operation costs the database, and what a location costs in memory.
func measureMetadata(ctx context.Context, o options, dir, caddy string) error {
	fmt.Println("| database | bytes for a file | for each copy | for each byte of the key | for a checksum | files |")
	fmt.Println("|---|---|---|---|---|---|")
	for _, e := range o.engines {
		if err := e.open(ctx, dir); err != nil {
			return err
		}
		line, err := e.price(ctx, o.files)
		if closed := e.close(); err == nil {
			err = closed
		}
		if err != nil {
			return fmt.Errorf("%s: %w", e.name, err)
		}
		fmt.Println(line)
	}
	fmt.Println()
	if err := measureOperations(ctx, o, dir, caddy); err != nil {
		return err
	}
	return measureLocations(ctx)
}

func (e *engine) price(ctx context.Context, n int) (string, error) {
	var sizes []float64
	for _, s := range shapes {
		size, err := e.sizeOf(ctx, s, n)
		if err != nil {
			return "", err
		}
		sizes = append(sizes, size)
	}
	copyBytes, keyByte := sizes[1]-sizes[0], (sizes[2]-sizes[1])/float64(shapes[2].key-shapes[1].key)
	base := sizes[0] - copyBytes - keyByte*float64(shapes[0].key)
	return fmt.Sprintf("| %s | %.0f | %.0f | %.2f | %.0f | %d |", e.name, base, copyBytes, keyByte, sizes[3]-sizes[1], n), nil
}

// sizeOf is the bytes that each of n files takes, their indexes included.
func (e *engine) sizeOf(ctx context.Context, s shape, n int) (float64, error) {
	dsn, err := e.create()
	if err != nil {
		return 0, err
	}
	if err := e.makeTables(ctx, dsn); err != nil {
		return 0, err
	}
	db, err := e.connect(dsn)
	if err != nil {
		return 0, err
	}
	defer db.Close()
	empty, err := e.size(ctx, db)
	if err != nil {
		return 0, err
	}
	if err := e.grow(ctx, db, s, n); err != nil {
		return 0, err
	}
	full, err := e.size(ctx, db)
	return float64(full-empty) / float64(n), err
}

func (e *engine) makeTables(ctx context.Context, dsn string) error {
	var s *sqlstore.Store
	var err error
	switch e.word {
	case "mysql":
		s, err = sqlstore.OpenMySQL(ctx, sqlstore.MySQL{DSN: dsn}, zap.NewNop())
	case "postgres":
		s, err = sqlstore.OpenPostgres(ctx, sqlstore.Postgres{DSN: dsn}, zap.NewNop())
	default:
		s, err = sqlstore.OpenSQLite(ctx, dsn, zap.NewNop())
	}
	if err != nil {
		return err
	}
	return s.Close()
}

// scattered are keys in no order, as they come in real life: an index that grows in its order
// is packed better than any in use.
func (e *engine) scattered(length int) string {
	number := map[string]string{
		"mysql":    "LPAD((seq * 2654435761) % 10000000000, 10, '0')",
		"postgres": "LPAD(((seq::bigint * 2654435761) % 10000000000)::text, 10, '0')",
		"sqlite":   "printf('%010d', (seq * 2654435761) % 10000000000)",
	}[e.word]
	rest := "'"
	for range length - 10 {
		rest += "k"
	}
	return e.concat(number, rest+"'")
}

// grow inserts files as they come in life: the second copy of one soon after the first, and
// the next file soon after that.
func (e *engine) grow(ctx context.Context, db *sql.DB, s shape, n int) error {
	const together, soon = 20_000, 100
	for from := 1; from <= n; from += together {
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		for first := from; first < from+together && first <= n; first += soon {
			for _, text := range e.inserts(s, fmt.Sprintf(e.numbers, first, min(first+soon-1, n))) {
				if _, err := tx.ExecContext(ctx, text); err != nil {
					return errors.Join(fmt.Errorf("%.80s…: %w", text, err), tx.Rollback())
				}
			}
		}
		if err := tx.Commit(); err != nil {
			return err
		}
	}
	return nil
}

func (e *engine) inserts(s shape, numbers string) []string {
	texts := []string{fmt.Sprintf(
		"INSERT INTO file (fid, dmid, dkey, length, classid, devcount) SELECT seq, 1, %s, 30000, 0, %d FROM %s", e.scattered(s.key), s.copies, numbers)}
	for copy := range s.copies {
		texts = append(texts, fmt.Sprintf("INSERT INTO file_on (fid, devid) SELECT seq, (seq + %d) %% 20 + 1 FROM %s", 7*copy, numbers))
	}
	if s.checksum {
		texts = append(texts, e.checksums(numbers))
	}
	return texts
}

func (e *engine) checksums(numbers string) string {
	sixteen := map[string]string{"mysql": "UNHEX(MD5(seq))", "postgres": "decode(md5(seq::text), 'hex')", "sqlite": "randomblob(16)"}[e.word]
	return "INSERT INTO checksum (fid, hashtype, checksum) SELECT seq, 1, " + sixteen + " FROM " + numbers
}

// size is what the tables take on disk.
func (e *engine) size(ctx context.Context, db *sql.DB) (n int64, err error) {
	switch e.word {
	case "mysql":
		var name string
		if err := db.QueryRowContext(ctx, "SELECT DATABASE()").Scan(&name); err != nil {
			return 0, err
		}
		err = e.server.Admin().QueryRowContext(ctx, "SELECT SUM(file_size) FROM information_schema.innodb_sys_tablespaces WHERE name LIKE ?", name+"/%").Scan(&n)
		return n, err
	case "postgres":
		err = db.QueryRowContext(ctx, "SELECT SUM(pg_total_relation_size(c.oid)) FROM pg_class c WHERE relkind = 'r' AND pg_table_is_visible(oid) AND relname IN ('file', 'file_on', 'checksum')").Scan(&n)
		return n, err
	}
	err = db.QueryRowContext(ctx, "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size").Scan(&n)
	return n, err
}

// measureLocations finds what a million locations take in memory.
func measureLocations(ctx context.Context) error {
	const n = 1_000_000
	fmt.Println("| locations | copies | key | memory |")
	fmt.Println("|---|---|---|---|")
	for _, length := range []int{16, 64} {
		l, err := cache.NewLocations(cache.Config{Bytes: 4 << 30})
		if err != nil {
			return err
		}
		before := heap()
		for i := range n {
			key := mogile.Key(fmt.Sprintf("%0*d", length, i))
			_, err := l.Get(ctx, "images", key, func(context.Context, mogile.DomainName, mogile.Key) (mogile.Location, error) {
				fid := mogile.FID(i + 1)
				return mogile.Location{FID: fid, Length: 30000, Copies: []mogile.Copy{
					{Dev: 1, URL: "http://10.0.0.1:7500/" + fid.Path(1)}, {Dev: 12, URL: "http://10.0.0.2:7500/" + fid.Path(12)},
				}}, nil
			})
			if err != nil {
				return err
			}
		}
		used := heap() - before
		kept := len(l.PurgeAll(func(mogile.DomainName, mogile.Key) bool { return true })) // some are dropped when many come at once
		fmt.Printf("| %d | 2 | %d bytes | %d bytes each |\n", kept, length, used/int64(max(kept, 1)))
		l.Close()
	}
	return nil
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
