package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"
)

// front is a process that has no files: an edge, and beside it Caddy's reverse_proxy to the
// node that has them.
type front struct {
	programs
	edge, proxy string
}

// measureEdge prints what the edge does where the local copy of one picture is no help.
func measureEdge(ctx context.Context, o options, dir, caddy string) (err error) {
	e := o.engines[0]
	if err := e.open(ctx, dir); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.close()) }()
	i, err := install(ctx, caddy, e, o.files, 0, true)
	if err != nil {
		return err
	}
	defer i.stop()
	f, err := i.startFront(ctx, caddy, filepath.Join(dir, "front"))
	if err != nil {
		return err
	}
	defer f.stop()
	pid := f.running[0].Process.Pid
	printHead()
	for _, c := range []contest{
		{"GET 30 KiB from another process's node", "requests", readers, []rival{
			{name: "mogilefs", measure: wrk(readers, "http://"+f.edge+"/aqua.jpg"), server: pid},
			{name: "Caddy reverse_proxy", measure: wrk(readers, "http://"+f.proxy+"/aqua.jpg"), server: pid, aim: 1.2},
		}},
		{fmt.Sprintf("GET 1 KiB, %d keys in no order, each once, %s", i.pictures.count(), e.name), "requests", readers, []rival{
			{name: "mogilefs, local copy", measure: i.coldReads(), server: i.pid()},
		}},
		{"durable upload of 30 KiB, " + e.name, "files", uploaders, []rival{
			{name: "mogilefs, one copy", measure: uploadsTo(i.edge, pictureSize), server: i.pid()},
		}},
	} {
		if !o.only.MatchString(c.work) {
			continue
		}
		if err := c.play(ctx, o.rounds, o.each); err != nil {
			return fmt.Errorf("%s: %w", c.work, err)
		}
	}
	return nil
}

// startFront uploads a picture and starts what reads it from afar.
func (i *installation) startFront(ctx context.Context, caddy, dir string) (*front, error) {
	picture := make([]byte, pictureSize)
	for n := range picture {
		picture[n] = byte(rand.Uint32())
	}
	if err := put(ctx, http.DefaultTransport, "http://"+i.edge+"/aqua.jpg", picture); err != nil {
		return nil, err
	}
	at, err := i.pathOf(ctx, "aqua.jpg")
	if err != nil {
		return nil, err
	}
	f := &front{programs: programs{dir: dir}}
	if err := errors.Join(os.MkdirAll(dir, 0o755), freeAddrs(&f.edge, &f.proxy)); err != nil {
		return nil, err
	}
	if err := f.startCaddy(ctx, caddy, f.caddyfile(i.tracker, at)); err != nil {
		return nil, err
	}
	err = await(ctx, "front", func(ctx context.Context) error {
		_, err := get(ctx, http.DefaultTransport, "http://"+f.edge+"/aqua.jpg")
		if err == nil {
			_, err = get(ctx, http.DefaultTransport, "http://"+f.proxy+"/aqua.jpg")
		}
		return err
	})
	if err != nil {
		f.stop()
		return nil, err
	}
	return f, nil
}

// pathOf is where the node has a key.
func (i *installation) pathOf(ctx context.Context, key string) (*url.URL, error) {
	u, err := i.newUploader(ctx)
	if err != nil {
		return nil, err
	}
	defer u.close()
	u.line = fmt.Appendf(u.line[:0], "get_paths domain=images&key=%s&noverify=1\r\n", key)
	found, err := u.ask()
	if err != nil {
		return nil, err
	}
	return url.Parse(value(found, "path1"))
}

func (f *front) caddyfile(tracker string, at *url.URL) string {
	return fmt.Sprintf(`{
	admin off
	persist_config off
	log {
		level ERROR
	}
}
http://%s {
	mogilefs images {
		tracker %s
	}
}
http://%s {
	rewrite * %s
	reverse_proxy %s
}
`, f.edge, tracker, f.proxy, at.Path, at.Host)
}

// coldReads asks for keys that were not asked for before, until there are none left.
func (i *installation) coldReads() func(context.Context, time.Duration) (result, error) {
	order := rand.New(rand.NewPCG(1, 1)).Perm(i.pictures.count())
	var next atomic.Int64
	return func(ctx context.Context, d time.Duration) (result, error) {
		via := &http.Transport{MaxIdleConnsPerHost: readers}
		defer via.CloseIdleConnections()
		got, err := timed(ctx, readers, d, func(ctx context.Context, _, _ int) error {
			n := int(next.Add(1)) - 1
			if n >= len(order) {
				return fmt.Errorf("all %d keys were asked for: give more -files, fewer -rounds, or less -time", len(order))
			}
			_, err := get(ctx, via, "http://"+i.edge+"/"+i.pictures.key(i.pictures.first+order[n]))
			return err
		})
		return got.result(), err
	}
}

// get returns a body.
func get(ctx context.Context, via http.RoundTripper, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := via.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("get %s: %s %.200s", url, resp.Status, body)
	}
	return body, err
}
