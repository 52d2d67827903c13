package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sync/errgroup"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	_ "github.com/mogilefs/caddy-mogilefs/tracker/store/sqlstore" // with it come the drivers
)

const (
	// firstFID leaves room for what is uploaded before the tables are filled.
	firstFID = 1001
	// fileSize is the size of each file that is there from the start.
	fileSize = 1 << 10
	// fillStep is how many rows a statement inserts: enough that a commit costs
	// nothing, not too many for an undo log.
	fillStep = 100_000
)

// files is a run of files with fids from first to last, each with a copy on both
// devices. The key of a fid is the folder and the fid with leading zeros.
type files struct {
	folder      string
	first, last int
}

func (f files) count() int { return f.last - f.first + 1 }

func (f files) key(fid int) string { return fmt.Sprintf("%s/%010d", f.folder, fid) }

// fill writes the rows of files into the tables that the tracker has made, in the
// order of the keys.
func (i *installation) fill(ctx context.Context, all ...files) error {
	db, err := i.engine.connect(i.dsn)
	if err != nil {
		return err
	}
	defer db.Close()
	var domain, class int
	err = db.QueryRowContext(ctx, "SELECT c.dmid, c.classid FROM class c, domain d WHERE c.dmid = d.dmid AND classname = 'pair'").
		Scan(&domain, &class)
	if err != nil {
		return fmt.Errorf("find the class: %w", err)
	}
	for _, f := range all {
		for from := f.first; from <= f.last; from += fillStep {
			if err := i.fillStep(ctx, db, domain, class, files{f.folder, from, min(from+fillStep-1, f.last)}); err != nil {
				return err
			}
		}
	}
	for _, text := range i.engine.settle {
		if _, err := db.ExecContext(ctx, text); err != nil {
			return fmt.Errorf("%s: %w", text, err)
		}
	}
	return nil
}

func (i *installation) fillStep(ctx context.Context, db *sql.DB, domain, class int, f files) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // nothing after the commit
	numbers := fmt.Sprintf(i.engine.numbers, f.first, f.last)
	for _, text := range []string{
		fmt.Sprintf("INSERT INTO file (fid, dmid, dkey, length, classid, devcount) SELECT seq, %d, %s, %d, %d, 2 FROM %s",
			domain, i.engine.concat("'"+f.folder+"/'", i.engine.padded), fileSize, class, numbers),
		"INSERT INTO file_on (fid, devid) SELECT seq, 1 FROM " + numbers,
		"INSERT INTO file_on (fid, devid) SELECT seq, 2 FROM " + numbers,
	} {
		if _, err := tx.ExecContext(ctx, text); err != nil {
			return fmt.Errorf("%.60s…: %w", text, err)
		}
	}
	return tx.Commit()
}

// concat joins two texts: what is || for others is OR for MySQL.
func (e *engine) concat(a, b string) string {
	if e.word == "mysql" {
		return "CONCAT(" + a + ", " + b + ")"
	}
	return a + " || " + b
}

// store puts the contents of files on the devices. The two copies of one share their
// blocks; nobody looks.
func (i *installation) store(ctx context.Context, all ...files) error {
	content := make([]byte, fileSize)
	var writers errgroup.Group
	writers.SetLimit(2)
	for _, f := range all {
		for from := f.first; from <= f.last; from += fillStep {
			writers.Go(func() error {
				for fid := from; fid <= min(from+fillStep-1, f.last) && ctx.Err() == nil; fid++ {
					if err := i.storeOne(mogile.FID(fid), content); err != nil {
						return err
					}
				}
				return ctx.Err()
			})
		}
	}
	return writers.Wait()
}

func (i *installation) storeOne(fid mogile.FID, content []byte) error {
	one, two := filepath.Join(i.root, fid.Path(1)), filepath.Join(i.root, fid.Path(2))
	err := os.WriteFile(one, content, 0o644)
	if errors.Is(err, os.ErrNotExist) {
		err = errors.Join(os.MkdirAll(filepath.Dir(one), 0o755), os.MkdirAll(filepath.Dir(two), 0o755))
		if err == nil {
			err = os.WriteFile(one, content, 0o644)
		}
	}
	if err != nil {
		return err
	}
	return os.Link(one, two)
}
