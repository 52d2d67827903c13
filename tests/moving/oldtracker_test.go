package moving

import (
	"bufio"
	"context"
	"errors"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tests/legacy"
	"github.com/mogilefs/caddy-mogilefs/tracker/protocol"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

// images is the domain, as the database has it.
const images = mogile.DomainID(1)

// oldTracker is a mogilefsd: a listener that comes and goes before a player of what its
// workers do to the database. It knows the nodes, and whether each is alive.
type oldTracker struct {
	t     *testing.T
	addr  string
	nodes []*oldNode
	http  *http.Client

	worker *legacy.Tracker // replicates

	mu    sync.Mutex      // guards the three below
	db    *legacy.Tracker // answers, one client after the other
	asked int             // which device is offered first
	conns map[net.Conn]bool

	ln   net.Listener // nil while it is stopped
	ends context.CancelFunc
	all  sync.WaitGroup
}

func newOldTracker(t *testing.T, d *legacy.Database, port int, nodes []*oldNode) *oldTracker {
	t.Helper()
	o := &oldTracker{
		t: t, addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), nodes: nodes,
		db: d.Tracker(t, "old.example.com"), worker: d.Tracker(t, "old.example.com"),
		http: &http.Client{Timeout: 10 * time.Second}, conns: map[net.Conn]bool{},
	}
	t.Cleanup(o.stop)
	o.start()
	return o
}

