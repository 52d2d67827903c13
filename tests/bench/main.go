// Command bench measures caddy-mogilefs, and prints the tables of docs/performance.md.
//
// It builds cmd/caddy and measures, each time in turns, so that a busy moment of the
// machine hits all alike; a figure is the median of several rounds:
//
//   - http: reads and durable uploads through the edge, beside Caddy's file_server, nginx
//     and bare files, over the same bytes. All sites have one handler and no access log;
//   - edge: reads of a copy on a node in another process, beside Caddy's reverse_proxy to it;
//     reads of keys that no cache knows, each once; and uploads of pictures: on the first of
//     the databases, with a hundred thousand files;
//   - watched: what it costs to be watched: the same reads with metrics scraped every second, when nobody
//     looks, and in a build that counts nothing; and with one trace in a hundred, beside Caddy's tracing
//     in that build;
//   - storage: reads of files of four sizes, and of a part of each, from a storage node,
//     beside nginx, Caddy's file_server and respond, and a server that is Go's standard
//     library and nothing else; and uploads to it, durable ones beside bare files, others
//     beside nginx's WebDAV;
//   - tracker: the commands of the line protocol on private databases that flush at
//     every commit, with a hundred thousand files. The figures of MogileFS-Server 2.73
//     stand beside them;
//   - jobs: what the background jobs do in a second, how soon an upload has its second
//     copy, and how much slower reading is meanwhile; on MariaDB, with three storage
//     nodes of two devices in a process of their own, and everything as it is by default;
//   - import: how fast caddy mogilefs import brings small files, also when it is killed twice
//     on the way, beside the upload path on the same installation; -files is how many it
//     brings;
//   - metadata: what a file costs in the tables, an operation at the database, and a location
//     in memory, for docs/scale.md;
//   - growth: get_paths and list_keys with ten million files, and with a hundred thousand
//     beside them. It takes some minutes and some gigabytes for each database.
//
// Databases and devices are in the directory that -dir names, on a file system with a
// journal. One without is given an image, as root.
//
// The load runs on the same processors and takes its share of them; the processor time
// that a server spent on a request tells more of the server alone.
//
// It needs wrk, nginx, MariaDB and PostgreSQL, and is no test: nothing fails when a
// number is low.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// options is what the command line says.
type options struct {
	rounds   int
	each     time.Duration
	dir      string
	parts    []string
	engines  []*engine
	only     *regexp.Regexp
	files    int
	rows     int
	profiles string
}

func parseOptions() (o options, err error) {
	flag.IntVar(&o.rounds, "rounds", 5, "how often each is measured")
	flag.DurationVar(&o.each, "time", 3*time.Second, "how long each measurement takes")
	flag.StringVar(&o.dir, "dir", os.TempDir(), "where databases and devices are made: on a disk with a journal")
	parts := flag.String("parts", "http,edge,watched,storage,tracker,jobs", "what is measured: http, edge, watched, storage, tracker, jobs, import, metadata, growth")
	on := flag.String("on", "mariadb,sqlite,postgresql", "the databases of the trackers")
	only := flag.String("only", "", "the work of nodes, trackers and jobs whose name matches")
	flag.IntVar(&o.files, "files", 100_000, "how many files a tracker has, or an import brings")
	flag.IntVar(&o.rows, "rows", 10_000_000, "how many files a tracker has grown to")
	flag.StringVar(&o.profiles, "profile", "", "a directory for profiles of nodes and trackers, one for each work")
	flag.Parse()
	o.parts = strings.Split(*parts, ",")
	for _, part := range o.parts {
		if measures[part] == nil {
			return o, fmt.Errorf("unknown part %q: want some of http, edge, watched, storage, tracker, jobs, import, metadata, growth", part)
		}
	}
	if o.engines, err = enginesOf(*on); err != nil {
		return o, err
	}
	o.only, err = regexp.Compile(*only)
	return o, err
}

func main() {
	o, err := parseOptions()
	if err == nil {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
		defer stop()
		err = run(ctx, o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) (err error) {
	dir, remove, err := workplace(ctx, o.dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()
	caddy, err := build(ctx, dir, "caddy", "./cmd/caddy")
	if err != nil {
		return err
	}
	for _, part := range o.parts {
		if err := measures[part](ctx, o, filepath.Join(dir, part), caddy); err != nil {
			return err
		}
		fmt.Println()
	}
	return nil
}

// measures is the parts by name.
var measures = map[string]func(ctx context.Context, o options, dir, caddy string) error{
	"http": measureHTTP, "edge": measureEdge, "watched": measureWatched, "storage": measureStorage, "tracker": measureTracker, "jobs": measureJobs, "import": measureImport,
	"growth": measureGrowth, "metadata": measureMetadata,
}

func measureHTTP(ctx context.Context, o options, dir, caddy string) error {
	s, err := startServers(ctx, dir, caddy)
	if err != nil {
		return err
	}
	defer s.stop()
	printHead()
	for _, c := range s.contests() {
		if err := c.play(ctx, o.rounds, o.each); err != nil {
			return fmt.Errorf("%s: %w", c.work, err)
		}
	}
	return nil
}

func measureTracker(ctx context.Context, o options, dir, caddy string) error {
	r, err := startRace(ctx, o, dir, caddy)
	if err != nil {
		return err
	}
	return errors.Join(r.run(ctx), r.stop())
}
