package caddymodule

import (
	"fmt"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/storage"
)

// StorageHandler serves a storage node of this process to trackers, other nodes
// and edges: GET, HEAD, PUT and DELETE on `/dev<N>/…`. The node's `read_from` and
// `write_from` say who may; keep it on an address that only they reach.
type StorageHandler struct {
	// The storage node's name in the app's config. It may be left out when there
	// is just one.
	Node string `json:"node,omitempty"`

	// What clients may do here: `GET` (which brings HEAD), `PUT` (which brings MKCOL),
	// `DELETE`. Others are answered 405. Default: all of them.
	Methods []string `json:"methods,omitempty"`

	allow  string // the Allow header of a 405; empty when nothing is left out
	shared *shared[*storage.Node]
	fence  *storage.Fence
}

// CaddyModule returns the Caddy module information.
func (*StorageHandler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.mogilefs_storage",
		New: func() caddy.Module { return new(StorageHandler) },
	}
}

// Provision finds the node.
func (h *StorageHandler) Provision(ctx caddy.Context) error {
	app, err := appOf(ctx)
	if err != nil {
		return err
	}
	names := app.nodeNames()
	if h.Node == "" && len(names) == 1 {
		h.Node = names[0]
	}
	node, ok := app.Storage[h.Node]
	if !ok {
		return fmt.Errorf("no storage node %q is configured: the mogilefs app has %q", h.Node, names)
	}
	h.shared, h.fence = node.shared, node.fence
	keepSockets(ctx)
	if len(h.Methods) > 0 {
		h.allow = allowHeader(h.Methods)
	}
	return nil
}

// Validate refuses methods that a node does not have.
func (h *StorageHandler) Validate() error { return validateMethods(h.Methods, fileMethods) }

// ServeHTTP hands the request to the node.
func (h *StorageHandler) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	if !h.fence.Admits(w, r) {
		return nil
	}
	if h.allow != "" && !h.allowed(r.Method) {
		return methodNotAllowed(w, r, h.allow)
	}
	h.shared.hold()
	defer h.letGo()
	node, err := h.shared.get(r.Context())
	if err != nil {
		return caddyhttp.Error(http.StatusServiceUnavailable, err)
	}
	node.ServeHTTP(newFileSender(w, r), r)
	return nil
}

func (h *StorageHandler) allowed(method string) bool {
	if method == "MKCOL" {
		method = http.MethodPut // which makes the directories that MKCOL asks for
	}
	return allows(h.Methods, method)
}

func (h *StorageHandler) letGo() {
	if err := h.shared.letGo(); err != nil {
		h.shared.log.Error("close the storage node of an earlier config", zap.Error(err))
	}
}

// UnmarshalCaddyfile reads
//
//	mogilefs_storage [<matcher>] [<node>] {
//		methods GET|PUT|DELETE...
//	}
func (h *StorageHandler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the directive
	if d.NextArg() {
		h.Node = d.Val()
	}
	if d.NextArg() {
		return d.ArgErr()
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if d.Val() != "methods" {
			return d.Errf("unrecognized subdirective: %s", d.Val())
		}
		var err error
		if h.Methods, err = someArgs(d, h.Methods); err != nil {
			return err
		}
	}
	return nil
}

func parseStorageHandler(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	s := new(StorageHandler)
	return s, s.UnmarshalCaddyfile(h.Dispenser)
}

// appOf returns the config's app; a config that does not mention it gets an
// empty one.
func appOf(ctx caddy.Context) (*App, error) {
	app, err := ctx.App("mogilefs")
	if err != nil {
		return nil, err
	}
	return app.(*App), nil
}

var (
	_ caddy.Provisioner           = (*StorageHandler)(nil)
	_ caddy.Validator             = (*StorageHandler)(nil)
	_ caddyhttp.MiddlewareHandler = (*StorageHandler)(nil)
	_ caddyfile.Unmarshaler       = (*StorageHandler)(nil)
)
