package takeover

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/tests/legacy"
	"github.com/mogilefs/caddy-mogilefs/tracker"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

// answerWait is how long a test waits for an answer that should come at once.
const answerWait = 20 * time.Second

// node keeps files in memory.
type node struct {
	mu    sync.Mutex // guards files
	files map[string][]byte
}

func (n *node) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	n.mu.Lock()
	defer n.mu.Unlock()
	switch content, there := n.files[r.URL.Path]; {
	case strings.HasSuffix(r.URL.Path, "/usage"):
		_, _ = io.WriteString(w, "total: 10485760\nused: 1048576\n")
	case r.Method == http.MethodPut:
		n.files[r.URL.Path] = body
		w.WriteHeader(http.StatusCreated)
	case r.Method == http.MethodDelete && there:
		delete(n.files, r.URL.Path)
	case (r.Method == http.MethodGet || r.Method == http.MethodHead) && there:
		w.Header().Set("Content-Length", fmt.Sprint(len(content)))
		_, _ = w.Write(content)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

// startNode returns where it is.
func startNode(t *testing.T) (ip string, port uint16) {
	t.Helper()
	srv := httptest.NewServer(&node{files: map[string][]byte{}})
	t.Cleanup(srv.Close)
	return "127.0.0.1", uint16(srv.Listener.Addr().(*net.TCPAddr).Port)
}

// client talks to a tracker as everybody does.
type client struct {
	t *testing.T
	net.Conn
	in *bufio.Reader
}

// startTracker has no jobs that change anything, unless config says otherwise.
func startTracker(t *testing.T, s store.Store, config tracker.Config) *client {
	t.Helper()
	if config.Workers == nil {
		config.Workers = map[string]int{"replicate": 0, "delete": 0}
	}
	config.Store, config.Logger = s, zap.NewNop()
	tr, err := tracker.New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tr.Close(); err != nil {
			t.Errorf("close: got %v; want nil", err)
		}
	})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- tr.Serve(ln) }()
	t.Cleanup(func() {
		_ = ln.Close()
		<-served
	})
	conn, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &client{t: t, Conn: conn, in: bufio.NewReader(conn)}
}

// ask sends a command and returns the pairs of its answer; code is that of a refusal.
func (c *client) ask(command string, args ...string) (pairs url.Values, code string) {
	c.t.Helper()
	words := url.Values{}
	for i := 0; i < len(args); i += 2 {
		words.Set(args[i], args[i+1])
	}
	if err := c.SetDeadline(time.Now().Add(answerWait)); err != nil {
		c.t.Fatal(err)
	}
	if _, err := fmt.Fprintf(c, "%s %s\r\n", command, words.Encode()); err != nil {
		c.t.Fatal(err)
	}
	line, err := c.in.ReadString('\n')
	if err != nil {
		c.t.Fatalf("%s: got %v; want an answer", command, err)
	}
	status, rest, _ := strings.Cut(strings.TrimRight(line, "\r\n"), " ")
	if status != "OK" {
		code, _, _ := strings.Cut(rest, " ")
		return nil, code
	}
	pairs, err = url.ParseQuery(rest)
	if err != nil {
		c.t.Fatal(err)
	}
	return pairs, ""
}

// ok is ask where a refusal is none.
func (c *client) ok(command string, args ...string) url.Values {
	c.t.Helper()
	pairs, code := c.ask(command, args...)
	if code != "" {
		c.t.Fatalf("%s %v: got %s; want OK", command, args, code)
	}
	return pairs
}

func (c *client) want(pairs url.Values, name, want string) {
	c.t.Helper()
	if got := pairs.Get(name); got != want {
		c.t.Errorf("%s: got %q; want %q", name, got, want)
	}
}

