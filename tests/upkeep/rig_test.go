package upkeep

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/binary"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tests/database"
	"github.com/mogilefs/caddy-mogilefs/tests/process"
	"github.com/mogilefs/caddy-mogilefs/tracker/client"
	"github.com/mogilefs/caddy-mogilefs/tracker/protocol"
	_ "github.com/mogilefs/caddy-mogilefs/tracker/store/sqlstore" // with it comes the driver
)

// files is how many each installation is filled with.
var files int

func TestMain(m *testing.M) {
	flag.IntVar(&files, "files", 1000, "how many files each of the three installations is filled with")
	database.Main(m)
}

const (
	// clients is how many upload and read at once.
	clients = 8
	// patience is when a test gives up. What a dead tracker had claimed comes back after
	// a minute; all tests share two processors.
	patience = 5 * time.Minute

	domain = "images"
	class  = "pair" // two copies
)

// hosts are the addresses of the storage nodes; host n has the devices 2n-1 and 2n.
var hosts = []string{"127.0.0.11", "127.0.0.12", "127.0.0.13"}

func hostOf(dev mogile.DevID) int { return int(dev-1) / 2 }

// rig is an installation.
type rig struct {
	t        *testing.T
	began    time.Time
	db       *sql.DB
	trackers []*tracker
	nodes    []*node
	http     *http.Client
	living   []mogile.DevID
}

type tracker struct {
	*process.Caddy
	*client.Client
	addr string
}

type node struct {
	*process.Caddy
	addr, root string
}

// options is what an installation may differ in.
type options struct {
	// apart: each tracker's machine has a name of its own, if that can be done here.
	apart bool
}

// newRig starts everything and waits until both trackers see all devices in order.
func newRig(t *testing.T, o options) *rig {
	t.Helper()
	r := &rig{t: t, began: time.Now(), living: []mogile.DevID{1, 2, 3, 4, 5, 6}}
	transport := &http.Transport{MaxIdleConnsPerHost: clients}
	t.Cleanup(transport.CloseIdleConnections)
	r.http = &http.Client{Transport: transport, Timeout: time.Minute}
	dsn := database.MariaDB(t).MustCreate(t, "")
	var err error
	if r.db, err = sql.Open("mysql", dsn); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.db.Close() })
	management := process.FreePorts(t, 1)[0]
	for n := range 2 {
		r.startTracker(dsn, management, fmt.Sprintf("tracker%d", n+1), o.apart)
	}
	for n := range hosts {
		r.startNode(n, management)
	}
	for _, k := range r.trackers {
		process.Eventually(t, patience, "six devices in order", func() bool { return r.inOrder(k) == len(r.living) })
	}
	r.logf("two trackers and three nodes run")
	return r
}

func (r *rig) startTracker(dsn string, management int, name string, apart bool) {
	r.t.Helper()
	addr := fmt.Sprintf("127.0.0.1:%d", process.FreePorts(r.t, 1)[0])
	command := process.Binary(r.t)
	if apart {
		command = onMachine(r.t, name, command)
	}
	caddy := process.Start(r.t, process.Options{
		Binary: command, Ready: []string{addr},
		Caddyfile: fmt.Sprintf(`{
	mogilefs {
		tracker {
			listen %s
			database mysql "%s"
			setting mogstored_stream_port %d
		}
		domain %s {
			class %s 2 {
				hashtype MD5
			}
		}
	}
}
`, addr, dsn, management, domain, class),
	})
	c, err := client.New(client.Config{Addresses: []string{addr}, Timeout: time.Minute})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = c.Close() })
	r.trackers = append(r.trackers, &tracker{Caddy: caddy, Client: c, addr: addr})
}

// startNode starts a storage node that enters itself, and logs who asks it for what.
func (r *rig) startNode(n, management int) {
	r.t.Helper()
	dir, ip := r.t.TempDir(), hosts[n]
	port := process.FreePorts(r.t, 1)[0]
	at := &node{addr: fmt.Sprintf("%s:%d", ip, port), root: filepath.Join(dir, "storage")}
	// Without the race detector: this is about trackers, and all share two processors.
	at.Caddy = process.Start(r.t, process.Options{
		Dir: dir, Binary: process.PlainBinary(r.t), Ready: []string{at.addr},
		Caddyfile: fmt.Sprintf(`{
	mogilefs {
		storage node%[1]d {
			root storage
			devices %[2]d %[3]d
			address %[4]s
			management %[5]s:%[6]d
			register %[7]s
		}
	}
}
http://:%[8]d {
	bind %[5]s
	log {
		output file %[9]s {
			roll_disabled
		}
	}
	mogilefs_storage node%[1]d
}
`, n+1, 2*n+1, 2*n+2, at.addr, ip, management, r.trackers[0].addr, port, accessLog),
	})
	r.nodes = append(r.nodes, at)
}

