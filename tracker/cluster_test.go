package tracker

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/command"
	"github.com/mogilefs/caddy-mogilefs/tracker/job"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
	"github.com/mogilefs/caddy-mogilefs/tracker/store/sqlstore"
	"github.com/mogilefs/caddy-mogilefs/tracker/topology"
)

// answerWait is how long a test waits for what should come at once.
const answerWait = 10 * time.Second

// fakeNode is all storage nodes of a cluster in one HTTP server: requests for any
// address are dialled to it, and what is stored is known by its whole URL.
type fakeNode struct {
	server *httptest.Server
	client *http.Client

	mu     sync.Mutex // guards the rest
	stored map[string][]byte
	broken map[string]bool // hosts that can't be reached
	heard  map[string]int  // requests by method
	filler []byte          // what is everywhere where nothing was stored, unless nil
}

func newFakeNode(t testing.TB) *fakeNode {
	n := &fakeNode{stored: map[string][]byte{}, broken: map[string]bool{}, heard: map[string]int{}}
	n.server = httptest.NewServer(n)
	transport := &http.Transport{DialContext: n.dial}
	n.client = &http.Client{Transport: transport}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		n.server.Close()
	})
	return n
}

// ServeHTTP implements http.Handler.
func (n *fakeNode) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.heard[r.Method]++
	url := "http://" + r.Host + r.URL.Path
	switch r.Method {
	case http.MethodPut:
		n.stored[url], _ = io.ReadAll(r.Body)
		w.WriteHeader(http.StatusCreated)
	case http.MethodHead, http.MethodGet:
		body, ok := n.stored[url]
		if !ok {
			body = n.filler
		}
		if body == nil {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		_, _ = w.Write(body)
	default:
		w.WriteHeader(http.StatusCreated)
	}
}

func (n *fakeNode) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	host, _, _ := net.SplitHostPort(addr)
	n.mu.Lock()
	broken := n.broken[host]
	n.mu.Unlock()
	if broken {
		return nil, fmt.Errorf("%s is broken", host)
	}
	return new(net.Dialer).DialContext(ctx, network, n.server.Listener.Addr().String())
}

func (n *fakeNode) setBroken(host string, broken bool) {
	n.mu.Lock()
	n.broken[host] = broken
	n.mu.Unlock()
	n.client.CloseIdleConnections()
}

// took returns how often each method was heard since the last call.
func (n *fakeNode) took() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	var words []string
	for method, times := range n.heard {
		words = append(words, fmt.Sprintf("%s=%d", method, times))
	}
	clear(n.heard)
	slices.Sort(words)
	return strings.Join(words, " ")
}

func (n *fakeNode) do(ctx context.Context, method, url, body string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	return n.client.Do(req)
}

// Size, MakeDirs and Digest make it [command.Nodes].
func (n *fakeNode) Size(ctx context.Context, url string) (int64, bool, error) {
	resp, err := n.do(ctx, http.MethodHead, url, "")
	if err != nil {
		return 0, false, err
	}
	return resp.ContentLength, resp.StatusCode == http.StatusOK, resp.Body.Close()
}

func (n *fakeNode) MakeDirs(ctx context.Context, dev mogile.DevID, base string, fid mogile.FID) {
	dirs := strings.Split(strings.TrimPrefix(fid.Path(dev), "/"), "/")
	for i := 2; i < len(dirs); i++ {
		resp, err := n.do(ctx, "MKCOL", base+"/"+strings.Join(dirs[:i], "/")+"/", "")
		if err != nil {
			return
		}
		_ = resp.Body.Close()
	}
}

