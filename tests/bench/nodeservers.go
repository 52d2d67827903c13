package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// servedFile is a file of random letters on device 1. Letters, so that a Caddyfile
// can have them too.
type servedFile struct {
	name string // for the table
	size int64
	fid  mogile.FID
}

var served = []servedFile{
	{"4 KiB", 4 << 10, 1},
	{"30 KiB", 30 << 10, 2},
	{"1 MiB", 1 << 20, 3},
	{"1 GiB", 1 << 30, 4},
}

// path is that of the URL and below the root. A picture's name, as file_server
// would look at the bytes of others to tell their type.
func (f servedFile) path() string { return strings.TrimSuffix(f.fid.Path(1), ".fid") + ".jpg" }

// nodeServers is what a storage node is measured beside, all over the same files.
// Caddy has the node, its own two and a node that is not durable; nginx is a reader
// and a WebDAV server; bare is the standard library.
type nodeServers struct {
	programs
	caddyAt, nginxAt, bareAt int // in running
	// Addresses, host:port each.
	node, fast, files, nginx, bare, admin string
	respond                               map[int64]string // by the size of what it answers
}

func startNodeServers(ctx context.Context, dir, caddy string) (_ *nodeServers, err error) {
	if err := needNginx(ctx); err != nil {
		return nil, err
	}
	s := &nodeServers{programs: programs{dir: dir}, respond: make(map[int64]string)}
	var small, middle string
	if err := freeAddrs(&s.node, &s.fast, &s.files, &s.nginx, &s.bare, &s.admin, &small, &middle); err != nil {
		return nil, err
	}
	s.respond[served[0].size], s.respond[served[1].size] = small, middle
	if err := s.writeFiles(); err != nil {
		return nil, err
	}
	bare, err := build(ctx, dir, "bare", "./tests/bench/bare")
	if err != nil {
		return nil, err
	}
	config, err := s.caddyfile()
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.stop()
		}
	}()
	s.caddyAt, s.nginxAt, s.bareAt = 0, 1, 2
	if err := s.startCaddy(ctx, caddy, config); err != nil {
		return nil, err
	}
	if err := s.start(ctx, "nginx", "-c", filepath.Join(dir, "nginx.conf"), "-p", dir); err != nil {
		return nil, err
	}
	if err := s.start(ctx, bare, s.root(), s.bare); err != nil {
		return nil, err
	}
	return s, s.await(ctx)
}

// needNginx says what is missing. wrk says so itself.
func needNginx(ctx context.Context) error {
	for _, name := range []string{"wrk", "nginx"} {
		if _, err := exec.LookPath(name); err != nil {
			return fmt.Errorf("%s is not installed: %w", name, err)
		}
	}
	about, err := exec.CommandContext(ctx, "nginx", "-V").CombinedOutput()
	if err == nil && !bytes.Contains(about, []byte("http_dav_module")) {
		err = errors.New("nginx has no dav module: install one that has, such as Debian's nginx-light")
	}
	return err
}

// root is the root of the durable node, and of all that only read.
func (s *nodeServers) root() string { return filepath.Join(s.dir, "storage") }

func (s *nodeServers) pid(at int) int { return s.running[at].Process.Pid }

func (s *nodeServers) writeFiles() error {
	for _, dir := range []string{"storage/dev1", "fast/dev1", "dav/dev1", "dav/temp"} {
		if err := os.MkdirAll(filepath.Join(s.dir, dir), 0o755); err != nil {
			return err
		}
	}
	// nginx's workers may be another user.
	for _, dir := range []string{"dav", "dav/dev1", "dav/temp"} {
		if err := os.Chmod(filepath.Join(s.dir, dir), 0o777); err != nil {
			return err
		}
	}
	for _, f := range served {
		name := filepath.Join(s.root(), f.path())
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
		if err := writeLetters(name, f.size); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(s.dir, "nginx.conf"), fmt.Appendf(nil, `daemon off;
worker_processes auto;
pid %[1]s/nginx.pid;
error_log %[1]s/nginx.log;
events { worker_connections 1024; }
http {
	access_log off;
	sendfile on;
	tcp_nopush on;
	keepalive_requests 100000000;
	types { image/jpeg jpg; }
	client_body_temp_path %[1]s/dav/temp;
	server {
		listen %[2]s;
		root %[1]s/storage;
		location /up/ {
			alias %[1]s/dav/;
			dav_methods PUT;
			create_full_put_path on;
		}
	}
}
`, s.dir, s.nginx), 0o644)
}

// writeLetters repeats a MiB of letters, and leaves it in the system's memory.
func writeLetters(name string, size int64) error {
	letters := make([]byte, 1<<20)
	for i := range letters {
		letters[i] = 'a' + byte(rand.Uint32()%26)
	}
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	for left := size; left > 0 && err == nil; left -= int64(len(letters)) {
		_, err = f.Write(letters[:min(left, int64(len(letters)))])
	}
	return errors.Join(err, f.Sync(), f.Close())
}

func (s *nodeServers) caddyfile() (string, error) {
	text := fmt.Sprintf(`{
	admin %[1]s
	persist_config off
	log {
		level ERROR
	}
	mogilefs {
		storage durable {
			root %[2]s/storage
			address %[3]s
			management off
		}
		storage fast {
			root %[2]s/fast
			address %[4]s
			management off
			durable off
		}
	}
}
http://%[3]s {
	mogilefs_storage durable
}
http://%[4]s {
	mogilefs_storage fast
}
http://%[5]s {
	root %[2]s/storage
	file_server
}
`, s.admin, s.dir, s.node, s.fast, s.files)
	for _, f := range served {
		addr := s.respond[f.size]
		if addr == "" {
			continue
		}
		body, err := os.ReadFile(filepath.Join(s.root(), f.path()))
		if err != nil {
			return "", err
		}
		text += fmt.Sprintf("http://%s {\n\trespond %s\n}\n", addr, body)
	}
	return text, nil
}

// await returns when all listen.
func (s *nodeServers) await(ctx context.Context) error {
	var all errgroup.Group
	for _, addr := range []string{s.node, s.nginx, s.bare} {
		all.Go(func() error {
			return await(ctx, "listen on "+addr, func(ctx context.Context) error {
				conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
				if err != nil {
					return err
				}
				return conn.Close()
			})
		})
	}
	return all.Wait()
}
