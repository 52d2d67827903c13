package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/mogilefs/caddy-mogilefs/mogile"
)

const (
	// largeFrom is the size from which the load throws the bytes away unseen, since
	// reading them would take it longer than sending them takes the server.
	largeFrom = 1 << 20
	// hugeFrom is the size from which there are few connections: all of them are to
	// end one answer at least.
	hugeFrom, hugeReaders = 1 << 30, 4
)

// Aims: how many times as much as a rival ours should do.
const (
	aimFileServer = 1.7
	aimRespond    = 0.9
	aimBareRead   = 0.85
	aimBareWrite  = 0.7
	aimDAV        = 0.8
)

func measureStorage(ctx context.Context, o options, dir, caddy string) error {
	s, err := startNodeServers(ctx, dir, caddy)
	if err != nil {
		return err
	}
	defer s.stop()
	printHead()
	for _, c := range s.contests() {
		if !o.only.MatchString(c.work) {
			continue
		}
		if err := c.play(ctx, o.rounds, o.each); err != nil {
			return fmt.Errorf("%s: %w", c.work, err)
		}
		if err := c.profile(ctx, o.profiles, s.admin); err != nil {
			return fmt.Errorf("%s: %w", c.work, err)
		}
	}
	return nil
}

func (s *nodeServers) contests() []contest {
	var all []contest
	for _, f := range served {
		all = append(all, s.reading(f), s.ranging(f))
	}
	for _, n := range []int{16, 64} {
		all = append(all, contest{"durable PUT of 4 KiB", "files", n, []rival{
			{name: "mogilefs_storage", measure: puts(n, s.node, ""), server: s.pid(s.caddyAt)},
			{name: bareName, measure: bareFiles(s.dir, n), aim: aimBareWrite},
		}})
	}
	for _, n := range []int{16, 64} {
		all = append(all, contest{"PUT of 4 KiB, durable off", "files", n, []rival{
			{name: "mogilefs_storage", measure: puts(n, s.fast, ""), server: s.pid(s.caddyAt)},
			{name: "nginx dav", measure: puts(n, s.nginx, "/up"), server: s.pid(s.nginxAt), aim: aimDAV},
		}})
	}
	return all
}

// reading is the whole file.
func (s *nodeServers) reading(f servedFile) contest {
	c := s.getting("GET "+f.name, f)
	if addr := s.respond[f.size]; addr != "" {
		c.rivals = append(c.rivals, rival{
			name: "Caddy respond", measure: wrk(c.connections, "http://"+addr+"/"), server: s.pid(s.caddyAt), aim: aimRespond,
		})
	}
	return c
}

// ranging is half of the file, from its middle.
func (s *nodeServers) ranging(f servedFile) contest {
	first, last := f.size/4, f.size*3/4-1
	return s.getting("GET half of "+f.name, f, fmt.Sprintf("Range: bytes=%d-%d", first, last))
}

func (s *nodeServers) getting(work string, f servedFile, headers ...string) contest {
	n, load := readers, wrk
	if f.size >= largeFrom {
		load = download
	}
	if f.size >= hugeFrom {
		n = hugeReaders
	}
	get := func(addr string) func(context.Context, time.Duration) (result, error) {
		return load(n, "http://"+addr+f.path(), headers...)
	}
	c := contest{work, "requests", n, []rival{
		{name: "mogilefs_storage", measure: get(s.node), server: s.pid(s.caddyAt)},
		{name: "Caddy file_server", measure: get(s.files), server: s.pid(s.caddyAt)},
		{name: "bare Go server", measure: get(s.bare), server: s.pid(s.bareAt)},
		{name: "nginx static", measure: get(s.nginx), server: s.pid(s.nginxAt)},
	}}
	if f.size >= largeFrom {
		c.rivals[2].aim = aimBareRead
	} else {
		c.rivals[1].aim = aimFileServer
	}
	return c
}

// putRuns tells the fids of one load from those of another.
var putRuns atomic.Int64

// fidsOfRun is how many fids have a directory of their own at the second level.
const fidsOfRun = 1_000_000

// puts has n connections store new files under a prefix of a server, fid after fid,
// as trackers hand them out. They are left where they are: ext4 steps over each inode
// that was freed a short time ago when it looks for one, which would slow down whoever is next.
func puts(n int, addr, prefix string) func(context.Context, time.Duration) (result, error) {
	return func(ctx context.Context, d time.Duration) (result, error) {
		conns := make([]*storer, n)
		for w := range conns {
			var err error
			if conns[w], err = dialStorer(ctx, addr); err != nil {
				return result{}, err
			}
			defer conns[w].close()
		}
		first := putRuns.Add(1) * fidsOfRun
		var fids atomic.Int64
		got, err := timed(ctx, n, d, func(_ context.Context, w, _ int) error {
			fid := mogile.FID(first + fids.Add(1))
			return conns[w].put(prefix + fid.Path(1))
		})
		return got.result(), err
	}
}
