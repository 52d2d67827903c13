package caddymodule

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

// NodeTransport is how the edge connects to storage nodes: the options of reverse_proxy's
// `http` transport. They mean the same here, but for these:
//
// Connections are kept for 25 seconds, 64 to a node, by default, because nodes close idle
// ones after 30; no compression is asked for, and no proxy of the environment is used,
// unless that is configured. `dial_timeout` is what `timeouts connect` is, of which only one may
// be given. With `tls`, the nodes' URLs are asked over HTTPS, at the same ports, unless those are
// in `except_ports`. `proxy_protocol` can't be used.
type NodeTransport struct {
	reverseproxy.HTTPTransport
}

const (
	// nodeIdle and nodeConnections are the edge's own defaults.
	nodeIdle        = 25 * time.Second
	nodeConnections = 64
	// nodeConnect is the edge's own default too, and nodeHeader far above what nodes send.
	nodeConnect = 2 * time.Second
	nodeHeader  = 64 << 10
)

// provision makes the transport; nil for the edge's own when nothing is configured.
func (t *NodeTransport) provision(ctx caddy.Context, waits *Timeouts) (http.RoundTripper, error) {
	if t == nil {
		return nil, nil
	}
	switch {
	case t.ProxyProtocol != "":
		return nil, errors.New("proxy_protocol: requests to nodes are not those of one client: leave it out")
	case t.DialTimeout != 0 && waits.Connect != 0:
		return nil, errors.New("dial_timeout is what timeouts connect is: leave one of them out")
	}
	t.fillDefaults(waits)
	if err := t.HTTPTransport.Provision(ctx); err != nil {
		return nil, err
	}
	return t, nil
}

func (t *NodeTransport) fillDefaults(waits *Timeouts) {
	if t.DialTimeout == 0 {
		t.DialTimeout = waits.Connect
	}
	if t.DialTimeout == 0 {
		t.DialTimeout = caddy.Duration(nodeConnect)
	}
	if t.KeepAlive == nil {
		t.KeepAlive = new(reverseproxy.KeepAlive)
	}
	if t.KeepAlive.IdleConnTimeout == 0 {
		t.KeepAlive.IdleConnTimeout = caddy.Duration(nodeIdle)
	}
	if t.KeepAlive.MaxIdleConnsPerHost == 0 {
		t.KeepAlive.MaxIdleConnsPerHost = nodeConnections
	}
	if t.Compression == nil {
		t.Compression = new(bool)
	}
	if t.MaxResponseHeaderSize == 0 {
		t.MaxResponseHeaderSize = nodeHeader
	}
	if t.NetworkProxyRaw == nil && t.ForwardProxyURL == "" {
		t.NetworkProxyRaw = json.RawMessage(`{"from":"none"}`)
	}
}

// RoundTrip sends a request to a node, whose URL is always http:// by the tracker's word.
// The request is the edge's own, which expects it unchanged.
func (t *NodeTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	if _, ok := ctx.Value(caddy.ReplacerCtxKey).(*caddy.Replacer); !ok {
		// Uploads and probes are not part of a client's request, and the transport fills in
		// placeholders with its replacer.
		ctx = context.WithValue(ctx, caddy.ReplacerCtxKey, caddy.NewReplacer())
	}
	if t.TLS != nil {
		to := *req.URL
		to.Scheme = "" // for the transport to choose
		req = req.WithContext(ctx)
		req.URL = &to
	} else {
		req = req.WithContext(ctx)
	}
	return t.HTTPTransport.RoundTrip(req)
}

func (t *NodeTransport) cleanup() error {
	if t == nil {
		return nil
	}
	return t.HTTPTransport.Cleanup()
}

// parse reads the block:
//
//	transport {
//		<options of reverse_proxy's transport http>
//	}
func (t *NodeTransport) parse(d *caddyfile.Dispenser) error {
	if err := noArgs(d); err != nil {
		return err
	}
	var options []caddyfile.Token
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		options = append(options, d.NextSegment()...)
	}
	if len(options) == 0 {
		return nil
	}
	parsed, err := parseTransport(options)
	if err != nil {
		return err
	}
	t.HTTPTransport = *parsed
	return nil
}

// parseTransport has reverse_proxy's transport read the options, so that they are written
// and mean the same here as there.
func parseTransport(options []caddyfile.Token) (*reverseproxy.HTTPTransport, error) {
	name, open, end := options[0], options[0], options[len(options)-1]
	name.Text, open.Text = "http", "{"
	name.Line--
	open.Line--
	last := options[0]
	last.File, last.Line, last.Text = end.File, end.Line+1, "}"
	transport := new(reverseproxy.HTTPTransport)
	tokens := slices.Concat([]caddyfile.Token{name, open}, options, []caddyfile.Token{last})
	return transport, transport.UnmarshalCaddyfile(caddyfile.NewDispenser(tokens))
}
