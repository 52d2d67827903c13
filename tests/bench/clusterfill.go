package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// clusterFID is far from what is uploaded, whose fids begin with 1.
const clusterFID = 10_000_001

// span is files with fids from first to last, each with its first copy on one of the devices in
// turn, and the second one, if it has any, on the next host.
type span struct{ first, last int }

// firstDevice and secondDevice are where copies are, here and in SQL.
func firstDevice(fid int) int  { return fid%clusterDevices + 1 }
func secondDevice(fid int) int { return (fid+2)%clusterDevices + 1 }

const firstDeviceSQL, secondDeviceSQL = "seq % 6 + 1", "(seq + 2) % 6 + 1"

func clusterKey(fid int) string { return fmt.Sprintf("files/%010d", fid) }

// prepare has so many copies of files on disk and in the tables, and the rows of a queue for
// them. Files without a name are what a delete leaves.
func (c *cluster) prepare(ctx context.Context, r span, copies int, named bool, queue string) error {
	if err := c.store(ctx, r, copies); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	if err := settleDisk(c.root); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	numbers := fmt.Sprintf(c.engine.numbers, r.first, r.last)
	statements := []string{"INSERT INTO file_on (fid, devid) SELECT seq, " + firstDeviceSQL + " FROM " + numbers}
	if copies > 1 {
		statements = append(statements, "INSERT INTO file_on (fid, devid) SELECT seq, "+secondDeviceSQL+" FROM "+numbers)
	}
	if named {
		statements = append(statements, fmt.Sprintf(
			"INSERT INTO file (fid, dmid, dkey, length, classid, devcount) SELECT seq, %d, %s, %d, %d, %d FROM %s",
			c.domain, c.engine.concat("'files/'", c.engine.padded), smallFile, c.class, copies, numbers))
	}
	if queue != "" {
		statements = append(statements, fmt.Sprintf("INSERT INTO %s (fid, nexttry) SELECT seq, 0 FROM %s", queue, numbers))
	}
	for _, text := range append(statements, c.engine.settle...) {
		if _, err := c.db.ExecContext(ctx, text); err != nil {
			return fmt.Errorf("%.60s…: %w", text, err)
		}
	}
	return nil
}

// store writes the contents. Each copy has its own blocks, as all of them will be read.
func (c *cluster) store(ctx context.Context, r span, copies int) error {
	var writers errgroup.Group
	writers.SetLimit(2)
	for from := r.first; from <= r.last; from += 1000 {
		writers.Go(func() error {
			for fid := from; fid <= min(from+999, r.last) && ctx.Err() == nil; fid++ {
				for _, dev := range []int{firstDevice(fid), secondDevice(fid)}[:copies] {
					if err := writeCopy(c.path(mogile.FID(fid), dev)); err != nil {
						return err
					}
				}
			}
			return ctx.Err()
		})
	}
	return writers.Wait()
}

// settleDisk waits until what was written is on the disk: the first sync of a node's would have
// to wait for all of it.
func settleDisk(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(unix.Syncfs(int(f.Fd())), f.Close())
}

func writeCopy(path string) error {
	err := os.WriteFile(path, smallBody, 0o644)
	if errors.Is(err, os.ErrNotExist) {
		if err = os.MkdirAll(filepath.Dir(path), 0o755); err == nil {
			err = os.WriteFile(path, smallBody, 0o644)
		}
	}
	return err
}

const (
	// lookEvery is how often the length of a queue is asked for: it costs the database a
	// little, and a figure is exact to as much.
	lookEvery = 50 * time.Millisecond
	// doneWithin bounds how long any work may take; then its engine is broken.
	doneWithin = 5 * time.Minute
)

// untilNone waits until a count is 0.
func (c *cluster) untilNone(ctx context.Context, query string) error {
	ctx, cancel := context.WithTimeout(ctx, doneWithin)
	defer cancel()
	began, look := time.Now(), time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		n, err := c.number(ctx, query)
		if err != nil || n == 0 {
			return err
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return fmt.Errorf("%s: still %d after %v", query, n, time.Since(began).Round(time.Second))
		}
	}
}

func (c *cluster) number(ctx context.Context, query string) (n int, err error) {
	if err := c.db.QueryRowContext(ctx, query).Scan(&n); err != nil {
		return 0, fmt.Errorf("%s: %w", query, err)
	}
	return n, nil
}

// wantNone is an error when something is there that should not be: a figure for work that was
// not done is worth nothing.
func (c *cluster) wantNone(ctx context.Context, what, query string) error {
	n, err := c.number(ctx, query)
	if err == nil && n != 0 {
		err = fmt.Errorf("%d %s", n, what)
	}
	return err
}
