package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

const (
	// scrapeEvery is far more often than anybody scrapes.
	scrapeEvery = time.Second
	// costAim is what is to be left of the requests: watching may cost a twentieth.
	costAim = 0.95
)

// watched is our Caddy several times, each with a store of its own.
type watched struct {
	// scraped is as it is; alone is the same, when nobody looks; idle is built so that nothing is counted.
	scraped, alone, idle site
	// traced has Caddy's tracing, with one trace in a hundred; idleTraced has it too, and none of our spans.
	traced, idleTraced site

	scraping sync.WaitGroup
	stop     context.CancelFunc
}

// site is one of them: an edge with files on its own disks, and one with a cache of contents.
type site struct {
	programs
	edge, cached, tracker, node string // host:port each
}

// sampled has Caddy make one trace in a hundred, and send it nowhere.
var sampled = []string{"OTEL_TRACES_EXPORTER=none", "OTEL_TRACES_SAMPLER=parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG=0.01"}

func measureWatched(ctx context.Context, o options, dir, caddy string) error {
	idle, err := buildIdle(ctx, dir)
	if err != nil {
		return err
	}
	w := &watched{}
	defer w.close()
	for name, s := range map[string]struct {
		*site
		binary string
		env    []string
	}{
		"scraped": {&w.scraped, caddy, nil}, "alone": {&w.alone, caddy, nil}, "idle": {&w.idle, idle, nil},
		"traced": {&w.traced, caddy, sampled}, "idle traced": {&w.idleTraced, idle, sampled},
	} {
		s.dir, s.programs.env = filepath.Join(dir, strings.ReplaceAll(name, " ", "-")), s.env
		if err := s.open(ctx, s.binary); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	ctx, w.stop = context.WithCancel(ctx)
	w.scraping.Go(func() { scrapeAll(ctx, w.scraped.edge) })
	printHead()
	for _, c := range w.contests() {
		if err := c.play(ctx, o.rounds, o.each); err != nil {
			return fmt.Errorf("%s: %w", c.work, err)
		}
	}
	return nil
}

func (w *watched) contests() []contest {
	file := func(name string, s *site, aim float64) rival {
		return rival{name: name, server: s.running[0].Process.Pid, measure: wrk(readers, "http://"+s.edge+"/aqua.jpg"), aim: aim}
	}
	memory := func(name string, s *site, aim float64) rival {
		return rival{name: name, server: s.running[0].Process.Pid, measure: wrk(readers, "http://"+s.cached+"/aqua.jpg"), aim: aim}
	}
	return []contest{
		{"GET a 30 KiB file", "requests", readers, []rival{
			file("scraped every second", &w.scraped, 0), file("nobody looks", &w.alone, costAim), file("nothing is counted", &w.idle, costAim),
		}},
		{"GET 30 KiB from memory", "requests", readers, []rival{
			memory("scraped every second", &w.scraped, 0), memory("nobody looks", &w.alone, costAim), memory("nothing is counted", &w.idle, costAim),
		}},
		{"GET a 30 KiB file, one trace in a hundred", "requests", readers, []rival{
			file("with our spans", &w.traced, 0), file("Caddy's tracing, nothing of ours", &w.idleTraced, costAim), file("no tracing, nothing counted", &w.idle, 0),
		}},
	}
}

func (w *watched) close() {
	if w.stop != nil {
		w.stop()
	}
	w.scraping.Wait()
	for _, s := range []*site{&w.scraped, &w.alone, &w.idle, &w.traced, &w.idleTraced} {
		s.programs.stop()
	}
}

// scrapeAll scrapes until ctx is over.
func scrapeAll(ctx context.Context, addr string) {
	again := time.NewTicker(scrapeEvery)
	defer again.Stop()
	for {
		select {
		case <-again.C:
		case <-ctx.Done():
			return
		}
		if err := scrapeOnce(ctx, addr); err != nil && ctx.Err() == nil {
			fmt.Fprintln(os.Stderr, "scrape:", err)
		}
	}
}

func scrapeOnce(ctx context.Context, addr string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/metrics", nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && !strings.Contains(string(text), "caddy_mogilefs_edge_requests_total") {
		err = fmt.Errorf("got %d %.100q; want metrics", resp.StatusCode, text)
	}
	return err
}

// open starts the site and stores the picture.
func (s *site) open(ctx context.Context, caddy string) error {
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return err
	}
	if err := freeAddrs(&s.edge, &s.cached, &s.tracker, &s.node); err != nil {
		return err
	}
	tracing := ""
	if len(s.programs.env) > 0 {
		tracing = "tracing"
	}
	err := s.startCaddy(ctx, caddy, fmt.Sprintf(`{
	admin off
	persist_config off
	log {
		level ERROR
	}
	mogilefs {
		tracker {
			listen %[1]s
			database sqlite %[2]s/mogilefs.db
		}
		storage node1 {
			root %[2]s/storage
			devices 1
			address %[3]s
			management off
			register
		}
		domain images {
			class single 1
		}
	}
}
http://%[3]s {
	mogilefs_storage node1
}
http://%[4]s {
	metrics /metrics
	%[6]s
	mogilefs images {
		methods GET PUT
		class single
	}
}
http://%[5]s {
	%[6]s
	mogilefs images {
		content_cache 64MiB
	}
}
`, s.tracker, s.dir, s.node, s.edge, s.cached, tracing))
	if err != nil {
		return err
	}
	picture := make([]byte, pictureSize)
	for i := range picture {
		picture[i] = byte(rand.Uint32())
	}
	return await(ctx, "first upload", func(ctx context.Context) error {
		return put(ctx, http.DefaultTransport, "http://"+s.edge+"/aqua.jpg", picture)
	})
}

// idle is functions that do nothing in a Caddy that is built to be compared with: what is put at their
// beginning, by file and by how they begin.
var idle = map[string]map[string]string{
	"tally/counter.go": {
		"func (c *Counter) Add(n int64) { ":                   "if idle() { return }; ",
		"func (h *Histogram) Observe(took time.Duration) {\n": "if idle() { return }\n",
	},
	"caddymodule/spans.go": {
		"about ...attribute.KeyValue) (_ context.Context, end func(error)) {\n":   "if idle() { return ctx, noEnd }\n",
		"what string, dev mogile.DevID) (_ context.Context, end func(error)) {\n": "if idle() { return ctx, noEnd }\n",
	},
}

// buildIdle builds our Caddy with counters that count nothing and spans that are none.
func buildIdle(ctx context.Context, dir string) (binary string, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	replaced := map[string]string{}
	for name, beginnings := range idle {
		text, err := os.ReadFile(name)
		if err != nil {
			return "", err
		}
		changed := string(text) + "\nfunc idle() bool { return true }\n"
		for begin, first := range beginnings {
			if !strings.Contains(changed, begin) {
				return "", fmt.Errorf("%s has no %q any more", name, begin)
			}
			changed = strings.Replace(changed, begin, begin+first, 1)
		}
		original, err := filepath.Abs(name)
		if err != nil {
			return "", err
		}
		replaced[original] = filepath.Join(dir, filepath.Base(name))
		if err := os.WriteFile(replaced[original], []byte(changed), 0o644); err != nil {
			return "", err
		}
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replaced})
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(file, overlay, 0o644); err != nil {
		return "", err
	}
	return build(ctx, dir, "idle", "./cmd/caddy", "-overlay", file)
}
