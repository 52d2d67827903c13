package edge

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/cache"
	"github.com/mogilefs/caddy-mogilefs/edge/background"
	"github.com/mogilefs/caddy-mogilefs/edge/buffer"
	"github.com/mogilefs/caddy-mogilefs/edge/health"
	"github.com/mogilefs/caddy-mogilefs/edge/hedge"
	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tally"
)

// Config is what an [Edge] is made of.
type Config struct {
	// Tracker is required.
	Tracker Tracker
	// Disks are the devices of this process; nil means none.
	Disks Disks
	// Locations remembers where files are; nil means that every request asks the
	// tracker.
	Locations *cache.Locations
	// Contents keeps small files in memory, and has files that many ask for fetched
	// once; nil means neither.
	Contents *cache.Contents
	// Transport carries requests to nodes; nil means one of our own, with pooled
	// connections.
	Transport http.RoundTripper
	// Health is what is known of the nodes, and outlives the Edge; nil means a board of its
	// own.
	Health *health.Board
	// Hedge is how long the first byte of a copy may take before a second copy is asked as
	// well; 0 means that none ever is.
	Hedge    time.Duration
	Timeouts Timeouts
	// MaxUpload is the largest upload in bytes; 0 means no limit.
	MaxUpload int64
	// Copies is how many devices an upload is on before it is answered; 0 means 1.
	Copies int
	// NoChecksum leaves uploads unhashed, but for those with a Content-MD5.
	NoChecksum bool
	// CacheControl is sent with every file; empty means none.
	CacheControl string
	// CacheStatus tells clients by a Cache-Status header (RFC 9211) how far the caches
	// helped.
	CacheStatus bool
	// ServerTiming tells clients by a Server-Timing header how long the edge took for
	// what.
	ServerTiming bool
	// Tally is where is counted what comes of requests; nil means that nobody wants to know.
	Tally *tally.Edge
	// Trace is called when a request begins to wait for something, which may be a device's, and what it
	// returns when that ends; the context is for what is waited for. nil means that nobody wants to know.
	Trace func(ctx context.Context, what string, dev mogile.DevID) (context.Context, func(error))
	// Logger is required.
	Logger *zap.Logger
}

// Timeouts bound what the edge waits for.
type Timeouts struct {
	// Tracker is for a question to the tracker; 0 means 2 s. Opening and closing an
	// upload get FirstByte in addition, because the tracker asks nodes for them.
	Tracker time.Duration
	// Connect is for a connection to a node, with a Transport of our own; 0 means 2 s.
	Connect time.Duration
	// FirstByte is from the request to a node to its answer; 0 means 10 s.
	FirstByte time.Duration
	// Idle is for a node to send or take the next bytes; 0 means 30 s.
	Idle time.Duration
}

func (t Timeouts) withDefaults() Timeouts {
	def := func(d *time.Duration, to time.Duration) {
		if *d == 0 {
			*d = to
		}
	}
	def(&t.Tracker, 2*time.Second)
	def(&t.Connect, 2*time.Second)
	def(&t.FirstByte, 10*time.Second)
	def(&t.Idle, 30*time.Second)
	return t
}

// Validate reports the first field that can't be used.
func (c Config) Validate() error {
	t := c.Timeouts
	switch {
	case c.Tracker == nil:
		return errors.New("edge without a tracker")
	case c.Logger == nil:
		return errors.New("edge without a logger")
	case t.Tracker < 0 || t.Connect < 0 || t.FirstByte < 0 || t.Idle < 0:
		return fmt.Errorf("timeouts %+v: want none below 0", t)
	case c.Hedge < 0:
		return fmt.Errorf("hedge after %v: want 0 for never, or more", c.Hedge)
	case c.Copies < 0:
		return fmt.Errorf("%d copies of an upload: want 0 for one, or more", c.Copies)
	case c.MaxUpload < 0:
		return fmt.Errorf("largest upload of %d bytes: want 0 for no limit, or more", c.MaxUpload)
	}
	return nil
}

// Edge serves files. Its methods may be called by many goroutines.
type Edge struct {
	config  Config
	log     *zap.Logger
	nodes   http.RoundTripper
	pool    *http.Transport // nodes, when it is ours
	buffers buffer.Pool
	health  *health.Board
	tally   *tally.Edge
	ours    *health.Board // health, when it is ours
	parts   *buffer.Parts
	hedges  hedge.Budget
	// oneCopy is for saying once that the tracker records one copy of an upload only.
	oneCopy sync.Once
	// background is probes, reports to the tracker, and attempts.
	background *background.Background
	load       cache.Load // askTracker, made once and not by each request
}

