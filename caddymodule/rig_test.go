package caddymodule

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"

	"github.com/mogilefs/caddy-mogilefs/tests/process"
)

// soon bounds what happens in the background: the monitor's next look at a device,
// the end of an old config's servers.
const soon = 30 * time.Second

// rig is a store in this process: addresses and directories that its configs share.
type rig struct {
	t                                 *testing.T
	dir                               string
	tracker, node, management, public string
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, dir: t.TempDir()}
	ports := process.FreePorts(t, 4)
	for i, addr := range []*string{&r.tracker, &r.node, &r.management, &r.public} {
		*addr = net.JoinHostPort("127.0.0.1", strconv.Itoa(ports[i]))
	}
	t.Setenv("MOGILEFS_TEST_DIR", r.dir)
	t.Cleanup(func() {
		if err := caddy.Stop(); err != nil {
			t.Errorf("stop: %v", err)
		}
		if left := pooled(); len(left) > 0 {
			t.Errorf("got %v in the pool after the last config; want nothing", left)
		}
	})
	return r
}

func listenLoopback(t *testing.T) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

// pooled is the references to everything in the pool, by kind.
func pooled() map[string]int {
	counts := map[string]int{}
	pool.Range(func(key, _ any) bool {
		n, _ := pool.References(key)
		counts[key.(poolKey).kind] += n
		return true
	})
	return counts
}

const base = `{
	admin off
	persist_config off
	storage file_system DIR/caddy
	mogilefs {
		tracker {
			listen TRACKER
			database sqlite {env.MOGILEFS_TEST_DIR}/data/mogilefs.db
			setting mogstored_stream_port STREAM
		}
		storage node1 {
			root {env.MOGILEFS_TEST_DIR}/storage
			devices 1 2
			address NODE
			management MANAGEMENT
			register
		}
		domain images
	}
}

http://:NODEPORT {
	bind 127.0.0.1
	mogilefs_storage
}

http://PUBLIC {
	handle_path /images/* {
		mogilefs images {
			methods GET PUT DELETE
		}
	}
}
`

// bare is a config without the app.
const bare = `{
	admin off
	persist_config off
	storage file_system DIR/caddy
}

http://PUBLIC {
	respond bare
}
`

func (r *rig) fill(caddyfile string) string {
	_, stream, _ := strings.Cut(r.management, ":")
	_, port, _ := strings.Cut(r.node, ":")
	return strings.NewReplacer("DIR/", r.dir+"/", "TRACKER", r.tracker, "STREAM", stream, "NODEPORT", port,
		"NODE", r.node, "MANAGEMENT", r.management, "PUBLIC", r.public).Replace(caddyfile)
}

// changed is the base with pairs of texts replaced, all of which must be in it.
func changed(pairs ...string) string {
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(base, pairs[i]) {
			panic("the base has no " + pairs[i])
		}
	}
	return strings.NewReplacer(pairs...).Replace(base)
}

// load runs a config instead of the one before.
func (r *rig) load(caddyfile string) error {
	r.t.Helper()
	return caddy.Load(r.adapt(caddyfile), true)
}

func (r *rig) adapt(caddyfile string) []byte {
	r.t.Helper()
	config, err := r.tryAdapt(caddyfile)
	if err != nil {
		r.t.Fatalf("adapt: %v", err)
	}
	return config
}

func (r *rig) tryAdapt(caddyfile string) ([]byte, error) {
	config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(r.fill(caddyfile)), nil)
	return config, err
}

// run is load for configs that must start; it returns when both devices take files.
func (r *rig) run(caddyfile string) {
	r.t.Helper()
	if err := r.load(caddyfile); err != nil {
		r.t.Fatalf("load: %v", err)
	}
	eventually(r.t, "writeable devices", func() bool {
		return strings.Count(r.say("get_devices"), "_observed_state=writeable") >= 2
	})
}

// say asks the tracker on a new connection.
func (r *rig) say(line string) string {
	r.t.Helper()
	conn, err := net.DialTimeout("tcp", r.tracker, soon)
	if err != nil {
		r.t.Fatalf("dial the tracker: %v", err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "%s\r\n", line)
	answer, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		r.t.Fatalf("%s: %v", line, err)
	}
	return answer
}

// reply is an answer that was read to its end.
type reply struct {
	status int
	header http.Header
	body   string
}

// send sends a request on a connection of its own, over a reload if need be; any
// goroutine may call it.
func (r *rig) send(method, path string, body io.Reader, headers ...string) (reply, error) {
	ctx, cancel := context.WithTimeout(r.t.Context(), soon)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, "http://"+r.public+path, body)
	if err != nil {
		return reply{}, err
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := process.SendOverReload(&client, req)
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return reply{resp.StatusCode, resp.Header, string(text)}, err
}

// want sends a request and wants a status.
func (r *rig) want(status int, method, path, body string, headers ...string) reply {
	r.t.Helper()
	got, err := r.send(method, path, strings.NewReader(body), headers...)
	if err != nil || got.status != status {
		r.t.Fatalf("%s %s: got %d %q (%v); want %d", method, path, got.status, got.body, err, status)
	}
	return got
}

func (r *rig) wantBody(path, want string) {
	r.t.Helper()
	if got := r.want(http.StatusOK, http.MethodGet, path, ""); got.body != want {
		r.t.Errorf("GET %s: got %q; want %q", path, got.body, want)
	}
}

// eventually polls for what Caddy and the monitor do in the background.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	late := time.After(soon)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("got no %s within %v", what, soon)
		}
	}
}

func (r *rig) path(name string) string { return filepath.Join(r.dir, name) }
