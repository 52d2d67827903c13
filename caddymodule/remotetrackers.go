package caddymodule

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/tracker/client"
)

// RemoteTrackers names trackers of other processes: ours, and those of MogileFS.
type RemoteTrackers struct {
	// Where they listen: `host`, `host:port`, or either with `tls://` before it for a
	// tracker behind TLS. The port is 7001 when there is none. Placeholders such as
	// `{env.TRACKER}` are replaced when the config is loaded.
	//
	// The first that is well is asked; the others step in within the same request.
	// They should share a database.
	Addresses []string `json:"addresses,omitempty"`

	// How to speak TLS with those that have `tls://`. Default: the certificates that
	// the system trusts, and none of our own. `handshake_timeout`, `except_ports` and
	// `renegotiation` have no meaning here.
	TLS *reverseproxy.TLSConfig `json:"tls,omitempty"`

	resolved []string // Addresses without placeholders
}

// clientConfig checks the settings and joins them.
func (r *RemoteTrackers) clientConfig(ctx caddy.Context) (client.Config, error) {
	repl := caddy.NewReplacer()
	r.resolved = nil
	for _, addr := range r.Addresses {
		filled, err := repl.ReplaceOrErr(addr, true, true)
		if err != nil {
			return client.Config{}, err
		}
		r.resolved = append(r.resolved, filled)
	}
	config := client.Config{Addresses: r.resolved}
	if err := config.Validate(); err != nil {
		return config, err
	}
	var err error
	config.TLS, err = r.tlsConfig(ctx)
	return config, err
}

func (r *RemoteTrackers) tlsConfig(ctx caddy.Context) (*tls.Config, error) {
	switch {
	case r.TLS == nil:
		return nil, nil
	case !slices.ContainsFunc(r.resolved, func(addr string) bool { return strings.HasPrefix(addr, "tls://") }):
		return nil, errors.New("tls is configured, but no tracker is reached over it: put tls:// before its address")
	case r.TLS.HandshakeTimeout != 0 || len(r.TLS.ExceptPorts) > 0 || r.TLS.Renegotiation != "":
		return nil, errors.New("tls: handshake_timeout, except_ports and renegotiation have no meaning for trackers: leave them out")
	}
	config, err := r.TLS.MakeTLSClientConfig(ctx)
	if err != nil {
		return nil, fmt.Errorf("tls: %w", err)
	}
	return config, nil
}

// client finds or makes the client for these trackers. It keeps its connections, and
// what it knows of the trackers' health, over a reload.
//
// A client with TLS settings belongs to its config, because the certificates behind
// the same settings may be others now.
func (r *RemoteTrackers) client(ctx caddy.Context, refs *refs, t *Timeouts) (*shared[*client.Client], error) {
	config, err := r.clientConfig(ctx)
	if err != nil {
		return nil, err
	}
	config.Timeout, config.NodeTimeout = time.Duration(t.Tracker), time.Duration(t.FirstByte)
	key, err := json.Marshal([]any{config.Addresses, config.Timeout, config.NodeTimeout})
	if err != nil {
		return nil, err
	}
	if config.TLS != nil {
		key = fmt.Appendf(key, " over TLS %p", config.TLS)
	}
	s, err := load(refs, poolKey{"tracker client", string(key)}, func() (*shared[*client.Client], error) {
		return newShared(func(_ context.Context, log *zap.Logger) (*client.Client, error) {
			config.Logger = log
			return client.New(config)
		}), nil
	})
	if err != nil {
		return nil, err
	}
	// A new client touches nothing yet, so it need not wait for App.Start.
	_, err = s.start(ctx, ctx.Logger(), refs)
	return s, err
}

// tlsWords are those of reverse_proxy's transport that mean something here.
var tlsWords = []string{"tls_client_auth", "tls_curves", "tls_insecure_skip_verify", "tls_server_name", "tls_trust_pool"}

// parse reads what follows the word:
//
//	<address>... {
//		tls_trust_pool  <module> ...
//		tls_client_auth <certificate file> <key file>
//		tls_server_name <name>
//		tls_curves      <curve>...
//		tls_insecure_skip_verify
//	}
func (r *RemoteTrackers) parse(d *caddyfile.Dispenser) error {
	var err error
	if r.Addresses, err = someArgs(d, nil); err != nil {
		return err
	}
	var options []caddyfile.Token
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if !slices.Contains(tlsWords, d.Val()) {
			return d.Errf("unrecognized subdirective: %s", d.Val())
		}
		options = append(options, d.NextSegment()...)
	}
	if len(options) == 0 {
		return nil
	}
	transport, err := parseTransport(options)
	if err != nil {
		return err
	}
	r.TLS = transport.TLS
	return nil
}
