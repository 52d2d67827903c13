package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
)

const pictureSize = 30 << 10

// servers is what reads and uploads through HTTP are measured on: our Caddy, with a
// store, a file_server site over the same picture and a respond site with as many bytes,
// and nginx over the picture.
type servers struct {
	programs
	edge, cached, respond, files, nginx, tracker, node, ch string // host:port each
}

func startServers(ctx context.Context, dir, caddy string) (*servers, error) {
	s := &servers{programs: programs{dir: dir}}
	if err := freeAddrs(&s.edge, &s.cached, &s.respond, &s.files, &s.nginx, &s.tracker, &s.node, &s.ch); err != nil {
		return nil, err
	}
	picture := make([]byte, pictureSize)
	for i := range picture {
		picture[i] = byte(rand.Uint32())
	}
	if err := s.writeFiles(picture); err != nil {
		return nil, err
	}
	if err := s.startCaddy(ctx, caddy, s.caddyfile()); err != nil {
		return nil, err
	}
	if err := s.start(ctx, "nginx", "-c", filepath.Join(dir, "nginx.conf"), "-p", dir); err != nil {
		s.stop()
		return nil, err
	}
	err := await(ctx, "first upload", func(ctx context.Context) error {
		return put(ctx, http.DefaultTransport, "http://"+s.edge+"/aqua.jpg", picture)
	})
	if err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

func (s *servers) caddyfile() string {
	return fmt.Sprintf(`{
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
http://%[7]s {
	mogilefs images {
		content_cache 64MiB
	}
}
http://%[8]s {
	header Content-Type image/jpeg
	respond %[9]s
}
`, s.tracker, s.dir, s.node, s.ch, s.edge, s.files, s.cached, s.respond, strings.Repeat("x", pictureSize))
}

func (s *servers) writeFiles(picture []byte) error {
	if err := os.MkdirAll(filepath.Join(s.dir, "www"), 0o755); err != nil {
		return err
	}
	for name, content := range map[string]string{
		"www/aqua.jpg": string(picture),
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
