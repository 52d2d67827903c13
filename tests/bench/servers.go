package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	pictureSize = 30 << 10
	readyWithin = 20 * time.Second
)

// servers is everything that is measured, on free loopback ports.
type servers struct {
	dir                                   string
	edge, files, nginx, tracker, node, ch string // host:port each
	running                               []*exec.Cmd
}

func startServers(ctx context.Context, dir string) (*servers, error) {
	s := &servers{dir: dir}
	for _, addr := range []*string{&s.edge, &s.files, &s.nginx, &s.tracker, &s.node, &s.ch} {
		var err error
		if *addr, err = freeAddr(); err != nil {
			return nil, err
		}
	}
	picture := make([]byte, pictureSize)
	for i := range picture {
		picture[i] = byte(rand.Uint32())
	}
	if err := s.writeFiles(picture); err != nil {
		return nil, err
	}
	caddy := filepath.Join(dir, "bin", "caddy")
	build := exec.CommandContext(ctx, "go", "build", "-o", caddy, "./cmd/caddy")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return nil, fmt.Errorf("build cmd/caddy: %w", err)
	}
	if err := s.start(ctx, caddy, "run", "--config", filepath.Join(dir, "Caddyfile"), "--adapter", "caddyfile"); err != nil {
		return nil, err
	}
	if err := s.start(ctx, "nginx", "-c", filepath.Join(dir, "nginx.conf"), "-p", dir); err != nil {
		s.stop()
		return nil, err
	}
	if err := s.upload(ctx, picture); err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

func (s *servers) writeFiles(picture []byte) error {
	if err := os.MkdirAll(filepath.Join(s.dir, "www"), 0o755); err != nil {
		return err
	}
	for name, content := range map[string]string{
		"www/aqua.jpg": string(picture),
		"Caddyfile": fmt.Sprintf(`{
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
			devices 1 2
			address %[3]s
			management %[4]s
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
http://%[5]s {
	mogilefs images {
		methods GET PUT DELETE
		class single
	}
}
http://%[6]s {
	root %[2]s/www
	file_server
}
`, s.tracker, s.dir, s.node, s.ch, s.edge, s.files),
		"nginx.conf": fmt.Sprintf(`daemon off;
worker_processes auto;
pid %[1]s/nginx.pid;
error_log %[1]s/nginx.log;
events { worker_connections 1024; }
http {
	access_log off;
	sendfile on;
	tcp_nopush on;
	keepalive_requests 1000000;
	types { image/jpeg jpg; }
	server { listen %[2]s; root %[1]s/www; }
}
`, s.dir, s.nginx),
	} {
		if err := os.WriteFile(filepath.Join(s.dir, name), []byte(content), 0o644); err != nil {
			return err
		}
	}
	return os.Chmod(s.dir, 0o755) // nginx's workers are another user
}

func (s *servers) start(ctx context.Context, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Stderr = s.dir, os.Stderr
	cmd.Env = append(os.Environ(), "HOME="+s.dir, "XDG_DATA_HOME="+s.dir, "XDG_CONFIG_HOME="+s.dir)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	s.running = append(s.running, cmd)
	return nil
}

func (s *servers) stop() {
	for _, cmd := range s.running {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	}
}

// upload puts the picture into the store, as soon as the store is up.
func (s *servers) upload(ctx context.Context, picture []byte) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		err := put(ctx, http.DefaultTransport, "http://"+s.edge+"/aqua.jpg", picture)
		if err == nil {
			return nil
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return fmt.Errorf("first upload: %w", err)
		}
	}
}

func put(ctx context.Context, via http.RoundTripper, url string, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := via.RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if text, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusCreated {
		return fmt.Errorf("put %s: %s %s", url, resp.Status, strings.TrimSpace(string(text)))
	}
	return nil
}

func freeAddr() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer ln.Close()
	return ln.Addr().String(), nil
}
