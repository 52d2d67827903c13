package main

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"
)

const (
	// readersMeanwhile ask once each readEvery: as many requests as a site of some
	// size has, which leave the processors time for something else.
	readersMeanwhile = 8
	readEvery        = 20 * time.Millisecond
	// filesRead is how many files they ask for: few enough to have all read once before, so
	// that the edge knows all of them both times. It forgets within a minute.
	filesRead = 1000
	// busyFiles is how many files wait for each job while reading is measured: more than
	// any of them is through with meanwhile.
	busyFiles = 40_000
	// copiesEvery is how often it is asked whether a second copy is there.
	copiesEvery = time.Millisecond
)

// untilTwoCopies times uploads, one at a time, from the answer to create_close until the
// database has the second copy.
func (j *jobs) untilTwoCopies(ctx context.Context) error {
	if err := j.release("replicate", "delete"); err != nil {
		return err
	}
	took := new(latencies)
	for n := range uploadsEach {
		fid, err := j.upload(ctx, fmt.Sprintf("idle/%d", n))
		if err != nil {
			return err
		}
		closed := time.Now()
		if err := j.awaitSecondCopy(ctx, fid); err != nil {
			return err
		}
		took.add(time.Since(closed))
	}
	fmt.Printf("| %s, %d uploads | %.1f ms | %.1f ms | < %v |\n", untilTwoCopies, uploadsEach,
		took.quantile(0.5).Seconds()*1e3, took.quantile(0.99).Seconds()*1e3, twoCopiesAim)
	return nil
}

func (j *jobs) awaitSecondCopy(ctx context.Context, fid string) error {
	again := time.NewTicker(copiesEvery)
	defer again.Stop()
	for asked := time.Now(); time.Since(asked) < readyWithin; <-again.C {
		n, err := j.number(ctx, "SELECT COUNT(*) FROM file_on WHERE fid = "+fid)
		if err != nil || n == 2 {
			return err
		}
	}
	return fmt.Errorf("fid %s has no second copy after %v", fid, readyWithin)
}

// upload stores a small file.
func (j *jobs) upload(ctx context.Context, key string) (fid string, err error) {
	opened, err := j.do("create_open domain=images&class=pair&key=" + key)
	if err != nil {
		return "", err
	}
	fid, to := opened.Get("fid"), opened.Get("path")
	if err := put(ctx, http.DefaultTransport, to, smallBody); err != nil {
		return "", err
	}
	_, err = j.do(fmt.Sprintf("create_close domain=images&class=pair&key=%s&fid=%s&devid=%s&size=%d&path=%s",
		key, fid, opened.Get("devid"), smallFile, to))
	return fid, err
}

// readingMeanwhile compares reads through the edge on an idle cluster with those while all
// jobs are busy.
func (j *jobs) readingMeanwhile(ctx context.Context, o options) error {
	if err := j.readAll(ctx); err != nil {
		return err
	}
	alone, meanwhile := new(latencies), new(latencies)
	if err := j.reads(ctx, o.each, alone); err != nil {
		return err
	}
	if err := j.busy(ctx); err != nil {
		return err
	}
	if err := j.readAll(ctx); err != nil { // the edge has forgotten meanwhile
		return err
	}
	before, err := j.backlog(ctx)
	if err != nil {
		return err
	}
	began := time.Now()
	if err := j.reads(ctx, o.each, meanwhile); err != nil {
		return err
	}
	after, err := j.backlog(ctx)
	if err != nil {
		return err
	}
	took := time.Since(began)
	for _, line := range []struct {
		name string
		took *latencies
		aim  string
	}{
		{readingMeanwhile + " alone", alone, ""},
		{readingMeanwhile + " while all jobs run", meanwhile, fmt.Sprintf("p50 < %.0f times that alone", slowdownAim)},
	} {
		fmt.Printf("| %s, %d readers, every %v | %.2f ms | %.2f ms | %s |\n", line.name, readersMeanwhile, readEvery,
			line.took.quantile(0.5).Seconds()*1e3, line.took.quantile(0.99).Seconds()*1e3, line.aim)
	}
	fmt.Printf("\nWhile all jobs run the median GET is slower by %.2f.", float64(meanwhile.quantile(0.5))/float64(alone.quantile(0.5)))
	for i, q := range backlogs {
		if after[i] == 0 {
			fmt.Printf(" In the end there was no work left for %s: the figure is too good.", q.job)
		}
		fmt.Printf(" %s did %.0f files/s.", q.job, float64(before[i]-after[i])/took.Seconds())
	}
	fmt.Println()
	return j.rest()
}