func TestEverythingIsFoundInAnOldDatabase(t *testing.T) {
	each(t, installations, func(t *testing.T, i installation) {
		ip, port := startNode(t)
		db := i.make(t, ip, port)
		c := startTracker(t, db.open(t), tracker.Config{})
		base := fmt.Sprintf("http://%s:%d", ip, port)
		for fid, key := range legacy.Keys {
			if i.latin1 && fid == 106 {
				continue
			}
			info := c.ok("file_info", "domain", "images", "key", key)
			c.want(info, "fid", fmt.Sprint(fid))
			c.ok("get_paths", "domain", "images", "key", key, "noverify", "1")
		}
		info := c.ok("file_info", "domain", "images", "key", "plain.jpg", "devices", "1")
		c.want(info, "length", "5")
		c.want(info, "class", "thumb")
		c.want(info, "devids", "1,2")
		c.want(info, "checksum", "MD5:5d41402abc4b2a76b9719d911017c592")
		paths := c.ok("get_paths", "domain", "images", "key", legacy.Keys[102], "noverify", "1")
		c.want(paths, "path1", base+"/dev1/0/000/000/0000000102.fid")
		// On a device of a host that is down: better than nothing.
		paths = c.ok("get_paths", "domain", "images", "key", legacy.Keys[104], "noverify", "1")
		c.want(paths, "path1", "http://127.7.0.2:7600/dev3/0/000/000/0000000104.fid")
		c.want(c.ok("get_paths", "domain", "images", "key", "without/copy"), "paths", "0")
		c.want(c.ok("get_paths", "domain", "Foreign", "key", "elsewhere", "noverify", "1"), "paths", "1")
		keys := len(legacy.Keys) + 1
		if i.latin1 {
			keys--
		}
		c.want(c.ok("list_keys", "domain", "images"), "key_count", fmt.Sprint(keys))
		c.want(c.ok("list_keys", "domain", "images", "prefix", "grün/"), "key_1", legacy.Keys[102])
		c.want(c.ok("file_debug", "fid", "103"), "replqueue_fromdevid", "1")
		c.wantTopology()
		c.wantUpkeep()
	})
}

// wantTopology checks what the rows of hosts, devices, domains and classes became.
func (c *client) wantTopology() {
	c.t.Helper()
	hosts := c.ok("get_hosts")
	c.want(hosts, "hosts", "4")
	c.want(c.ok("get_hosts", "hostid", "9"), "host1_status", "readonly")
	two := c.ok("get_hosts", "hostid", "2")
	c.want(two, "host1_altip", "127.8.0.2")
	c.want(two, "host1_http_get_port", "7600")
	for devid, status := range map[string]string{"1": "alive", "4": "dead", "5": "down", "6": "readonly", "8": "drain"} {
		c.want(c.ok("get_devices", "devid", devid), "dev1_status", status)
	}
	c.want(c.ok("get_devices", "devid", "2"), "dev1_weight", "50")
	domains := c.ok("get_domains")
	c.want(domains, "domains", "3")
	classes := map[string]string{}
	for d := 1; d <= 3; d++ {
		prefix := fmt.Sprintf("domain%d", d)
		for n := 1; domains.Has(fmt.Sprintf("%sclass%dname", prefix, n)); n++ {
			at := fmt.Sprintf("%sclass%d", prefix, n)
			classes[domains.Get(prefix)+"/"+domains.Get(at+"name")] = domains.Get(at+"mindevcount") + " " +
				domains.Get(at+"replpolicy") + " " + domains.Get(at+"hashtype")
		}
	}
	want := map[string]string{
		"images/default": "3 MultipleHosts() NONE", "images/thumb": "1 MultipleHosts() MD5",
		"images/original": "2 MultipleHosts(2) NONE", "empty/default": "2 MultipleHosts() NONE",
		"Foreign/default": "2 MultipleHosts() NONE",
	}
	if diff := cmp.Diff(want, classes); diff != "" {
		c.t.Errorf("classes (-want +got):\n%s", diff)
	}
}

// wantUpkeep checks that another tracker's fsck and rebalance are seen.
func (c *client) wantUpkeep() {
	c.t.Helper()
	status := c.ok("fsck_status")
	c.want(status, "running", "1")
	c.want(status, "host", "old-tracker")
	c.want(status, "max_fid_checked", "100")
	c.want(status, "num_POVI", "3")
	c.want(status, "num_REPL", "1") // the row that had not been counted
	if _, code := c.ask("fsck_start"); code != "fsck_running" {
		c.t.Errorf("fsck_start: got %q; want fsck_running", code)
	}
	if state := c.ok("rebalance_status").Get("state"); !strings.Contains(state, "fids_queued=7") {
		c.t.Errorf("rebalance_status: got %q; want the state in the database", state)
	}
	c.want(c.ok("server_setting", "key", "our_own"), "value", "kept")
}

