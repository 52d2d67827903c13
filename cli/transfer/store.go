package transfer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/client"
)

const (
	// connectTimeout bounds the connection to a node.
	connectTimeout = 10 * time.Second
	// idleTimeout is how long a node may take or give nothing.
	idleTimeout = 30 * time.Second
	// maxIdlePerNode is more transfers than are usual at once.
	maxIdlePerNode = 64
	// connBuffer is large enough for a small file and its header.
	connBuffer = 32 << 10
)

// ErrNode is what the error wraps when nodes, and not trackers, failed.
var ErrNode = errors.New("no storage node did it")

// errStalled ends a transfer that makes no progress.
var errStalled = fmt.Errorf("made no progress for %s", idleTimeout)

// Store is a domain. Its methods may be called by many goroutines.
type Store struct {
	Trackers *client.Client
	Domain   mogile.DomainName

	nodes     *http.Client
	transport *http.Transport
}

// New returns a Store, which Close ends. The trackers are not closed with it.
func New(trackers *client.Client, domain mogile.DomainName) *Store {
	transport := &http.Transport{
		DialContext:         (&net.Dialer{Timeout: connectTimeout}).DialContext,
		MaxIdleConnsPerHost: maxIdlePerNode, IdleConnTimeout: idleTimeout,
		ReadBufferSize: connBuffer, WriteBufferSize: connBuffer,
		DisableCompression: true, // lengths must be those of the files
	}
	refuse := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Store{
		Trackers: trackers, Domain: domain, transport: transport,
		nodes: &http.Client{Transport: transport, CheckRedirect: refuse},
	}
}

// Close drops idle connections to nodes.
func (s *Store) Close() { s.transport.CloseIdleConnections() }

// Hash is what the checksums of a class are made with; an empty class is the domain's
// default. A domain or class that is not known has none: the tracker says so soon
// enough.
func (s *Store) Hash(ctx context.Context, class mogile.ClassName) (mogile.HashType, error) {
	if class == "" {
		class = mogile.DefaultClass
	}
	domains, err := s.Trackers.Domains(ctx)
	if err != nil {
		return mogile.HashNone, fmt.Errorf("look which checksums are kept: %w", err)
	}
	for _, d := range domains {
		for _, k := range d.Classes {
			if d.Name == s.Domain && k.Name == class {
				return k.Hash, nil
			}
		}
	}
	return mogile.HashNone, nil
}

// watch ends a transfer that makes no progress.
type watch struct {
	cancel context.CancelCauseFunc
	timer  *time.Timer
}

func newWatch(ctx context.Context) (context.Context, *watch) {
	ctx, cancel := context.WithCancelCause(ctx)
	return ctx, &watch{cancel, time.AfterFunc(idleTimeout, func() { cancel(errStalled) })}
}

func (w *watch) progress() { w.timer.Reset(idleTimeout) }

// rest stops the clock until the next progress.
func (w *watch) rest() { w.timer.Stop() }

func (w *watch) end() {
	w.timer.Stop()
	w.cancel(context.Canceled)
}

// blame replaces an error that only says the transfer was cancelled by why it was.
func blame(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return cause
	}
	return err
}

// failures are why each of several nodes failed.
type failures []string

func (f *failures) add(url string, err error) { *f = append(*f, url+": "+err.Error()) }

func (f failures) err() error { return fmt.Errorf("%w: %s", ErrNode, strings.Join(f, "; ")) }
