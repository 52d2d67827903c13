package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	// filesEach is how many files each round of a job has.
	filesEach = 6000
	// uploadsEach is how many uploads the way to two copies is timed with, one at a time.
	uploadsEach = 60
	// twoCopiesAim is when a file that was closed should have its second copy, on an idle
	// cluster; slowdownAim how much slower reading may become while all jobs run.
	twoCopiesAim = 200 * time.Millisecond
	slowdownAim  = 2.0
)

// chore is work of a job, of which there is as much as one asks for.
type chore struct {
	name string
	// job is whose workers do it.
	job string
	// reference is how many MogileFS-Server 2.73 does in a second with its default of one
	// worker, aim how many are to be done.
	reference, aim float64
	// do does it for so many files and returns what it took.
	do func(*jobs, context.Context) (effort, error)
}

// effort is how long work took, and the seconds of processor of the three processes that
// did it.
type effort struct {
	took                     time.Duration
	tracker, nodes, database float64
}

var chores = []chore{
	{"replicate to two copies", "replicate", 20, 1000, (*jobs).replicate},
	{"fsck", "fsck", 195, 3000, func(j *jobs, ctx context.Context) (effort, error) { return j.fsck(ctx, "off") }},
	{"fsck with checksums", "fsck", 0, 0, func(j *jobs, ctx context.Context) (effort, error) { return j.fsck(ctx, "MD5") }},
	{"delete two copies", "delete", 200, 2000, (*jobs).remove},
}

// jobs measures the background jobs of one cluster.
type jobs struct {
	*cluster
	next int  // fid
	last span // that has two copies, all there
}

// measureJobs prints what jobs manage on the first of the databases, with as many workers as
// there are by default.
func measureJobs(ctx context.Context, o options, dir, caddy string) (err error) {
	e := o.engines[0]
	if err := e.open(ctx, dir); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.close()) }()
	c, err := startCluster(ctx, caddy, e, o.profiles != "")
	if err != nil {
		return err
	}
	defer c.stop()
	j := &jobs{cluster: c, next: clusterFID}
	if _, err := j.replicate(ctx); err != nil { // for what is measured alone, and to warm up
		return fmt.Errorf("first files: %w", err)
	}
	if err := j.rates(ctx, o); err != nil {
		return err
	}
	fmt.Println("\n| latency | p50 | p99 | aim |")
	fmt.Println("|---|---|---|---|")
	if o.only.MatchString(untilTwoCopies) {
		if err := j.untilTwoCopies(ctx); err != nil {
			return fmt.Errorf("%s: %w", untilTwoCopies, err)
		}
	}
	if o.only.MatchString(readingMeanwhile) {
		if err := j.readingMeanwhile(ctx, o); err != nil {
			return fmt.Errorf("%s: %w", readingMeanwhile, err)
		}
	}
	return nil
}

// What is measured beside the chores.
const (
	untilTwoCopies   = "create_close to two copies, idle"
	readingMeanwhile = "GET through the edge"
)

func (j *jobs) rates(ctx context.Context, o options) error {
	fmt.Printf("| work on files of 4 KiB, %d at a time | workers | per second | reference, one worker | aim | tracker's time each | nodes' | database's |\n", filesEach)
	fmt.Println("|---|---|---|---|---|---|---|---|")
	all := make([]efforts, len(chores))
	for range o.rounds {
		for n, c := range chores {
			if !o.only.MatchString(c.name) {
				continue
			}
			e, err := c.do(j, ctx)
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			all[n].add(e)
		}
	}
	for n, c := range chores {
		if len(all[n].rate) == 0 {
			continue
		}
		reference, aim := "", "what the disk gives"
		if c.aim > 0 {
			reference, aim = fmt.Sprintf("%.0f", c.reference), fmt.Sprintf("%.0f", c.aim)
		}
		fmt.Printf("| %s | %s | %.0f | %s | %s | %.0f µs | %.0f µs | %.0f µs |\n", c.name, j.workers[c.job], median(all[n].rate),
			reference, aim, median(all[n].tracker), median(all[n].nodes), median(all[n].database))
		if err := j.profile(ctx, o, c); err != nil {
			return fmt.Errorf("profile %s: %w", c.name, err)
		}
	}
	return nil
}

// efforts are those of all rounds: files per second, and microseconds of processor for each.
type efforts struct{ rate, tracker, nodes, database []float64 }

