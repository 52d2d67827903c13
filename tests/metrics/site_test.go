package metrics

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tests/process"
	"github.com/mogilefs/caddy-mogilefs/tracker/client"
)

// within bounds what takes its time: a start, replication, a monitor's look.
const within = 2 * time.Minute

const hubFile = `{
	mogilefs {
		tracker {
			listen TRACKER
			database sqlite data/mogilefs.db
			setting min_free_space 0
		}
		storage node1 {
			root data/storage
			devices 1
			address NODE
			management off
			register
		}
		domain images {
			class one 1
			class two 2
		}
	}
}

http://:PORT {
	bind 127.0.0.1
	mogilefs_storage
}

http://SITE {
	bind 127.0.0.1
	metrics /metrics
	log {
		output file access.log
	}
	tracing {
		span site
	}
	handle_path /images/* {
		mogilefs images {
			methods GET PUT DELETE
			class {header.X-Class}
			MORE
		}
	}
	handle_path /hot/* {
		mogilefs images {
			content_cache 16MiB
			location_cache 8MiB
		}
	}
	header >X-Cache {http.mogilefs.cache}
	header >X-Copy {http.mogilefs.copy}
}
`

const nodeFile = `{
	mogilefs {
		storage node2 {
			root data/storage
			devices 2
			address NODE
			management off
			register TRACKER
		}
	}
}

http://:PORT {
	bind 127.0.0.2
	mogilefs_storage
}
`

// site is a process with all roles and a node beside it, and what a client of it has seen.
type site struct {
	t         *testing.T
	hub, node *process.Caddy
	addr      string
	fill      func(file, node, more string) string
	nodes     [2]string
	tracker   *client.Client
	client    http.Client
	tracked   string
	seen      counts
}

// counts is what the client has counted.
type counts struct {
	requests map[string]int // by method and outcome
	sources  map[string]int // GETs with a body, by where that came from
	bytes    map[string]int
	stored   int
	commands map[string]int
	lookups  int // GETs and HEADs, each of which asks a location cache once
}

func newSite(t *testing.T) *site {
	t.Helper()
	var addrs []string
	for _, port := range process.FreePorts(t, 4) {
		addrs = append(addrs, fmt.Sprintf("127.0.0.1:%d", port))
	}
	addrs[2] = strings.Replace(addrs[2], "127.0.0.1", "127.0.0.2", 1) // hosts have different addresses
	s := &site{t: t, addr: addrs[0], nodes: [2]string{addrs[1], addrs[2]}, tracked: addrs[3]}
	s.seen = counts{requests: map[string]int{}, sources: map[string]int{}, bytes: map[string]int{}, commands: map[string]int{}}
	s.fill = func(file, node, more string) string {
		_, port, _ := strings.Cut(node, ":")
		return strings.NewReplacer("TRACKER", addrs[3], "NODE", node, "PORT", port, "SITE", s.addr, "MORE", more).Replace(file)
	}
	s.client = http.Client{Transport: &http.Transport{DisableCompression: true}, Timeout: within}
	t.Cleanup(s.client.CloseIdleConnections)
	// Spans go to the standard output, and so into the log, soon after they end.
	t.Setenv("OTEL_TRACES_EXPORTER", "console")
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
	s.hub = process.Start(t, process.Options{Caddyfile: s.fill(hubFile, s.nodes[0], ""), Ready: []string{s.addr, addrs[3], s.nodes[0]}})
	s.node = process.Start(t, process.Options{Caddyfile: s.fill(nodeFile, s.nodes[1], ""), Ready: []string{s.nodes[1]}})
	var err error
	if s.tracker, err = client.New(client.Config{Addresses: []string{s.tracked}}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.tracker.Close() })
	s.await("two writeable devices", func(d client.Device) bool { return d.Observed == "writeable" }, 2)
	return s
}

func (s *site) await(what string, is func(client.Device) bool, want int) {
	s.t.Helper()
	process.Eventually(s.t, within, what, func() bool {
		devices, err := s.tracker.Devices(s.t.Context())
		n := 0
		for _, d := range devices {
			if is(d) {
				n++
			}
		}
		return err == nil && n == want
	})
}

// answer is what the client got.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// do sends a request and counts what comes of it.
func (s *site) do(method, path, body string, header ...string) answer {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, "http://"+s.addr+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := s.client.Do(req)
	if err != nil {
		s.t.Fatalf("%s %s: %v\n%s", method, path, err, s.hub.Tail())
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatalf("%s %s: %v\n%s", method, path, err, s.hub.Tail())
	}
	a := answer{resp.StatusCode, resp.Header, got}
	s.count(method, a, len(body))
	return a
}

// outcomes is what statuses count as.
var outcomes = map[int]string{
	200: "served", 201: "served", 204: "served", 206: "served", 304: "not_modified", 400: "refused", 404: "not_found",
	412: "refused", 416: "refused", 503: "no_copy",
}

func (s *site) count(method string, a answer, sent int) {
	s.seen.requests[method+" "+outcomes[a.status]]++
	if method == http.MethodGet || method == http.MethodHead {
		s.seen.lookups++
	}
	if method == http.MethodPut && a.status == http.StatusCreated {
		s.seen.stored += sent
	}
	if method != http.MethodGet || a.status != http.StatusOK && a.status != http.StatusPartialContent || len(a.body) == 0 {
		return
	}
	source := map[string]string{"1": "local", "2": "remote"}[a.header.Get("X-Copy")]
	switch a.header.Get("X-Cache") {
	case "content":
		source = "memory"
	case "shared":
		source = "shared"
	}
	s.seen.sources[source]++
	s.seen.bytes[source] += len(a.body)
}

// want is do for requests whose status is known.
func (s *site) want(status int, method, path, body string, header ...string) answer {
	s.t.Helper()
	a := s.do(method, path, body, header...)
	if a.status != status {
		s.t.Fatalf("%s %s: got %d %.200q; want %d\n%s", method, path, a.status, a.body, status, s.hub.Tail())
	}
	return a
}

// say sends lines to the tracker, on one connection.
func (s *site) say(lines ...string) {
	s.t.Helper()
	conn, err := net.Dial("tcp", s.tracked)
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(within)); err != nil {
		s.t.Fatal(err)
	}
	if _, err := io.WriteString(conn, strings.Join(lines, "\r\n")+"\r\n"); err != nil {
		s.t.Fatal(err)
	}
	var got bytes.Buffer
	buf := make([]byte, 4096)
	for bytes.Count(got.Bytes(), []byte("\n")) < len(lines) {
		n, err := conn.Read(buf)
		if err != nil {
			s.t.Fatalf("say %q: got %q (%v)", lines, got.String(), err)
		}
		got.Write(buf[:n])
	}
	for _, l := range lines {
		s.seen.commands[l]++
	}
}

// scrape asks for /metrics.
func (s *site) scrape() scrape {
	s.t.Helper()
	resp, err := s.client.Get("http://" + s.addr + "/metrics")
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		s.t.Fatalf("scrape: got %d %.500q (%v)", resp.StatusCode, text, err)
	}
	got, err := parse(string(text))
	if err != nil {
		s.t.Fatal(err)
	}
	return got
}

// removeLocal takes the copy of a fid away behind the back of the process's own node.
func (s *site) removeLocal(fid mogile.FID) {
	s.t.Helper()
	if err := os.Remove(filepath.Join(s.hub.Dir, "data", "storage", fid.Path(1))); err != nil {
		s.t.Fatal(err)
	}
}