// start has it answer clients and replicate files.
func (o *oldTracker) start() {
	o.t.Helper()
	ln, err := net.Listen("tcp", o.addr)
	if err != nil {
		o.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	o.ln, o.ends = ln, cancel
	o.all.Go(func() { o.accept(ctx, ln) })
	o.all.Go(func() { o.replicate(ctx) })
}

// stop ends it: commands under way are answered, and then connections break.
func (o *oldTracker) stop() {
	if o.ln == nil {
		return
	}
	o.ends()
	o.ln.Close()
	o.mu.Lock()
	for conn := range o.conns {
		conn.Close()
	}
	o.mu.Unlock()
	o.all.Wait()
	o.ln = nil
}

func (o *oldTracker) accept(ctx context.Context, ln net.Listener) {
	for {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		o.mu.Lock()
		o.conns[conn] = true
		o.mu.Unlock()
		o.all.Go(func() { o.converse(ctx, conn) })
	}
}

func (o *oldTracker) converse(ctx context.Context, conn net.Conn) {
	defer func() {
		conn.Close()
		o.mu.Lock()
		defer o.mu.Unlock()
		delete(o.conns, conn)
	}()
	for in := bufio.NewScanner(conn); ctx.Err() == nil && in.Scan(); {
		if _, err := conn.Write(o.answer(in.Bytes())); err != nil {
			return
		}
	}
}

// answer carries a command out.
func (o *oldTracker) answer(line []byte) []byte {
	req := protocol.Parse(line)
	o.mu.Lock()
	defer o.mu.Unlock()
	var r protocol.Response
	r.Pairs, r.Err = o.run(req)
	return r.Append(nil, req)
}

func (o *oldTracker) run(req protocol.Request) (out protocol.Pairs, refusal *protocol.Error) {
	commands := map[string]func(context.Context, protocol.Request, *protocol.Pairs) error{
		"noop":        func(context.Context, protocol.Request, *protocol.Pairs) error { return nil },
		"create_open": o.open, "create_close": o.closeUpload, "get_paths": o.paths, "file_info": o.info,
	}
	do := commands[req.Command]
	if do == nil {
		return out, protocol.Fail(protocol.UnknownCommand)
	}
	switch err := do(context.Background(), req, &out); {
	case errors.Is(err, store.ErrNotFound):
		return out, protocol.Fail(protocol.UnknownKey)
	case err != nil:
		o.t.Logf("old tracker: %s: %v", req.Command, err)
		return out, protocol.Fail(protocol.Failure)
	}
	return out, nil
}

// alive is the nodes whose hosts take files.
func (o *oldTracker) alive(ctx context.Context, db *legacy.Tracker) (alive []*oldNode, err error) {
	for _, n := range o.nodes {
		state, err := db.HostState(ctx, hostName(n.dev))
		if err != nil {
			return nil, err
		}
		if state == mogile.HostAlive {
			alive = append(alive, n)
		}
	}
	return alive, nil
}

func (o *oldTracker) open(ctx context.Context, req protocol.Request, out *protocol.Pairs) error {
	alive, err := o.alive(ctx, o.db)
	if err != nil {
		return err
	}
	o.asked++
	if o.asked%2 == 0 {
		slices.Reverse(alive)
	}
	var devs []mogile.DevID
	for _, n := range alive {
		devs = append(devs, n.dev)
	}
	fid, err := o.db.Open(ctx, store.Upload{Domain: images, Key: mogile.Key(req.Arg("key")), Devices: devs})
	if err != nil {
		return err
	}
	out.Add("fid", fid.String())
	out.AddInt("dev_count", int64(len(alive)))
	for i, n := range alive {
		suffix := "_" + strconv.Itoa(i+1)
		out.Add("devid"+suffix, n.dev.String())
		out.Add("path"+suffix, n.base()+fid.Path(n.dev))
	}
	return nil
}

func (o *oldTracker) closeUpload(ctx context.Context, req protocol.Request, _ *protocol.Pairs) error {
	fid, err := mogile.ParseFID(req.Arg("fid"))
	if err != nil {
		return err
	}
	dev, err := mogile.ParseDevID(req.Arg("devid"))
	if err != nil {
		return err
	}
	_, err = o.db.Close(ctx, store.Closing{FID: fid, Dev: dev, Domain: images, Key: mogile.Key(req.Arg("key")), Length: protocol.Num(req.Arg("size"))})
	return err
}

func (o *oldTracker) paths(ctx context.Context, req protocol.Request, out *protocol.Pairs) error {
	fid, err := o.db.Find(ctx, images, mogile.Key(req.Arg("key")))
	if err != nil {
		return err
	}
	on, err := o.db.Devices(ctx, fid)
	if err != nil {
		return err
	}
	out.AddInt("paths", int64(len(on)))
	for i, dev := range on {
		out.Add("path"+strconv.Itoa(i+1), o.node(dev).base()+fid.Path(dev))
	}
	return nil
}

func (o *oldTracker) info(ctx context.Context, req protocol.Request, out *protocol.Pairs) error {
	fid, err := o.db.Find(ctx, images, mogile.Key(req.Arg("key")))
	if err != nil {
		return err
	}
	length, err := o.db.Length(ctx, fid)
	if err != nil {
		return err
	}
	out.Add("fid", fid.String())
	out.AddInt("length", length)
	return nil
}

func (o *oldTracker) node(dev mogile.DevID) *oldNode {
	for _, n := range o.nodes {
		if n.dev == dev {
			return n
		}
	}
	return nil
}

// replicate brings files to all nodes until it is stopped.
func (o *oldTracker) replicate(ctx context.Context) {
	pause := time.NewTicker(20 * time.Millisecond)
	defer pause.Stop()
	for {
		if err := o.replicateSome(); err != nil {
			o.t.Logf("old tracker: replicate: %v", err)
		}
		select {
		case <-pause.C:
		case <-ctx.Done():
			return
		}
	}
}

func (o *oldTracker) replicateSome() error {
	ctx := context.Background()
	alive, err := o.alive(ctx, o.worker)
	if err != nil || len(alive) < len(o.nodes) {
		return err // one who is not alive gets no copies
	}
	items, err := o.worker.Claim(ctx, store.ReplicateQueue, 5)
	if err != nil {
		return err
	}
	var wanted []mogile.DevID
	for _, n := range o.nodes {
		wanted = append(wanted, n.dev)
	}
	for _, i := range items {
		if _, err := o.worker.Replicate(ctx, i, wanted, o.copyTo); err != nil {
			return err
		}
	}
	return nil
}

// copyTo makes a copy; ErrNoSource has it tried again later.
func (o *oldTracker) copyTo(fid mogile.FID, to mogile.DevID) error {
	for _, from := range o.nodes {
		if from.dev == to {
			continue
		}
		if err := o.transfer(from.base()+fid.Path(from.dev), o.node(to).base()+fid.Path(to)); err == nil {
			return nil
		}
	}
	return legacy.ErrNoSource
}

func (o *oldTracker) transfer(from, to string) error {
	source, err := o.http.Get(from)
	if err != nil {
		return err
	}
	defer source.Body.Close()
	if source.StatusCode != http.StatusOK {
		return errors.New(from + ": " + source.Status)
	}
	req, err := http.NewRequest(http.MethodPut, to, source.Body)
	if err != nil {
		return err
	}
	req.ContentLength = source.ContentLength
	resp, err := o.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return errors.New(to + ": " + resp.Status)
	}
	return nil
}
