package job_test

import (
	"context"
	"crypto/md5"
	"fmt"
	"net"
	"slices"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/job"
	"github.com/mogilefs/caddy-mogilefs/tracker/node"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
	"github.com/mogilefs/caddy-mogilefs/tracker/store/sqlstore"
	"github.com/mogilefs/caddy-mogilefs/tracker/topology"
)

// patience is when a test gives up waiting for what should have happened.
const patience = 20 * time.Second

// rig is a cluster: a real store, fake storage nodes, and the jobs.
type rig struct {
	t      *testing.T
	store  *watchedStore
	live   *topology.Live
	nodes  *node.Client
	jobs   *job.Jobs
	hosts  map[mogile.DevID]*fakeHost // by device
	domain mogile.DomainID
	class  mogile.ClassID // two copies
}

const hello = "hello, replica"

func md5Of(s string) mogile.Checksum {
	sum := md5.Sum([]byte(s))
	return mogile.Checksum{Type: mogile.HashMD5, Sum: sum[:]}
}

// newRig has one host for each list of devices, one domain, and a class as given. Its
// jobs are not started.
func newRig(t *testing.T, class mogile.Class, hosts ...[]mogile.DevID) *rig {
	t.Helper()
	db, err := sqlstore.OpenSQLite(t.Context(), ":memory:", zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	r := &rig{
		t: t, store: &watchedStore{Store: db, settled: make(chan settled, 1000), moving: map[mogile.FID]bool{}}, hosts: map[mogile.DevID]*fakeHost{},
	}
	r.domain = must(db.CreateDomain(t.Context(), "images"))(t)
	class.Domain, class.Name = r.domain, "twice"
	r.class = must(db.CreateClass(t.Context(), class))(t)
	for i, devs := range hosts {
		r.addHost(i+1, devs)
	}
	r.live = topology.New(db, topology.Config{MinFreeMB: 100})
	r.check(r.live.Reload(t.Context()))
	r.nodes = node.New(node.Config{
		NodeTimeout: time.Second, ConnTimeout: time.Second, CopyTimeout: 300 * time.Millisecond, Management: closedPort(t),
	})
	t.Cleanup(r.nodes.Close)
	r.hire(job.Config{})
	return r
}

// hire makes the jobs anew, with what config has to add.
func (r *rig) hire(config job.Config) { r.hireWith(r.nodes, config) }

func (r *rig) hireWith(nodes job.Nodes, config job.Config) {
	config.Store, config.Topology, config.Nodes = r.store, r.live, nodes
	if config.Logger == nil {
		config.Logger = zap.NewNop()
	}
	r.jobs = job.New(config)
	r.t.Cleanup(r.jobs.Close)
}

func (r *rig) addHost(n int, devs []mogile.DevID) {
	ip := fmt.Sprintf("127.0.0.%d", n) // hosts can't share one
	h := newHost(r.t, ip)
	id := must(r.store.CreateHost(r.t.Context(), mogile.Host{
		Name: mogile.HostName(fmt.Sprint("host", n)), State: mogile.HostAlive,
		IP: ip, Port: h.port(),
	}))(r.t)
	for _, dev := range devs {
		r.check(r.store.CreateDevice(r.t.Context(), mogile.Device{ID: dev, Host: id, State: mogile.DevAlive, Weight: 100}))
		r.hosts[dev] = h
	}
}

// closedPort is one that nobody listens on.
func closedPort(t *testing.T) uint16 {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return uint16(ln.Addr().(*net.TCPAddr).Port)
}

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func (r *rig) check(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// start starts the jobs and waits until all devices were seen in order.
func (r *rig) start() {
	r.t.Helper()
	r.jobs.Start()
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	r.check(r.jobs.Ready(ctx))
}

// upload makes a file whose only copy is on dev, without telling the jobs.
func (r *rig) upload(key mogile.Key, dev mogile.DevID, sum mogile.Checksum) mogile.FID {
	r.t.Helper()
	ctx := r.t.Context()
	fid := must(r.store.OpenUpload(ctx, store.Upload{Domain: r.domain, Key: key, Class: r.class, Devices: []mogile.DevID{dev}}))(r.t)
	r.hosts[dev].put(fid.Path(dev), hello)
	must(r.store.CloseUpload(ctx, store.Closing{
		FID: fid, Dev: dev, Domain: r.domain, Key: key, Class: r.class, Length: int64(len(hello)), Checksum: sum,
	}))(r.t)
	return fid
}

// extraCopy is one more, on a device and recorded.
func (r *rig) extraCopy(fid mogile.FID, dev mogile.DevID) {
	r.t.Helper()
	r.hosts[dev].put(fid.Path(dev), hello)
	r.check(r.store.Store.AddCopy(r.t.Context(), fid, dev))
}

// await returns the next fate of a row.
func (r *rig) await() settled {
	r.t.Helper()
	select {
	case s := <-r.store.settled:
		return s
	case <-time.After(patience):
		r.t.Fatal("nothing became of any queue row")
		return settled{}
	}
}

// becomes wakes a queue and fails the test unless its only row's fate is as given.
func (r *rig) becomes(q store.QueueName, fate string) settled {
	r.t.Helper()
	r.jobs.Wake(q)
	got := r.await()
	if got.fate != fate || got.queue != q {
		r.t.Fatalf("got %+v; want %s in %s", got, fate, q)
	}
	return got
}

// copies lists the recorded copies of a fid.
func (r *rig) copies(fid mogile.FID) []mogile.DevID {
	r.t.Helper()
	return must(r.store.Store.Devices(r.t.Context(), fid))(r.t)
}

// wantCopies fails unless just these copies are recorded and on disk.
func (r *rig) wantCopies(fid mogile.FID, want ...mogile.DevID) {
	r.t.Helper()
	if got := r.copies(fid); !slices.Equal(got, want) {
		r.t.Errorf("fid %d: got copies recorded on %v; want %v", fid, got, want)
	}
	for dev, h := range r.hosts {
		content, there := h.file(fid.Path(dev))
		if wanted := slices.Contains(want, dev); there != wanted || (wanted && content != hello) {
			r.t.Errorf("fid %d: got %q on device %d, there %v; want there %v", fid, content, dev, there, wanted)
		}
	}
}

// lose takes the bytes of a copy away, which stays recorded.
func (r *rig) lose(fid mogile.FID, dev mogile.DevID) {
	h := r.hosts[dev]
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.files, fid.Path(dev))
}

// set stores a setting as it is and has the topology read anew.
func (r *rig) set(field, value string) {
	r.t.Helper()
	r.check(r.store.SetSetting(r.t.Context(), field, value))
	r.check(r.live.Reload(r.t.Context()))
}
