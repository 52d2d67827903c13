package outage

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mogilefs/caddy-mogilefs/tests/database"
	"github.com/mogilefs/caddy-mogilefs/tests/process"
)

func TestMain(m *testing.M) { database.Main(m) }

// A kind of database server that can be taken away.
type kind struct {
	word  string // in a Caddyfile
	start func(testing.TB, ...string) *database.Server
	// options make the server keep what it committed, as a real one does.
	options []string
}

var kinds = map[string]kind{
	"MariaDB":    {"mysql", database.OwnMariaDB, []string{"--innodb-flush-log-at-trx-commit=1"}},
	"PostgreSQL": {"postgres", database.OwnPostgres, []string{"-c", "fsync=on", "-c", "full_page_writes=on"}},
}

// site is a process with an edge, a tracker and a storage node, and its database.
type site struct {
	t        testing.TB
	database *database.Server
	caddy    *process.Caddy
	file     string   // the Caddyfile, with MORE in the edge's block
	addrs    []string // that it listens on
	tracker  string   // the tracker's address
	url      string   // what the keys follow
	http     *http.Client
}

// caddyfile has a location cache that believes an entry for a second only: an outage
// is longer.
const caddyfile = `{
	mogilefs {
		tracker {
			listen TRACKER
			database KIND "DSN" {
				connections 16
			}
			setting mogstored_stream_port STREAM
		}
		storage node1 {
			root data/storage
			devices 1 2
			address NODE
			management MANAGEMENT
			register
		}
		domain images {
			class single 1
		}
	}
}

http://:NODEPORT {
	bind 127.0.0.1
	mogilefs_storage node1
}

http://EDGE {
	bind 127.0.0.1
	handle_path /images/* {
		mogilefs images {
			methods GET PUT
			class single
			location_cache 64MiB {
				ttl 1s
			}MORE
		}
	}
}
`

// answersWithin bounds how long a client waits: longer than any outage.
const answersWithin = 90 * time.Second

// newSite starts a database and a process on it.
func newSite(t *testing.T, k kind) *site {
	t.Helper()
	s := newConfig(t, k)
	s.start("")
	return s
}

// newConfig starts a database only.
func newConfig(t *testing.T, k kind) *site {
	t.Helper()
	s := &site{t: t, database: k.start(t, k.options...)}
	ports := process.FreePorts(t, 4)
	s.addrs = make([]string, len(ports))
	addrs := s.addrs
	for i, port := range ports {
		addrs[i] = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	}
	s.tracker, s.url = addrs[0], "http://"+addrs[3]+"/images/"
	s.file = strings.NewReplacer(
		"TRACKER", addrs[0], "NODEPORT", strconv.Itoa(ports[1]), "NODE", addrs[1],
		"MANAGEMENT", addrs[2], "STREAM", strconv.Itoa(ports[2]), "EDGE", addrs[3],
		"KIND", k.word, "DSN", s.database.MustCreate(t, ""),
	).Replace(caddyfile)
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	t.Cleanup(transport.CloseIdleConnections)
	s.http = &http.Client{Transport: transport, Timeout: answersWithin}
	return s
}

// start starts the process; its files go to dir, or to a new directory.
func (s *site) start(dir string) {
	s.t.Helper()
	s.caddy = process.Start(s.t, process.Options{Dir: dir, Caddyfile: s.config(""), Ready: s.addrs})
}

// config is the Caddyfile with one more line for the edge.
func (s *site) config(more string) string {
	if more != "" {
		more = "\n\t\t\t" + more
	}
	return strings.Replace(s.file, "MORE", more, 1)
}

// content is that of a key.
func content(key string) []byte { return []byte(strings.Repeat("content of "+key+"\n", 64)) }

// do sends a request, over a reload if need be.
func (s *site) do(req *http.Request) (*http.Response, error) {
	return process.SendOverReload(s.http, req)
}

// put uploads a key and reports whether that was acknowledged.
func (s *site) put(url, key string) (bool, error) {
	req, err := http.NewRequest(http.MethodPut, url, bytes.NewReader(content(key)))
	if err != nil {
		return false, err
	}
	// Not sent: it tells the transport that a PUT, too, may be repeated when the server
	// closed an idle connection just as it was used.
	req.Header["Idempotency-Key"] = nil
	resp, err := s.do(req)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return false, err
	case resp.StatusCode == http.StatusCreated:
		return true, nil
	case resp.StatusCode == http.StatusServiceUnavailable:
		return false, nil
	}
	return false, fmt.Errorf("put %s: got %s with %.200q; want 201 or 503", url, resp.Status, text)
}

// get reads a key, which must be there.
func (s *site) get(key string) error {
	req, err := http.NewRequest(http.MethodGet, s.url+key, nil)
	if err != nil {
		return err
	}
	resp, err := s.do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && (resp.StatusCode != http.StatusOK || !bytes.Equal(body, content(key))) {
		err = fmt.Errorf("get %s: got %s with %.200q; want its content", key, resp.Status, body)
	}
	return err
}
