package command_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/command"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
	"github.com/mogilefs/caddy-mogilefs/tracker/store/sqlstore"
	"github.com/mogilefs/caddy-mogilefs/tracker/topology"
)

// fakes is the nodes and the jobs. It remembers all it was told, in order.
type fakes struct {
	live *topology.Live

	mu     sync.Mutex // guards the rest
	heard  []string
	sizes  map[string]int64
	absent int // how many more times Size finds nothing
	ready  error

	refusal string // of Copy
	copyErr error

	refreshing func() // optional; called before a refresh
}

func (f *fakes) say(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.heard = append(f.heard, fmt.Sprintf(format, args...))
}

// took returns what was heard since the last call.
func (f *fakes) took() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	heard := f.heard
	f.heard = nil
	return heard
}

func (f *fakes) put(url string, n int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sizes[url] = n
}

func (f *fakes) Size(_ context.Context, url string) (int64, bool, error) {
	f.say("size %s", url)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.absent > 0 {
		f.absent--
		return 0, false, nil
	}
	n, ok := f.sizes[url]
	return n, ok, nil
}

func (f *fakes) MakeDirs(_ context.Context, dev mogile.DevID, base string, fid mogile.FID) {
	f.say("mkdir dev%d %s fid %d", dev, base, fid)
}

func (f *fakes) Digest(context.Context, string, mogile.HashType) (mogile.Checksum, error) {
	return mogile.Checksum{}, errors.New("node is gone")
}

func (f *fakes) Wake(q store.QueueName) { f.say("wake %s", q) }
func (f *fakes) Copy(_ context.Context, fid mogile.FID, from, to mogile.DevID) (string, error) {
	f.say("copy %d from %d to %d", fid, from, to)
	return f.refusal, f.copyErr
}

func (f *fakes) Ready(context.Context) error { return f.ready }

func (f *fakes) Refresh(ctx context.Context) error {
	if f.refreshing != nil {
		f.refreshing()
	}
	return f.live.Reload(ctx)
}

// cluster is hosts 1 to 3 with a device of the same number each, all writeable,
// and the domain images with the class md5.
type cluster struct {
	*command.Commands
	t     *testing.T
	store *sqlstore.Store
	fakes *fakes
	logs  *observer.ObservedLogs
}

// newCluster lets wrap put something between the commands and the store.
func newCluster(t *testing.T, wrap func(command.Store) command.Store) *cluster {
	t.Helper()
	ctx := t.Context()
	st, err := sqlstore.OpenSQLite(ctx, ":memory:", zap.NewNop())
	must(t, err)
	t.Cleanup(func() { must(t, st.Close()) })
	live := topology.New(st, topology.Config{Local: netip.MustParseAddr("10.0.0.1")})
	core, logs := observer.New(zapcore.WarnLevel)
	c := &cluster{t: t, store: st, fakes: &fakes{live: live, sizes: map[string]int64{}}, logs: logs}

	dm, err := st.CreateDomain(ctx, "images")
	must(t, err)
	_, err = st.CreateClass(ctx, mogile.Class{Domain: dm, Name: "md5", MinDevCount: 1, Hash: mogile.HashMD5})
	must(t, err)
	for i := 1; i <= 3; i++ {
		id, err := st.CreateHost(ctx, mogile.Host{
			Name: mogile.HostName(fmt.Sprint("host", i)), State: mogile.HostAlive, IP: fmt.Sprint("10.0.0.", i), Port: 7500,
			AltIP: fmt.Sprint("192.168.0.", i), AltMask: "192.168.0.0/24",
		})
		must(t, err)
		must(t, st.CreateDevice(ctx, mogile.Device{ID: mogile.DevID(i), Host: id, State: mogile.DevAlive, Weight: 100}))
		live.Observe(topology.Observations{
			Hosts:   map[mogile.HostID]bool{id: true},
			Devices: map[mogile.DevID]topology.DeviceSeen{mogile.DevID(i): {State: topology.SeenWriteable}},
			Usage:   map[mogile.DevID]mogile.Device{mogile.DevID(i): {MBTotal: 1000, MBUsed: int64(i)}},
		})
	}
	must(t, live.Reload(ctx))

	if wrap == nil {
		wrap = func(s command.Store) command.Store { return s }
	}
	c.Commands = command.New(command.Config{
		Store: wrap(st), Topology: live, Nodes: c.fakes, Jobs: c.fakes,
		Changed: func(d mogile.DomainName, k mogile.Key) { c.fakes.say("changed %s %s", d, k) },
		Rand:    func() float64 { return 0 },
		Logger:  zap.New(core),
	})
	return c
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// open registers an upload that becomes key, and takes back what that told.
func (c *cluster) open(key mogile.Key, n int) command.Opened {
	c.t.Helper()
	opened, err := c.Open(c.t.Context(), command.OpenArgs{Domain: "images", Key: key, Destinations: n, Local: true})
	must(c.t, err)
	c.fakes.took()
	return opened
}

// closing is what closes an upload that was stored at its first destination.
func closing(o command.Opened, key mogile.Key) command.CloseArgs {
	return command.CloseArgs{
		Domain: "images", Key: key, FID: o.FID, Dev: o.Destinations[0].Dev, URL: o.Destinations[0].URL, Size: 5, Stored: true,
	}
}

// upload makes a file of 5 bytes on device 1.
func (c *cluster) upload(key mogile.Key) mogile.FID {
	c.t.Helper()
	o := c.open(key, 1)
	must(c.t, c.Close(c.t.Context(), closing(o, key)))
	c.fakes.took()
	return o.FID
}

func (c *cluster) heard(want ...string) {
	c.t.Helper()
	if got := c.fakes.took(); !slices.Equal(got, want) {
		c.t.Errorf("told the nodes and jobs %q; want %q", got, want)
	}
}

func fails(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("got error %v; want %v", err, want)
	}
}
