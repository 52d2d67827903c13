package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
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
	wrk := func(url string) func(context.Context, time.Duration) (float64, error) {
		return func(ctx context.Context, d time.Duration) (float64, error) { return runWrk(ctx, url, d) }
	}
	caddy, nginx := s.running[0].Process.Pid, s.running[1].Process.Pid
	return []contest{
		{"GET a 30 KiB file", "requests", []rival{
			{"mogilefs, local copy", wrk("http://" + s.edge + "/aqua.jpg"), caddy},
			{"Caddy file_server", wrk("http://" + s.files + "/aqua.jpg"), caddy},
			{"nginx static", wrk("http://" + s.nginx + "/aqua.jpg"), nginx},
		}},
		{"GET 30 KiB from memory", "requests", []rival{
			{"mogilefs, content cache", wrk("http://" + s.cached + "/aqua.jpg"), caddy},
			{"Caddy respond", wrk("http://" + s.respond + "/aqua.jpg"), caddy},
		}},
		{"durable upload of 4 KiB, 64 at a time", "files", []rival{
			{"mogilefs, one copy", s.uploads, caddy},
			{"bare files: write, sync, rename, sync directory", s.bareFiles, 0},
		}},
	}
}

var perSecond = regexp.MustCompile(`Requests/sec:\s+([0-9.]+)`)

func runWrk(ctx context.Context, url string, d time.Duration) (float64, error) {
	out, err := exec.CommandContext(ctx, "wrk", "-t1", "-c"+strconv.Itoa(readers), "-d"+d.String(), url).CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("wrk: %w: %s", err, out)
	}
	m := perSecond.FindSubmatch(out)
	if m == nil || strings.Contains(string(out), "Non-2xx") || strings.Contains(string(out), "Socket errors") {
		return 0, fmt.Errorf("wrk %s: %s", url, out)
	}
	return strconv.ParseFloat(string(m[1]), 64)
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

// uploads puts small files under new keys.
func (s *servers) uploads(ctx context.Context, d time.Duration) (float64, error) {
	body := make([]byte, smallFile)
	via := &http.Transport{MaxIdleConnsPerHost: uploaders}
	defer via.CloseIdleConnections()
	run := time.Now().UnixNano()
	return together(ctx, uploaders, d, func(ctx context.Context, w, i int) error {
		return put(ctx, via, fmt.Sprintf("http://%s/%d/%d/%d.jpg", s.edge, run, w, i), body)
	})
}

// bareFiles does what any store must do at least for a durable file.
func (s *servers) bareFiles(ctx context.Context, d time.Duration) (float64, error) {
	body := make([]byte, smallFile)
	dir, err := os.MkdirTemp(s.dir, "bare")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	return together(ctx, uploaders, d, func(_ context.Context, w, i int) error {
		return writeBare(filepath.Join(dir, fmt.Sprintf("%d-%d", w, i)), body)
	})
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
