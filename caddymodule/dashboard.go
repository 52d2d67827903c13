package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/mogilefs/caddy-mogilefs/console"
	"github.com/mogilefs/caddy-mogilefs/console/dashboard"
	"github.com/mogilefs/caddy-mogilefs/console/fence"
	"github.com/mogilefs/caddy-mogilefs/console/live"
)

// Dashboard serves a page for operators: the health of hosts and devices, queues, fsck and
// rebalance, and a look-up of files. It shows what the tracker of this process knows, or
// when it has none, the remote trackers that the first site with such asks.
//
// Whoever sees it can change states of devices and start jobs. So it is served to those only
// whom Caddy has authenticated (`basic_auth`, another authentication, or a client
// certificate that was verified), and without authentication to browsers of this machine
// itself: both ends of the connection have loopback addresses, and no proxy stands between.
type Dashboard struct {
	// Serve it to everybody who reaches it. For networks where everybody may do
	// everything, and for authentication that Caddy does not know of, such as
	// `forward_auth`. Default: off.
	InsecureWithoutAuth bool `json:"insecure_without_auth,omitempty"`

	// The names under which it is reached without authentication, beside IP addresses
	// and `localhost`; `*` for any. Without the list, a page of another site could have a
	// browser take its own name for this address. Who is authenticated may use any name.
	Hosts []string `json:"hosts,omitempty"`

	dashboard dashboard.Dashboard
	ending    sync.Once
	ended     chan struct{} // closed when this config is about to stop
	refs      refs
}

// CaddyModule returns the Caddy module information.
func (*Dashboard) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.mogilefs_dashboard",
		New: func() caddy.Module { return new(Dashboard) },
	}
}

// Provision finds what is watched. Nothing is looked at before the app starts.
func (d *Dashboard) Provision(ctx caddy.Context) error {
	if d.InsecureWithoutAuth {
		ctx.Logger().Warn("the dashboard is served without authentication: everybody who reaches it can change states of devices and start jobs")
	}
	app, err := appOf(ctx)
	if err != nil {
		return err
	}
	d.ended = make(chan struct{})
	if err := d.endWith(ctx); err != nil {
		return fmt.Errorf("listen for the end of the config: %w", err)
	}
	watched, err := d.watch(app)
	if err != nil {
		return err
	}
	// What there is to ask is known when all handlers are provisioned.
	ask := sync.OnceValue(app.console)
	d.dashboard = dashboard.Dashboard{
		Console: ask, Live: watched.Live, Ended: d.ended,
		Rules: fence.Rules{Open: d.InsecureWithoutAuth, Hosts: d.Hosts},
	}
	app.onStart = append(app.onStart, func() {
		d.refs.onRelease(ask().Close)
		d.refs.onRelease(watched.sources.use(ask()))
		watched.Start()
	})
	return nil
}

// endWith has open streams end when this config is about to be stopped. When the process
// ends, Caddy's servers wait for all requests before anything else of their config hears of
// it, so every browser that watches would hold that up.
func (d *Dashboard) endWith(ctx caddy.Context) error {
	events, err := ctx.App("events")
	if err != nil {
		return err
	}
	return events.(*caddyevents.App).On("stopping", d)
}

// Handle hears that the config is about to be stopped.
func (d *Dashboard) Handle(context.Context, caddy.Event) error {
	d.end()
	return nil
}

func (d *Dashboard) end() { d.ending.Do(func() { close(d.ended) }) }

// pooledLive is what watches, with its samples, over a reload.
type pooledLive struct {
	*live.Live
	sources newest[console.Console]
}

// Destruct ends it.
func (p *pooledLive) Destruct() error { return p.Close() }

// watch finds or makes what watches. There is one for all dashboards over a database, or
// over remote trackers.
func (d *Dashboard) watch(app *App) (*pooledLive, error) {
	identity := "remote trackers"
	if app.Tracker != nil {
		identity = app.Tracker.db.Identity()
	}
	return load(&d.refs, poolKey{"dashboard", identity}, func() (*pooledLive, error) {
		p := new(pooledLive)
		p.Live = live.New(func() live.Source {
			if c := p.sources.get(); c != nil {
				return c
			}
			return nil
		})
		return p, nil
	})
}

// Cleanup lets go of what is watched.
func (d *Dashboard) Cleanup() error {
	if d.ended != nil { // nil when Provision failed before it
		d.end()
	}
	return d.refs.release()
}

// ServeHTTP answers a request below the path that handle_path has taken off.
func (d *Dashboard) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	if to := withSlash(r); to != "" {
		http.Redirect(w, r, to, http.StatusPermanentRedirect)
		return nil
	}
	d.dashboard.Serve(w, visit(r), strings.TrimPrefix(r.URL.Path, "/"))
	return nil
}

// withSlash is where the page is when it was asked for without the slash at its end, which
// what it loads is relative to; empty when nothing is missing.
func withSlash(r *http.Request) string {
	asked, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request)
	if !ok || r.URL.Path != "/" && r.URL.Path != "" || strings.HasSuffix(asked.URL.Path, "/") {
		return ""
	}
	// Relative to what the browser asked for, so that no // at its beginning is a host.
	return asked.URL.EscapedPath()[strings.LastIndexByte(asked.URL.EscapedPath(), '/')+1:] + "/"
}

// visit is what the fence wants to know.
func visit(r *http.Request) fence.Visit {
	v := fence.Visit{Request: r, Remote: addrOf(r.RemoteAddr)}
	if local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
		v.Local = addrOf(local.String())
	}
	if repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok {
		id, _ := repl.GetString("http.auth.user.id")
		v.Authenticated = id != ""
	}
	if r.TLS != nil && len(r.TLS.VerifiedChains) > 0 {
		v.Authenticated = true
	}
	return v
}

func addrOf(text string) netip.Addr {
	at, err := netip.ParseAddrPort(text)
	if err != nil {
		return netip.Addr{}
	}
	return at.Addr()
}

// Validate refuses names that no Host has.
func (d *Dashboard) Validate() error {
	for _, name := range d.Hosts {
		if name == "" || strings.ContainsAny(name, "/:") && !strings.HasPrefix(name, "[") {
			return errors.New("hosts: want names as in a URL, without scheme and port")
		}
	}
	return nil
}

var (
	_ caddy.Provisioner           = (*Dashboard)(nil)
	_ caddy.Validator             = (*Dashboard)(nil)
	_ caddy.CleanerUpper          = (*Dashboard)(nil)
	_ caddyhttp.MiddlewareHandler = (*Dashboard)(nil)
	_ caddyevents.Handler         = (*Dashboard)(nil)
)