func (n *fakeNode) Digest(ctx context.Context, url string, ht mogile.HashType) (mogile.Checksum, error) {
	resp, err := n.do(ctx, http.MethodGet, url, "")
	if err != nil {
		return mogile.Checksum{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	h := ht.New()
	_, err = io.Copy(h, resp.Body)
	return mogile.Checksum{Type: ht, Sum: h.Sum(nil)}, err
}

// fakeJobs does what a command waits for and remembers the rest.
type fakeJobs struct {
	live  *topology.Live
	ready chan struct{} // closed: Ready returns

	mu    sync.Mutex // guards the rest
	heard []string
	staff []job.Status
	blind bool // nobody has looked at the devices yet

	refusal string // of the next Copy
}

func (j *fakeJobs) say(word string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.heard = append(j.heard, word)
}

func (j *fakeJobs) Copy(_ context.Context, fid mogile.FID, from, to mogile.DevID) (refusal string, err error) {
	j.say(fmt.Sprintf("copy(%d,%d,%d)", fid, from, to))
	j.mu.Lock()
	defer j.mu.Unlock()
	refusal, j.refusal = j.refusal, ""
	return refusal, nil
}

func (j *fakeJobs) refuse(why string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.refusal = why
}

func (j *fakeJobs) Wake(q store.QueueName) { j.say(string(q)) }

func (j *fakeJobs) Refresh(ctx context.Context) error {
	j.say("refresh")
	return j.live.Reload(ctx)
}

func (j *fakeJobs) Ready(ctx context.Context) error {
	select {
	case <-j.ready:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Looked, Status, Want and Tell make it [staff].
func (j *fakeJobs) Looked() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return !j.blind
}

func (j *fakeJobs) setBlind(blind bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.blind = blind
}

func (j *fakeJobs) Status() []job.Status {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.staff)
}

func (j *fakeJobs) Want(name job.Name, n int) { j.say(fmt.Sprintf("want(%s,%d)", name, n)) }

func (j *fakeJobs) Tell(name job.Name, text string) int {
	j.say(fmt.Sprintf("tell(%s,%s)", name, text))
	for _, s := range j.Status() {
		if s.Name == name {
			return s.Count
		}
	}
	return 0
}

// took returns what was heard since the last call.
func (j *fakeJobs) took() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	heard := strings.Join(j.heard, " ")
	j.heard = nil
	return heard
}

// cluster is a line server on a real store with fakes around it: host a with
// devices 1 and 2, host b with device 3, all writeable, and the domain images.
type cluster struct {
	store  *sqlstore.Store
	live   *topology.Live
	node   *fakeNode
	jobs   *fakeJobs
	server *lineServer
	addr   string
	log    *zap.Logger // watchers see it, and logs what is worse than information
	logs   *observer.ObservedLogs
	access *liveAccess
}

// liveAccess is a config's Access that tests change.
type liveAccess struct{ atomic.Pointer[Access] }

func newAccess(a Access) *liveAccess {
	live := new(liveAccess)
	live.Store(&a)
	return live
}

func newCluster(t testing.TB, l limits) *cluster {
	t.Helper()
	return newClusterOn(t, inMemory(t), l)
}

// newClusterOn owns the store, which is empty.
func newClusterOn(t testing.TB, st *sqlstore.Store, l limits) *cluster {
	t.Helper()
	c := &cluster{store: st, live: topology.New(st, topology.Config{MinFreeMB: 100}), node: newFakeNode(t)}
	c.jobs = &fakeJobs{live: c.live, ready: make(chan struct{})}
	close(c.jobs.ready)
	c.seed(t)

	core, logs := observer.New(zapcore.WarnLevel)
	c.logs = logs
	watchers := newWatchers()
	log := watchers.tap(zap.New(core))
	c.log, c.access = log, newAccess(Access{})
	commands := command.New(command.Config{
		Store: st, Topology: c.live, Nodes: c.node, Jobs: c.jobs,
		Changed:     func(d mogile.DomainName, k mogile.Key) { c.jobs.say(fmt.Sprintf("changed(%s,%s)", d, k)) },
		ValidPolicy: validPolicy(c.live),
		Hostname:    "here",
		Rand:        func() float64 { return 0 },
		Logger:      log,
	})
	c.server = newLineServer(lineConfig{
		commands: commands, staff: c.jobs, watchers: watchers, access: c.access.Load, log: log, limits: l,
	})
	c.addr = c.listen(t)
	t.Cleanup(func() {
		c.server.Close()
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// conversation is one without a connection, of a client on this machine.
func (s *lineServer) conversation() *conversation {
	return &conversation{lineServer: s, peer: netip.MustParseAddr("127.0.0.1"), access: s.access()}
}

func (c *cluster) listen(t testing.TB) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- c.server.Serve(ln) }()
	t.Cleanup(func() {
		_ = ln.Close()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return ln.Addr().String()
}

func (c *cluster) seed(t testing.TB) {
	t.Helper()
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err := c.store.CreateDomain(ctx, "images")
	must(err)
	for i, name := range []mogile.HostName{"a", "b"} {
		_, err := c.store.CreateHost(ctx, mogile.Host{
			Name: name, State: mogile.HostAlive, IP: fmt.Sprintf("10.0.0.%d", i+1), Port: 7500,
		})
		must(err)
	}
	for dev, host := range map[mogile.DevID]mogile.HostID{1: 1, 2: 1, 3: 2} {
		must(c.store.CreateDevice(ctx, mogile.Device{ID: dev, Host: host, State: mogile.DevAlive, Weight: 100}))
		c.see(dev, topology.SeenWriteable, 1000, int64(dev))
	}
	must(c.live.Reload(ctx))
}

// see is what a monitor round does to one device.
func (c *cluster) see(dev mogile.DevID, state topology.DevSeen, total, used int64) {
	c.live.Observe(topology.Observations{
		Hosts:   map[mogile.HostID]bool{1: true, 2: true},
		Devices: map[mogile.DevID]topology.DeviceSeen{dev: {State: state}},
		Usage:   map[mogile.DevID]mogile.Device{dev: {MBTotal: total, MBUsed: used}},
	})
}

// client is one connection.
type client struct {
	t testing.TB
	net.Conn
	in *bufio.Reader
}

func (c *cluster) dial(t testing.TB) *client {
	t.Helper()
	conn, err := net.Dial("tcp", c.addr)
	if err != nil {
		t.Fatal(err)
	}
	return newClient(t, conn)
}

func newClient(t testing.TB, conn net.Conn) *client {
	t.Cleanup(func() { _ = conn.Close() })
	return &client{t: t, Conn: conn, in: bufio.NewReader(conn)}
}

func (c *client) send(raw string) {
	c.t.Helper()
	if _, err := io.WriteString(c, raw); err != nil {
		c.t.Fatalf("send %.40q: %v", raw, err)
	}
}

// line reads one line and holds it to its terminator.
func (c *client) line() string {
	c.t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(answerWait))
	s, err := c.in.ReadString('\n')
	if err != nil {
		c.t.Fatalf("read a line: %v after %q", err, s)
	}
	return strings.TrimSuffix(s, "\n")
}

// want sends one request and compares the answer.
func (c *client) want(request, answer string) {
	c.t.Helper()
	c.send(request + "\n")
	if got := c.line(); got != answer+"\r" {
		c.t.Errorf("%.80q: got %q; want %q", request, got, answer+"\r")
	}
}

// end waits for the server to close the connection.
func (c *client) end() {
	c.t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(answerWait))
	if rest, err := io.ReadAll(c.in); err != nil || len(rest) > 0 {
		c.t.Errorf("got %q, %v; want the end of the connection", rest, err)
	}
}