func (all *efforts) add(e effort) {
	each := func(seconds float64) float64 { return seconds / filesEach * 1e6 }
	all.rate = append(all.rate, filesEach/e.took.Seconds())
	all.tracker, all.nodes = append(all.tracker, each(e.tracker)), append(all.nodes, each(e.nodes))
	all.database = append(all.database, each(e.database))
}

// measured has work begun, and measures until a count is 0.
func (j *jobs) measured(ctx context.Context, begin func() error, left string) (e effort, err error) {
	before, err := j.used()
	if err != nil {
		return e, err
	}
	began := time.Now()
	if err := begin(); err != nil {
		return e, err
	}
	if err := j.untilNone(ctx, left); err != nil {
		return e, err
	}
	e.took = time.Since(began)
	after, err := j.used()
	e.tracker, e.nodes, e.database = after[0]-before[0], after[1]-before[1], after[2]-before[2]
	return e, err
}

// take is the next so many fids.
func (j *jobs) take(n int) span {
	r := span{j.next, j.next + n - 1}
	j.next += n
	return r
}

// replicate is timed from when the workers are let go until the queue is empty.
func (j *jobs) replicate(ctx context.Context) (e effort, err error) {
	r := j.take(filesEach)
	if err := j.hold("replicate"); err != nil {
		return e, err
	}
	if err := j.prepare(ctx, r, 1, true, "file_to_replicate"); err != nil {
		return e, err
	}
	if e, err = j.measured(ctx, func() error { return j.release("replicate") }, replicateQueue); err != nil {
		return e, err
	}
	j.last = r
	return e, j.wantNone(ctx, "files without two copies",
		"SELECT COUNT(*) FROM file WHERE devcount <> 2 OR 2 <> (SELECT COUNT(*) FROM file_on o WHERE o.fid = file.fid)")
}

const (
	replicateQueue = "SELECT COUNT(*) FROM file_to_replicate"
	fsckQueue      = "SELECT COUNT(*) FROM file_to_queue WHERE type = 1"
	deleteQueue    = "SELECT COUNT(*) FROM file_to_delete2"
	// uncheckedFiles is those in the queue, and those that are still to be queued while a check is on.
	uncheckedFiles = "SELECT (" + fsckQueue + ") + (SELECT COUNT(*) FROM file WHERE" +
		" fid > (SELECT COALESCE(MAX(CAST(value AS DECIMAL)), 0) FROM server_settings WHERE field = 'fsck_highest_fid_checked')" +
		" AND fid <= (SELECT COALESCE(MAX(CAST(value AS DECIMAL)), 0) FROM server_settings WHERE field = 'fsck_fid_at_end'))"
	// unchecked is 0 when no file is left to be queued, and none is in the queue.
	unchecked = "SELECT (SELECT COUNT(*) FROM server_settings WHERE field = 'fsck_host' AND value <> '') + (" + fsckQueue + ")"
)

// fsck checks what was replicated last. It is timed from its start until no file is left to be
// queued, and none in the queue.
func (j *jobs) fsck(ctx context.Context, checksum string) (effort, error) {
	e, err := j.measured(ctx, func() error { return j.startFsck(checksum) }, unchecked)
	if err != nil {
		return e, err
	}
	return e, j.wantNone(ctx, "faults found in files that have none", "SELECT COUNT(*) FROM fsck_log")
}

func (j *jobs) startFsck(checksum string) error {
	for _, line := range []string{
		"set_server_setting key=fsck_checksum&value=" + checksum,
		fmt.Sprintf("fsck_reset startpos=%d", j.last.first-1),
		"fsck_start",
	} {
		if _, err := j.do(line); err != nil {
			return err
		}
	}
	return nil
}

// remove is timed from when the workers are let go until the queue is empty.
func (j *jobs) remove(ctx context.Context) (e effort, err error) {
	r := j.take(filesEach)
	if err := j.hold("delete"); err != nil {
		return e, err
	}
	if err := j.prepare(ctx, r, 2, false, "file_to_delete2"); err != nil {
		return e, err
	}
	if e, err = j.measured(ctx, func() error { return j.release("delete") }, deleteQueue); err != nil {
		return e, err
	}
	return e, j.wantNone(ctx, "copies left", fmt.Sprintf("SELECT COUNT(*) FROM file_on WHERE fid BETWEEN %d AND %d", r.first, r.last))
}
