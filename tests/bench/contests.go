package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
)

const (
	readers   = 64 // as many as the figures of other servers are quoted for
	uploaders = 64
	smallFile = 4 << 10
)

func (s *servers) contests() []contest {
	caddy, nginx := s.running[0].Process.Pid, s.running[1].Process.Pid
	return []contest{
		{"GET a 30 KiB file", "requests", readers, []rival{
			{name: "mogilefs, local copy", measure: wrk(readers, "http://"+s.edge+"/aqua.jpg"), server: caddy},
			{name: "Caddy file_server", measure: wrk(readers, "http://"+s.files+"/aqua.jpg"), server: caddy, aim: 1.7},
			{name: "nginx static", measure: wrk(readers, "http://"+s.nginx+"/aqua.jpg"), server: nginx},
			{name: "Caddy respond, from memory", measure: wrk(readers, "http://"+s.respond+"/aqua.jpg"), server: caddy, aim: 0.85},
		}},
		{"GET 30 KiB from memory", "requests", readers, []rival{
			{name: "mogilefs, content cache", measure: wrk(readers, "http://"+s.cached+"/aqua.jpg"), server: caddy},
			{name: "Caddy respond", measure: wrk(readers, "http://"+s.respond+"/aqua.jpg"), server: caddy, aim: 0.95},
		}},
		{"durable upload of 4 KiB", "files", uploaders, []rival{
			{name: "mogilefs, one copy", measure: uploadsTo(s.edge, smallFile), server: caddy},
			{name: bareName, measure: bareFiles(s.dir, uploaders)},
		}},
	}
}

// together has n workers repeat step until the time is up and returns how many
// steps a second all of them made.
func together(ctx context.Context, n int, d time.Duration, step func(ctx context.Context, worker, i int) error) (float64, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var done atomic.Int64
	var workers sync.WaitGroup
	began := time.Now()
	for w := range n {
		workers.Go(func() {
			for i := 0; time.Since(began) < d && ctx.Err() == nil; i++ {
				if err := step(ctx, w, i); err != nil {
					cancel(err)
					return
				}
				done.Add(1)
			}
		})
	}
	workers.Wait()
	return float64(done.Load()) / time.Since(began).Seconds(), context.Cause(ctx)
}

// timed is together that looks at the clock around each step.
func timed(ctx context.Context, n int, d time.Duration, step func(ctx context.Context, worker, i int) error) (outcome, error) {
	var mu sync.Mutex // guards took
	took := new(latencies)
	perSecond, err := together(ctx, n, d, func(ctx context.Context, w, i int) error {
		began := time.Now()
		err := step(ctx, w, i)
		mu.Lock()
		took.add(time.Since(began))
		mu.Unlock()
		return err
	})
	return outcome{perSecond, took}, err
}

// uploadsTo puts files of a size under new keys.
func uploadsTo(edge string, size int) func(context.Context, time.Duration) (result, error) {
	body := make([]byte, size)
	return func(ctx context.Context, d time.Duration) (result, error) {
		via := &http.Transport{MaxIdleConnsPerHost: uploaders}
		defer via.CloseIdleConnections()
		run := time.Now().UnixNano()
		got, err := timed(ctx, uploaders, d, func(ctx context.Context, w, i int) error {
			return put(ctx, via, fmt.Sprintf("http://%s/%d/%d/%d.jpg", edge, run, w, i), body)
		})
		return got.result(), err
	}
}

const bareName = "bare files: write, sync, rename, sync directory"

// bareFiles does what any store must do at least for a durable file. The files are left
// where they are, as those of puts.
func bareFiles(under string, n int) func(context.Context, time.Duration) (result, error) {
	return func(ctx context.Context, d time.Duration) (result, error) {
		dir, err := os.MkdirTemp(under, "bare")
		if err != nil {
			return result{}, err
		}
		got, err := timed(ctx, n, d, func(_ context.Context, w, i int) error {
			return writeBare(filepath.Join(dir, fmt.Sprintf("%d-%d", w, i)), smallBody)
		})
		return got.result(), err
	}
}

func writeBare(path string, body []byte) error {
	f, err := os.Create(path + ".tmp")
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Write(body); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := os.Rename(path+".tmp", path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}