// New returns an Edge. Close it after use.
func New(config Config) (*Edge, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	config.Timeouts = config.Timeouts.withDefaults()
	e := &Edge{config: config, log: config.Logger, nodes: config.Transport, health: config.Health, tally: config.Tally, background: background.New()}
	if e.health == nil {
		e.ours = health.New(config.Logger)
		e.health = e.ours
	}
	if e.config.Trace == nil {
		e.config.Trace = func(ctx context.Context, _ string, _ mogile.DevID) (context.Context, func(error)) {
			return ctx, func(error) {}
		}
	}
	if e.tally == nil {
		e.tally = new(tally.Edge)
	}
	e.load = e.askTracker
	e.parts = buffer.NewParts(&e.buffers)
	if e.nodes == nil {
		e.pool = newPool(config.Timeouts.Connect)
		e.nodes = e.pool
	}
	return e, nil
}

// Close ends what is done beside requests, and lets go of idle connections to nodes.
// Requests under way go on.
func (e *Edge) Close() {
	e.background.Close()
	if e.ours != nil {
		e.ours.Close()
	}
	if e.pool != nil {
		e.pool.CloseIdleConnections()
	}
}

const (
	// idlePerNode is how many connections wait for the next request: as many as a
	// busy node is asked at once.
	idlePerNode = 64
	// idleFor is less than the 30 s after which nodes close idle connections
	// (docs/spec/storage-node.md §2.1), or a request could meet a closing one.
	idleFor = 25 * time.Second
	// maxNodeHeader is far above what a node sends and far below what hurts.
	maxNodeHeader = 64 << 10
)

// newPool has no proxy and asks for no compression: nodes are near and files are
// sent as they are.
func newPool(connect time.Duration) *http.Transport {
	return &http.Transport{
		DialContext:            (&net.Dialer{Timeout: connect}).DialContext,
		MaxIdleConnsPerHost:    idlePerNode,
		IdleConnTimeout:        idleFor,
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxNodeHeader,
	}
}

// Request says which file an HTTP request is about.
type Request struct {
	Domain mogile.DomainName
	Key    mogile.Key
	// FID, unless it is 0, is the content that is asked for, whatever its key; Key is not
	// looked at then. Only for a GET or HEAD.
	FID mogile.FID
	// Class is for uploads; empty means the domain's default.
	Class mogile.ClassName
	// Outcome, unless it is nil, learns what becomes of the request.
	Outcome *Outcome
}

func (q Request) field() zap.Field {
	return zap.Dict("file", zap.String("domain", string(q.Domain)), zap.String("key", string(q.Key)))
}

// Serve answers a GET, HEAD, PUT, POST or DELETE; other methods are the caller's to
// refuse. It returns nil when the request was answered. It returns an *[Error],
// and nothing else, when nothing was written yet: the caller answers. When a body
// can't be finished after its header went out, Serve panics with
// [http.ErrAbortHandler], which closes the connection (or resets the stream), so
// that no client takes a part for the whole and no error page is written into it.
func (e *Edge) Serve(w http.ResponseWriter, r *http.Request, req Request) error {
	refuseUnread(w, r)
	if req.Outcome == nil {
		req.Outcome = new(Outcome)
	}
	req.Outcome.Begin(e.config.ServerTiming)
	defer req.Outcome.Count(e.tally, tally.MethodOf(r.Method))
	err := e.serve(w, r, req)
	if err == nil {
		req.Outcome.Over()
		return nil
	}
	req.Outcome.End = err.end
	return err
}

func (e *Edge) serve(w http.ResponseWriter, r *http.Request, req Request) *Error {
	if req.FID != 0 {
		req.Key = fidKey(req.FID)
	} else if err := req.Key.Validate(); err != nil {
		return badRequest("%w", err)
	}
	switch r.Method {
	case http.MethodPut, http.MethodPost:
		return e.put(w, r, req)
	case http.MethodDelete:
		return e.remove(w, r, req)
	}
	return e.read(w, r, req)
}

func (e *Edge) trackerContext(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, e.config.Timeouts.Tracker)
}