// inOrder is how many devices a tracker sees in order.
func (r *rig) inOrder(k *tracker) int {
	n := 0
	for name, value := range r.do(k, "get_devices") {
		if strings.HasSuffix(name, "_observed_state") && value == "writeable" {
			n++
		}
	}
	return n
}

// utilized is of how many devices a tracker knows how busy they are.
func (r *rig) utilized(k *tracker) int {
	n := 0
	for name, value := range r.do(k, "get_devices") {
		if strings.HasSuffix(name, "_utilization") && value != "" {
			n++
		}
	}
	return n
}

// stateSeen is a device's state as a tracker has it.
func (r *rig) stateSeen(k *tracker, dev mogile.DevID) string {
	values := r.do(k, "get_devices", "devid", dev.String())
	return values["dev1_status"]
}

// do gives a command that is not refused.
func (r *rig) do(k *tracker, command string, args ...string) protocol.Values {
	r.t.Helper()
	var pairs protocol.Pairs
	for i := 0; i < len(args); i += 2 {
		pairs.Add(args[i], args[i+1])
	}
	values, err := k.Do(r.t.Context(), command, pairs)
	if err != nil {
		r.t.Fatalf("%s %q: got %v; want OK\n%s", command, args, err, k.Tail())
	}
	return values
}

func (r *rig) set(key, value string) {
	r.t.Helper()
	r.do(r.trackers[0], "set_server_setting", "key", key, "value", value)
}

// logf says what happens when, for whoever wonders where the time goes.
func (r *rig) logf(format string, args ...any) {
	r.t.Helper()
	r.t.Logf("%5.1fs %s", time.Since(r.began).Seconds(), fmt.Sprintf(format, args...))
}

// sizes repeat; every fiftieth file is large besides.
var sizes = []int{1, 700, 4 << 10, 20 << 10, 48 << 10}

const large = 1 << 20

// content is that of file i, which nobody has to remember.
func content(i int) []byte {
	size := sizes[i%len(sizes)]
	if i%50 == 49 {
		size = large
	}
	var seed [32]byte
	binary.BigEndian.PutUint64(seed[:], uint64(i))
	b := make([]byte, size)
	_, _ = rand.NewChaCha8(seed).Read(b) // never fails
	return b
}

func key(i int) mogile.Key { return mogile.Key(fmt.Sprintf("%05d", i)) }

// upload stores file i as clients do.
func (r *rig) upload(ctx context.Context, k *tracker, i int) error {
	body := content(i)
	opened, err := k.OpenUpload(ctx, client.Upload{Domain: domain, Key: key(i), Class: class, Size: int64(len(body))})
	if err != nil {
		return fmt.Errorf("open %s: %w", key(i), err)
	}
	to := opened.Destinations[0]
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, to.URL, bytes.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := r.http.Do(req)
	if err != nil {
		return err
	}
	text, _ := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusCreated {
		return fmt.Errorf("put %s: got %s %s; want 201", key(i), resp.Status, text)
	}
	err = k.CloseUpload(ctx, client.Closing{Domain: domain, Key: key(i), FID: opened.FID, Copy: to, Size: int64(len(body))})
	if err != nil {
		return fmt.Errorf("close %s: %w", key(i), err)
	}
	return nil
}

// fill uploads all files through both trackers, waits until each has its copies, and fails
// unless each was copied once.
func (r *rig) fill() {
	r.t.Helper()
	uploads, ctx := errgroup.WithContext(r.t.Context())
	uploads.SetLimit(clients)
	for i := range files {
		uploads.Go(func() error { return r.upload(ctx, r.trackers[i%len(r.trackers)], i) })
	}
	if err := uploads.Wait(); err != nil {
		r.t.Fatal(err)
	}
	r.logf("%d files are uploaded", files)
	r.awaitIdle()
	r.logf("and replicated")
	r.wantCopiedOnce()
}