// TestTakingOverTouchesOnlyWhatItMust looks at the tables that no command has a reason to
// change, before and after.
func TestTakingOverTouchesOnlyWhatItMust(t *testing.T) {
	each(t, installations, func(t *testing.T, i installation) {
		ip, port := startNode(t)
		db := i.make(t, ip, port)
		kept := []string{
			"domain", "class", "file", "file_on", "tempfile", "host", "server_settings",
			"file_to_queue", "fsck_log", "checksum",
		}
		if i.kind != legacy.SQLite { // a file has one tracker, whose leases end with it
			kept = append(kept, "file_to_replicate")
		}
		if !i.variant.Bare {
			kept = append(kept, "unreachable_fids", "file_on_corrupt")
		}
		before := db.dump(t, kept...)
		c := startTracker(t, db.open(t), tracker.Config{})
		c.ok("get_paths", "domain", "images", "key", "plain.jpg")
		if diff := cmp.Diff(before, db.dump(t, kept...)); diff != "" {
			t.Errorf("tables (-before +after):\n%s", diff)
		}
		if n := db.number(t, "SELECT COUNT(*) FROM file_to_delete2 WHERE fid IN (200, 201, 400, 210, 211)"); n != 5 {
			t.Errorf("rows to delete: got %d; want the 3 that were there, and those of both legacy queues", n)
		}
	})
}

// TestNewFilesGetNewFIDs: greater than those of all that is or was, whatever table tells.
func TestNewFilesGetNewFIDs(t *testing.T) {
	each(t, installations, func(t *testing.T, i installation) {
		ip, port := startNode(t)
		db := i.make(t, ip, port)
		c := startTracker(t, db.open(t), tracker.Config{})
		c.want(c.ok("create_open", "domain", "images", "key", "new"), "fid", fmt.Sprint(legacy.Highest+1))
		if _, code := c.ask("create_open", "domain", "images", "key", "new", "fid", "201"); code != "fid_in_use" {
			t.Errorf("open with the fid of a file that waits to be deleted: got %q; want fid_in_use", code)
		}
	})
}

// TestAFileGoesRound uploads, overwrites, renames, lists and deletes keys beside old ones.
func TestAFileGoesRound(t *testing.T) {
	each(t, installations, func(t *testing.T, i installation) {
		ip, port := startNode(t)
		db := i.make(t, ip, port)
		c := startTracker(t, db.open(t), tracker.Config{})
		for _, key := range []string{"plain.jpg", "neu/ö.jpg"} { // the first replaces an old one
			opened := c.ok("create_open", "domain", "images", "key", key, "class", "thumb")
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, opened.Get("path"), strings.NewReader("hello"))
			if err != nil {
				t.Fatal(err)
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			c.ok("create_close", "domain", "images", "key", key, "fid", opened.Get("fid"),
				"devid", opened.Get("devid"), "path", opened.Get("path"), "size", "5")
			c.want(c.ok("get_paths", "domain", "images", "key", key), "path1", opened.Get("path"))
		}
		c.want(c.ok("file_debug", "fid", "101"), "delqueue_fid", "101")
		c.ok("rename", "domain", "images", "from_key", "neu/ö.jpg", "to_key", "neu/ä.jpg")
		c.want(c.ok("list_keys", "domain", "images", "prefix", "neu/"), "key_1", "neu/ä.jpg")
		c.ok("delete", "domain", "images", "key", "neu/ä.jpg")
		if _, code := c.ask("file_info", "domain", "images", "key", "neu/ä.jpg"); code != "unknown_key" {
			t.Errorf("file_info of a deleted key: got %q; want unknown_key", code)
		}
		if n := db.number(t, "SELECT COUNT(*) FROM server_settings WHERE field = 'schema_version' AND value = '17'"); n != 1 {
			t.Error("the schema's version is not 17 any more")
		}
	})
}
