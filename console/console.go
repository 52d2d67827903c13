package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker"
	"github.com/mogilefs/caddy-mogilefs/tracker/job"
	"github.com/mogilefs/caddy-mogilefs/tracker/node"
	"github.com/mogilefs/caddy-mogilefs/tracker/protocol"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

// Trackers carries out commands of the line protocol: [tracker.Tracker] and
// tracker/client's Client do. A refusal is a [*protocol.Error].
type Trackers interface {
	Do(ctx context.Context, command string, args protocol.Pairs) (protocol.Values, error)
}

// Here is what only the tracker of this process can tell; [tracker.Tracker] has the
// contracts. An error means that it could not be asked.
type Here interface {
	HostsReachable(ctx context.Context) (map[mogile.HostID]bool, error)
	Traffic(ctx context.Context) (tracker.Traffic, error)
	Jobs(ctx context.Context) ([]job.Status, error)
	QueueLength(ctx context.Context, q store.QueueName) (tracker.QueueLength, error)
	// Want's error wraps [ErrBadInput] when there is no such job or number.
	Want(ctx context.Context, job string, n int) error
}

// ErrBadInput marks what whoever asked can put right.
var ErrBadInput = errors.New("bad input")

// Config is what a console works with.
type Config struct {
	// Trackers is who is asked. Optional; nil means that this process has no tracker and
	// knows of none.
	Trackers Trackers
	// Here is the tracker of this process. Optional; nil means that there is none.
	Here Here
	// Addresses is where Trackers are, when they are in other processes.
	Addresses []string
	// Storage is the names of the storage nodes of this process.
	Storage []string
	// Edges is how many sites of this process serve files.
	Edges int
	// Version is that of this program.
	Version string
	// Purge forgets what this process remembers. Optional; nil means that it remembers
	// nothing.
	Purge func(Purge) Purged
}

// nodeTimeout bounds connecting to a storage node, and each wait for it.
const nodeTimeout = 3 * time.Second

// Console answers. Its methods may be called by many goroutines.
type Console struct {
	config    Config
	transport *http.Transport // to storage nodes
	nodes     *node.Client    // over transport
}

// New allocates a Console. Close it to drop its idle connections.
func New(config Config) *Console {
	c := &Console{config: config, transport: &http.Transport{
		MaxIdleConnsPerHost: checksAtOnce, IdleConnTimeout: 10 * time.Second, ResponseHeaderTimeout: nodeTimeout,
		DisableCompression: true,
	}}
	c.nodes = node.New(node.Config{ConnTimeout: nodeTimeout, NodeTimeout: nodeTimeout, Transport: c.transport})
	return c
}

// Close drops idle connections. The console can still be used.
func (c *Console) Close() {
	c.nodes.Close()
	c.transport.CloseIdleConnections()
}

// Error is an answer that is none.
type Error struct {
	// Status is that of HTTP.
	Status int
	Err    error
}

// Error is its text.
func (e *Error) Error() string { return e.Err.Error() }

// Unwrap is what went wrong.
func (e *Error) Unwrap() error { return e.Err }

// IsUntold reports whether a tracker answers, but does not tell just this: it is in another
// process, or its admin_allow does not name us.
func IsUntold(err error) bool {
	var e *Error
	return errors.As(err, &e) && (e.Status == http.StatusForbidden || e.Status == http.StatusNotImplemented)
}

func refuse(status int, format string, args ...any) *Error {
	return &Error{Status: status, Err: fmt.Errorf(format, args...)}
}

var (
	errNoTracker = errors.New("there is no tracker in this process, and no site of it names remote ones: " +
		"ask a process that has one, or give an edge its trackers: tracker <address>")
	errNotHere = errors.New("only a process with a tracker knows its jobs and queues, and this one asks trackers of other processes: ask there")
)

// do has a command carried out. Names and values alternate in args; a pair whose value is
// empty is left out.
func (c *Console) do(ctx context.Context, command string, args ...string) (protocol.Values, error) {
	if c.config.Trackers == nil {
		return nil, &Error{http.StatusServiceUnavailable, errNoTracker}
	}
	var pairs protocol.Pairs
	for i := 0; i < len(args); i += 2 {
		if args[i+1] != "" {
			pairs.Add(args[i], args[i+1])
		}
	}
	values, err := c.config.Trackers.Do(ctx, command, pairs)
	if err != nil {
		return nil, asError(err)
	}
	return values, nil
}

// The codes that mean that something is not there, or not now; all others of a refusal mean
// that the request was wrong, but for trouble of the tracker's own.
var (
	notFound = []protocol.Code{
		protocol.UnknownKey, protocol.UnknownFID, protocol.NoDevice, protocol.HostNotFound, protocol.UnknownHost,
		protocol.UnregDomain, protocol.DomainNotFound, protocol.NoRebalState, protocol.NoneMatch,
	}
	notNow = []protocol.Code{
		protocol.FsckRunning, protocol.RebalRunning, protocol.RebalNotStarted, protocol.NoSetRebal,
		protocol.StateTooHigh, protocol.NoRebalPolicy,
	}
	trouble = []protocol.Code{protocol.DB, protocol.Failure}
)

// waysOut is what helps after a refusal.
var waysOut = map[protocol.Code]string{
	protocol.UnregDomain:     "topology lists the domains",
	protocol.UnknownKey:      "keys lists those that begin with a prefix",
	protocol.HostMismatch:    "topology says which host has it",
	protocol.NoDevice:        "topology lists the devices",
	protocol.HostNotFound:    "topology lists the hosts",
	protocol.StateTooHigh:    "set it down first, and alive after that",
	protocol.FsckRunning:     "stop it with fsck/stop",
	protocol.RebalRunning:    "stop it with rebalance/stop",
	protocol.RebalNotStarted: "there is nothing to stop",
	protocol.NoRebalPolicy:   "set one with rebalance/policy",
	protocol.NoRebalState:    "none was started since the last reset; start one with rebalance/start",
	protocol.NoSetRebal:      "stop it with rebalance/stop",
	protocol.NotAllowed:      "the tracker's admin_allow must name this machine",
	protocol.DB:              "see the tracker's log, and whether its database runs",
	protocol.Failure:         "see the tracker's log",
}

// asError gives what a tracker said, or that none answered, its status.
func asError(err error) error {
	var refused *protocol.Error
	if !errors.As(err, &refused) {
		return refuse(http.StatusServiceUnavailable, "no tracker answers: %w: see whether it runs, and its log", err)
	}
	status := http.StatusBadRequest
	switch {
	case slices.Contains(notFound, refused.Code):
		status = http.StatusNotFound
	case slices.Contains(notNow, refused.Code):
		status = http.StatusConflict
	case slices.Contains(trouble, refused.Code):
		status = http.StatusServiceUnavailable
	case refused.Code == protocol.NotAllowed:
		status = http.StatusForbidden
	}
	if way := waysOut[refused.Code]; way != "" {
		return refuse(status, "%w; %s", refused, way)
	}
	return &Error{Status: status, Err: refused}
}
