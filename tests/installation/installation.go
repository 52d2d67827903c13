package installation

import (
	"net"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tests/process"
	"github.com/mogilefs/caddy-mogilefs/tracker"
	"github.com/mogilefs/caddy-mogilefs/tracker/client"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
	"github.com/mogilefs/caddy-mogilefs/tracker/store/sqlstore"
)

// patience bounds the monitor's first looks, on a busy machine.
const patience = time.Minute

// Installation is a tracker with its storage nodes.
type Installation struct {
	// Tracker is the tracker's address.
	Tracker string
	// Management is the port of the nodes' side channels.
	Management uint16
	// Store is what the tracker keeps.
	Store store.Store
	// Nodes are the storage nodes, in the order of the hosts.
	Nodes []*Node

	t       testing.TB
	tracker *tracker.Tracker
}

// New starts an installation, and returns when all its devices are writeable.
func New(t testing.TB, hosts ...Host) *Installation {
	t.Helper()
	management := process.FreePorts(t, 1)[0]
	in := &Installation{t: t, Management: uint16(management)}
	wanted := tracker.Declaration{}
	for _, h := range hosts {
		n := startNode(t, h, management)
		in.Nodes = append(in.Nodes, n)
		wanted.Hosts = append(wanted.Hosts, tracker.DeclaredHost{Name: h.Name, IP: h.IP, Port: n.Port})
		for _, dev := range h.Devices {
			wanted.Devices = append(wanted.Devices, tracker.DeclaredDevice{DevID: dev, Host: h.Name})
		}
	}
	in.start()
	in.Declare(wanted)
	in.awaitWriteable(len(wanted.Devices))
	return in
}

func (in *Installation) start() {
	in.t.Helper()
	st, err := sqlstore.OpenSQLite(in.t.Context(), filepath.Join(in.t.TempDir(), "mogilefs.db"), zap.NewNop())
	if err != nil {
		in.t.Fatal(err)
	}
	in.Store = st
	log := zaptest.NewLogger(in.t, zaptest.Level(zap.ErrorLevel))
	in.tracker, err = tracker.New(tracker.Config{Store: st, MinFreeMB: -1, MgmtPort: in.Management, Hostname: "tracker1", Logger: log})
	if err != nil {
		in.t.Fatal(err, st.Close())
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		in.t.Fatal(err)
	}
	in.Tracker = ln.Addr().String()
	served := make(chan error, 1)
	go func() { served <- in.tracker.Serve(ln) }() // the cleanup waits for it
	in.t.Cleanup(func() {
		if err := in.tracker.Close(); err != nil {
			in.t.Error(err)
		}
		if err := <-served; err != nil {
			in.t.Error(err)
		}
	})
}

// Declare has the tracker enter what is missing.
func (in *Installation) Declare(d tracker.Declaration) {
	in.t.Helper()
	if err := in.tracker.Declare(in.t.Context(), d); err != nil {
		in.t.Fatal(err)
	}
}

// Set sets settings of the tracker in its tables.
func (in *Installation) Set(keysAndValues ...string) {
	in.t.Helper()
	for i := 0; i < len(keysAndValues); i += 2 {
		if err := in.Store.SetSetting(in.t.Context(), keysAndValues[i], keysAndValues[i+1]); err != nil {
			in.t.Fatal(err)
		}
	}
}

// AwaitJobs waits until no file is to be replicated.
func (in *Installation) AwaitJobs() {
	in.t.Helper()
	process.Eventually(in.t, patience, "empty queue", func() bool {
		n, err := in.Store.DueWithin(in.t.Context(), store.ReplicateQueue, 24*time.Hour)
		return err == nil && n == 0
	})
}

// Client is a client of the tracker; it ends with the test.
func (in *Installation) Client() *client.Client {
	in.t.Helper()
	c, err := client.New(client.Config{Addresses: []string{in.Tracker}, Timeout: patience})
	if err != nil {
		in.t.Fatal(err)
	}
	in.t.Cleanup(func() { _ = c.Close() })
	return c
}

// Await waits until the devices are as cond wants them.
func (in *Installation) Await(what string, cond func([]client.Device) bool) {
	in.t.Helper()
	c := in.Client()
	process.Eventually(in.t, patience, what, func() bool {
		list, err := c.Devices(in.t.Context())
		return err == nil && cond(list)
	})
}

func (in *Installation) awaitWriteable(n int) {
	in.t.Helper()
	in.Await("writeable devices", func(list []client.Device) bool {
		writeable := 0
		for _, d := range list {
			if d.Observed == "writeable" && d.Utilization != "" && d.MBTotal > 0 {
				writeable++
			}
		}
		return writeable == n
	})
}

// Host is a host with its storage node.
type Host struct {
	Name mogile.HostName
	// IP is the loopback address that it is on.
	IP      string
	Devices []mogile.DevID
	// Usage is what each device says of its disk; nil means the truth.
	Usage *Usage
}

// Usage is a usage file, in KiB.
type Usage struct{ Total, Used, Available int64 }
