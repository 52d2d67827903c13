package node

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync"
	"time"
)

const (
	defaultTimeout     = 2 * time.Second  // node_timeout and conn_timeout of docs/spec/storage-node.md §6
	defaultCopyTimeout = 45 * time.Second // docs/spec/jobs.md §4.2
	defaultManagement  = 7501             // mogstored_stream_port

	// maxIdlePerHost and idleTimeout bound the pool: as many connections as the peer
	// keeps in all, each dropped before a node hangs up on it (30 s, storage-node.md
	// §2.1), so that hardly a request meets a dead one.
	maxIdlePerHost = 20
	idleTimeout    = 20 * time.Second

	// connBuffer is the size of a connection's buffers: a small file and its header come
	// and go in one piece.
	connBuffer = 16 << 10

	// maxDrain is how much of an unwanted body is read to save the connection.
	maxDrain = 64 << 10
)

// Config is what an operator can say about talking to nodes.
type Config struct {
	// ConnTimeout bounds connecting, and each answer to the monitor; 0 means 2 s.
	ConnTimeout time.Duration
	// NodeTimeout bounds each wait for a node to go on; 0 means 2 s.
	NodeTimeout time.Duration
	// CopyTimeout bounds each wait of either node during a copy; 0 means 45 s.
	CopyTimeout time.Duration
	// Management is the side channel's port on all nodes; 0 means 7501.
	Management uint16
	// SkipMKCOL is asked before directories are made: true means they are not,
	// because the nodes make them with PUT. Optional; nil means never.
	SkipMKCOL func() bool
	// Disks are asked for lengths before the node is. Optional; nil means that all nodes
	// are elsewhere.
	Disks Disks
	// Transport carries the requests; nil means pooled connections of the client's
	// own.
	Transport http.RoundTripper
}

func (c Config) withDefaults() Config {
	if c.ConnTimeout == 0 {
		c.ConnTimeout = defaultTimeout
	}
	if c.NodeTimeout == 0 {
		c.NodeTimeout = defaultTimeout
	}
	if c.CopyTimeout == 0 {
		c.CopyTimeout = defaultCopyTimeout
	}
	if c.Management == 0 {
		c.Management = defaultManagement
	}
	if c.SkipMKCOL == nil {
		c.SkipMKCOL = func() bool { return false }
	}
	return c
}

// Client talks to nodes. Its methods may be called by many goroutines.
type Client struct {
	config Config
	http   *http.Client
	own    *http.Transport // the pool to close; nil when the transport was handed in
	dialer net.Dialer

	madeDirs   *memory // MKCOL succeeded
	noMKCOL    *memory // devices that don't know it
	noChannels *memory // hosts whose side channel can't be reached
	channels   *channels

	looks sync.WaitGroup // at disks of this process
}

// New makes a client. Close it to drop its idle connections.
func New(config Config) *Client {
	c := &Client{
		config:   config.withDefaults(),
		madeDirs: newMemory(), noMKCOL: newMemory(), noChannels: newMemory(),
	}
	c.dialer = net.Dialer{Timeout: c.config.ConnTimeout}
	c.channels = newChannels(&c.dialer)
	transport := c.config.Transport
	if transport == nil {
		c.own = &http.Transport{
			DialContext:         c.dialer.DialContext,
			MaxIdleConnsPerHost: maxIdlePerHost,
			IdleConnTimeout:     idleTimeout,
			ReadBufferSize:      connBuffer,
			WriteBufferSize:     connBuffer,
			DisableCompression:  true, // lengths must be those of the bytes on disk
		}
		transport = c.own
	}
	c.http = &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c
}

// Close drops the idle connections, and waits as long as for a node for looks at disks that
// nobody waits for any more. No question may be asked any more.
func (c *Client) Close() {
	c.awaitLooks()
	c.channels.close()
	if c.own != nil {
		c.own.CloseIdleConnections()
	}
}

// request is one exchange with a node.
type request struct {
	method, url string
	header      http.Header // or nil
	body        io.Reader   // or nil
	length      int64       // of a body whose type does not tell it; 0 means the type does
	wait        time.Duration
	leash       *leash // or nil: one is made
}

// send returns the node's answer, whatever its status. The caller must close the body,
// or finish it with drain.
func (c *Client) send(ctx context.Context, r request) (*http.Response, error) {
	l := r.leash
	if l == nil {
		ctx, l = newLeash(ctx, r.wait)
	}
	pooled := false
	trace := &httptrace.ClientTrace{GotConn: func(got httptrace.GotConnInfo) {
		pooled = got.Reused
		l.extend(r.wait)
	}}
	req, err := http.NewRequestWithContext(httptrace.WithClientTrace(ctx, trace), r.method, r.url, r.body)
	if err != nil {
		l.drop()
		if body, ok := r.body.(io.Closer); ok { // as the transport would
			_ = body.Close()
		}
		return nil, fmt.Errorf("ask a node: %w", err)
	}
	if r.length > 0 {
		req.ContentLength = r.length
	}
	if r.header != nil {
		req.Header = r.header
	}
	req.Header.Set("User-Agent", "caddy-mogilefs")
	// All we ask for can be asked twice. The empty key lets the transport try again on
	// a connection that had died in the pool; it is not sent.
	req.Header["Idempotency-Key"] = []string{}

	l.extend(c.config.ConnTimeout + r.wait)
	resp, err := c.http.Do(req)
	if err != nil {
		if err = l.blame(err); pooled && l.ctx.Err() == nil {
			err = fmt.Errorf("%w: %w", errStale, err)
		}
		l.drop()
		return nil, err
	}
	l.rest()
	resp.Body = &leashedBody{body: resp.Body, leash: l, wait: r.wait}
	return resp, nil
}

// drain finishes with an answer so that its connection can be used again.
func drain(resp *http.Response) {
	_, _ = io.CopyN(io.Discard, resp.Body, maxDrain)
	_ = resp.Body.Close()
}

// leash cancels an exchange that makes no progress.
type leash struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	timer  *time.Timer
}

func newLeash(ctx context.Context, wait time.Duration) (context.Context, *leash) {
	ctx, cancel := context.WithCancelCause(ctx)
	timer := time.AfterFunc(wait, func() { cancel(fmt.Errorf("%w: no progress in time", ErrTimeout)) })
	return ctx, &leash{ctx, cancel, timer}
}

// extend gives the node so much time from now on.
func (l *leash) extend(wait time.Duration) { l.timer.Reset(wait) }

// rest stops the clock: it is not the node's turn.
func (l *leash) rest() { l.timer.Stop() }

// drop ends the exchange.
func (l *leash) drop() {
	l.timer.Stop()
	l.cancel(context.Canceled)
}

// blame replaces an error that only says the exchange was cancelled by why it was.
func (l *leash) blame(err error) error {
	if cause := context.Cause(l.ctx); cause != nil {
		return cause
	}
	return err
}

// leashedBody gives the node so much time for each piece of its answer. The clock
// stands still between reads.
type leashedBody struct {
	body  io.ReadCloser
	leash *leash
	wait  time.Duration
}

func (b *leashedBody) Read(p []byte) (int, error) {
	b.leash.extend(b.wait)
	defer b.leash.rest()
	n, err := b.body.Read(p)
	if err != nil && err != io.EOF {
		err = b.leash.blame(err)
	}
	return n, err
}

func (b *leashedBody) Close() error {
	defer b.leash.drop()
	return b.body.Close()
}
