package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
)

// installation is a tracker on a database of its own, with a storage node of two
// devices, both in one process.
type installation struct {
	programs
	engine                              *engine
	dsn                                 string
	root                                string // of the devices
	tracker, node, management, adminAPI string
	edge                                string
	// pictures stay as they are; doomed are to be deleted.
	pictures, doomed files
}

// install makes an installation with so many files, whose contents are there when
// onDisk says so, and starts it.
//
// Order: the tracker makes its tables and registers its devices, and ends; the tables
// are filled; the tracker starts again, as on a database that it finds.
func install(ctx context.Context, caddy string, e *engine, pictures, doomed int, onDisk bool) (*installation, error) {
	dsn, err := e.create()
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(e.dir, fmt.Sprintf("tracker%d", e.made))
	i := &installation{
		programs: programs{dir: dir}, engine: e, dsn: dsn, root: filepath.Join(dir, "storage"),
		pictures: files{"pictures", firstFID, firstFID + pictures - 1},
		doomed:   files{"doomed", firstFID + pictures, firstFID + pictures + doomed - 1},
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	if err := freeAddrs(&i.tracker, &i.node, &i.management, &i.adminAPI, &i.edge); err != nil {
		return nil, err
	}
	if err := i.run(ctx, caddy); err != nil {
		return nil, err
	}
	i.stop()
	if err := i.fill(ctx, i.pictures, i.doomed); err != nil {
		return nil, fmt.Errorf("fill: %w", err)
	}
	if onDisk {
		if err := i.store(ctx, i.pictures, i.doomed); err != nil {
			return nil, fmt.Errorf("store: %w", err)
		}
	}
	return i, i.run(ctx, caddy)
}

// run starts the process and waits until it takes uploads.
func (i *installation) run(ctx context.Context, caddy string) error {
	err := i.startCaddy(ctx, caddy, i.caddyfile())
	if err == nil {
		err = await(ctx, "first upload", func(ctx context.Context) error {
			u, err := i.newUploader(ctx)
			if err != nil {
				return err
			}
			defer u.close()
			return u.upload("first")
		})
	}
	if err != nil {
		i.stop()
	}
	return err
}

func (i *installation) caddyfile() string {
	return fmt.Sprintf(`{
	admin %[1]s
	persist_config off
	log {
		level ERROR
	}
	mogilefs {
		tracker {
			listen %[2]s
			database %[3]s "%[4]s"
			setting mogstored_stream_port %[5]s
		}
		storage node1 {
			root %[6]s
			devices 1 2
			address %[7]s
			management %[8]s
			register
		}
		domain images {
			class single 1
			class pair 2
		}
	}
}
http://%[7]s {
	mogilefs_storage node1
}
http://%[9]s {
	mogilefs images {
		methods GET PUT
		class single
	}
}
`, i.adminAPI, i.tracker, i.engine.word, i.dsn, port(i.management), i.root, i.node, i.management, i.edge)
}

func port(addr string) string { return addr[strings.LastIndexByte(addr, ':')+1:] }

// pid is the process of the tracker.
func (i *installation) pid() int { return i.running[0].Process.Pid }

// want sets how many workers a job has.
func (i *installation) want(ctx context.Context, n int, job string) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", i.tracker)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := fmt.Fprintf(conn, "!want %d %s\r\n", n, job); err != nil {
		return err
	}
	answer, err := bufio.NewReader(conn).ReadString('\n')
	if err == nil && !strings.HasPrefix(answer, "Now desiring ") {
		err = fmt.Errorf("!want %d %s: got %q", n, job, answer)
	}
	return err
}