// busy gives all jobs more to do than they can be through with soon.
func (j *jobs) busy(ctx context.Context) error {
	if err := j.hold("replicate", "delete", "fsck"); err != nil {
		return err
	}
	checked := j.take(busyFiles)
	if err := j.prepare(ctx, checked, 2, true, ""); err != nil {
		return err
	}
	if err := j.prepare(ctx, j.take(busyFiles), 2, false, "file_to_delete2"); err != nil {
		return err
	}
	read := j.last
	j.last = checked
	if err := j.startFsck("MD5"); err != nil {
		return err
	}
	j.last = read
	// These come last, as a check of files that lack a copy would only queue them.
	if err := j.prepare(ctx, j.take(busyFiles), 1, true, "file_to_replicate"); err != nil {
		return err
	}
	return j.release("replicate", "delete", "fsck")
}

// backlogs is what each job has left to do.
var backlogs = []struct{ job, query string }{
	{"replicate", replicateQueue}, {"fsck", uncheckedFiles}, {"delete", deleteQueue},
}

// backlog is how many files are left for each of them.
func (j *jobs) backlog(ctx context.Context) (left []int, err error) {
	for _, q := range backlogs {
		n, err := j.number(ctx, q.query)
		if err != nil {
			return nil, err
		}
		left = append(left, n)
	}
	return left, nil
}

// rest ends the work, so that the processes can end.
func (j *jobs) rest() error {
	if err := j.hold("replicate", "delete", "fsck"); err != nil {
		return err
	}
	_, err := j.operate("!want 0 job_master")
	return err
}

// reads has readers get files that were replicated, for so long.
func (j *jobs) reads(ctx context.Context, d time.Duration, took *latencies) error {
	via := &http.Transport{MaxIdleConnsPerHost: readersMeanwhile}
	defer via.CloseIdleConnections()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var mu sync.Mutex // guards took
	var readers sync.WaitGroup
	began := time.Now()
	for range readersMeanwhile {
		readers.Go(func() {
			tick := time.NewTicker(readEvery)
			defer tick.Stop()
			for time.Since(began) < d && ctx.Err() == nil {
				<-tick.C
				asked := time.Now()
				if err := j.read(ctx, via, j.last.first+rand.IntN(filesRead)); err != nil {
					cancel(err)
					return
				}
				mu.Lock()
				took.add(time.Since(asked))
				mu.Unlock()
			}
		})
	}
	readers.Wait()
	return context.Cause(ctx)
}

// readAll reads each of the files that readers ask for, so that the edge knows where they are.
func (j *jobs) readAll(ctx context.Context) error {
	via := &http.Transport{}
	defer via.CloseIdleConnections()
	for fid := j.last.first; fid < j.last.first+filesRead; fid++ {
		if err := j.read(ctx, via, fid); err != nil {
			return err
		}
	}
	return nil
}

func (j *jobs) read(ctx context.Context, via http.RoundTripper, fid int) error {
	url := "http://" + j.edge + "/" + clusterKey(fid)
	body, err := get(ctx, via, url)
	if err == nil && !bytes.Equal(body, smallBody) {
		err = fmt.Errorf("get %s: %d bytes that are not the file's", url, len(body))
	}
	return err
}
