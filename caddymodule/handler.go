package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/edge"
	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/command"
)

// Handler is the edge: it serves the files of a MogileFS domain under short URLs
// from whichever copy is alive, and takes uploads and deletions when they are
// allowed.
//
// It sets these placeholders, for logs and for headers that are set late
// (`header >X-Cache {http.mogilefs.cache}`):
//
// Placeholder | Description
// ------------|------------
// `{http.mogilefs.key}` | The key
// `{http.mogilefs.fid}` | The fid of what was asked for or stored; empty when there was none
// `{http.mogilefs.copy}` | The devid of the device that the file came from, or went to; empty when none was touched
// `{http.mogilefs.cache}` | How far memory helped a GET: `content` (the file was there), `shared` (it was just being fetched), `location` (it was known where it is, or that there is none), `stale` (the same, and no tracker answers), `miss` (a tracker was asked)
type Handler struct {
	// The domain. Placeholders are allowed. Default: `default`.
	Domain string `json:"domain,omitempty"`

	// The key. Placeholders are allowed. Default: the request's path without its
	// leading slash, so that `handle_path` gives what follows its prefix.
	Key string `json:"key,omitempty"`

	// URLs of copies, with blanks between them, as applications name them in X-REPROXY-URL:
	// the file that they are copies of is served, whatever its key, if it is in the domain. The
	// hosts in them are not looked at: the trackers know where the copies are. Placeholders
	// are allowed. Default: the key says which file.
	Reproxy string `json:"reproxy,omitempty"`

	// The class of uploads: the first of these that is not empty. Placeholders
	// are allowed. Default: the domain's default class.
	Class []string `json:"class,omitempty"`

	// What clients may do: `GET` (which brings HEAD), `PUT`, `POST` (which uploads as PUT
	// does, with the body as it is), `DELETE`, and `PURGE`, which has this process forget what it remembers of the key. Others are answered 405.
	// Default: `GET`.
	Methods []string `json:"methods,omitempty"`

	// Serve only requests whose URL is signed, and not too old; others are answered 403 before
	// anything is looked up. Default: signatures are not looked at.
	Signed *Signed `json:"signed,omitempty"`

	// Trackers of other processes to ask. Default: the tracker of this process.
	Tracker *RemoteTrackers `json:"tracker,omitempty"`

	// Which of the hosts' addresses to use: `alt` for the altip of those that have
	// one, with an altmask. Default: the main address.
	Zone string `json:"zone,omitempty"`

	// Use the altip of the hosts whose altmask holds the client's address. Who asks
	// then decides where a file is, so locations are not cached: every request asks
	// the tracker, which must be the one of this process.
	ClientZone bool `json:"client_zone,omitempty"`

	// The cache of where files are.
	LocationCache *LocationCache `json:"location_cache,omitempty"`

	// The cache of the files themselves. Default: none.
	ContentCache *ContentCache `json:"content_cache,omitempty"`

	// What uploads may be.
	Upload *Upload `json:"upload,omitempty"`

	// How long to wait for whom.
	Timeouts *Timeouts `json:"timeouts,omitempty"`

	// Ask a second copy as well when the first byte of the first one is not there after
	// so long, and send the one that is faster. At most one request in ten does so, and
	// some more for a moment. Default: never.
	Hedge caddy.Duration `json:"hedge,omitempty"`

	// How to connect to storage nodes.
	Transport *NodeTransport `json:"transport,omitempty"`

	// The Cache-Control header of files. Default: none.
	CacheControl string `json:"cache_control,omitempty"`

	// Tell clients by a Cache-Status header (RFC 9211) how far the caches helped. It names
	// no inner address.
	CacheStatus bool `json:"cache_status,omitempty"`

	// Tell clients by a Server-Timing header how many milliseconds each step took:
	// `locate` and `open` of a GET, `open`, `write` and `close` of a PUT, `delete`.
	ServerTiming bool `json:"server_timing,omitempty"`

	// Hand requests for unknown keys to the next handler instead of answering
	// 404.
	PassThru bool `json:"pass_thru,omitempty"`

	allow string // the Allow header of a 405
	edge  *edge.Edge
	asked holder // the tracker, or what leads to remote ones
	refs  refs
	log   *zap.Logger
}

// Upload bounds and checks uploads.
type Upload struct {
	// How many devices the bytes are on, each on another host as far as there are enough, before
	// an upload is answered 201: at most 5. Trackers of MogileFS can record one only; with
	// them an upload is answered when it is on one device. Default: 1.
	Copies int `json:"copies,omitempty"`

	// The largest file in bytes; larger ones are answered 413. Default: no bound.
	MaxSize int64 `json:"max_size,omitempty"`

	// Don't compute a checksum of what is uploaded. A Content-MD5 that a client
	// sends is checked all the same.
	NoChecksum bool `json:"no_checksum,omitempty"`
}

// Timeouts bounds the waits for trackers and storage nodes.
type Timeouts struct {
	// For an answer of a tracker. Of remote ones each may take as long, up to three.
	// Default: 2s.
	Tracker caddy.Duration `json:"tracker,omitempty"`

	// For a connection to a storage node. Default: 2s.
	Connect caddy.Duration `json:"connect,omitempty"`

	// For the beginning of a storage node's answer, and in addition for a tracker's
	// that asks storage nodes itself. Default: 10s.
	FirstByte caddy.Duration `json:"first_byte,omitempty"`

	// For more of it. Default: 30s.
	Idle caddy.Duration `json:"idle,omitempty"`
}

const (
	defaultDomain = "default"
	// defaultTrackerTimeout is the edge's default too.
	defaultTrackerTimeout = 2 * time.Second
	// zoneAlt is the only zone that trackers know (docs/spec/tracker-protocol.md §5.3).
	zoneAlt = "alt"
)

// CaddyModule returns the Caddy module information.
func (*Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.mogilefs",
		New: func() caddy.Module { return new(Handler) },
	}
}

// Provision joins the edge with its trackers and the disks of this process.
func (h *Handler) Provision(ctx caddy.Context) error {
	h.log = ctx.Logger()
	h.fillDefaults()
	keepSockets(ctx)
	app, err := appOf(ctx)
	if err != nil {
		return err
	}
	from, err := h.source(ctx, app)
	if err != nil {
		return err
	}
	h.asked = from.held
	app.site.edges++
	config := edge.Config{
		Tracker:      counted(from.tracker, &app.tallies.Edge),
		Disks:        disksOf(app),
		Copies:       h.Upload.Copies,
		MaxUpload:    h.Upload.MaxSize,
		NoChecksum:   h.Upload.NoChecksum,
		CacheControl: h.CacheControl,
		Hedge:        time.Duration(h.Hedge),
		CacheStatus:  h.CacheStatus,
		ServerTiming: h.ServerTiming,
		Tally:        &app.tallies.Edge,
		Trace:        traceStep,
		Logger:       h.log,
		Timeouts: edge.Timeouts{
			Tracker:   from.patience,
			Connect:   time.Duration(h.Timeouts.Connect),
			FirstByte: time.Duration(h.Timeouts.FirstByte),
			Idle:      time.Duration(h.Timeouts.Idle),
		},
	}
	if config.Locations, err = h.locations(from, &app.tallies.Locations); err != nil {
		return fmt.Errorf("location_cache: %w", err)
	}
	if config.Health, err = boardOf(&h.refs, h.log); err != nil {
		return err
	}
	if config.Transport, err = h.Transport.provision(ctx, h.Timeouts); err != nil {
		return fmt.Errorf("transport: %w", err)
	}
	if config.Contents, err = h.contents(from, &app.tallies.Contents); err != nil {
		return fmt.Errorf("content_cache: %w", err)
	}
	if err := h.Signed.provision(); err != nil {
		return fmt.Errorf("signed: %w", err)
	}
	h.edge, err = edge.New(config)
	return err
}

func (h *Handler) fillDefaults() {
	if h.Domain == "" {
		h.Domain = defaultDomain
	}
	if len(h.Methods) == 0 {
		h.Methods = []string{http.MethodGet}
	}
	h.allow = allowHeader(h.Methods)
	if h.LocationCache == nil {
		h.LocationCache = &LocationCache{Off: h.ClientZone}
	}
	if h.ContentCache == nil {
		h.ContentCache = &ContentCache{Off: true}
	}
	if h.Upload == nil {
		h.Upload = new(Upload)
	}
	if h.Timeouts == nil {
		h.Timeouts = new(Timeouts)
	}
}

// Validate refuses what nobody serves.
func (h *Handler) Validate() error {
	switch {
	case h.Hedge < 0:
		return errors.New("hedge: want a duration such as 50ms, or none")
	case h.Zone != "" && h.Zone != zoneAlt:
		return fmt.Errorf("zone %s: trackers know no other zone than %s", h.Zone, zoneAlt)
	case h.Zone != "" && h.ClientZone:
		return errors.New("zone and client_zone: one of them decides which addresses are used")
	case h.ClientZone && !h.LocationCache.Off:
		return errors.New("client_zone: who asks decides where a file is, so locations can't be cached: leave location_cache out")
	}
	if h.Reproxy != "" && (h.Key != "" || !slices.Equal(h.Methods, []string{http.MethodGet})) {
		return errors.New("reproxy: the URLs say which file is to be sent: leave key and methods out")
	}
	if n := h.Upload.Copies; n < 0 || n > command.MaxCopies {
		return fmt.Errorf("upload: %d copies: want 1 to %d; the class says how many there are in the end", n, command.MaxCopies)
	}
	return validateMethods(h.Methods, edgeMethods)
}

// Cleanup gives the caches back and lets go of idle connections.
func (h *Handler) Cleanup() error {
	if h.edge != nil { // nil when Provision failed before it
		h.edge.Close()
	}
	return errors.Join(h.Transport.cleanup(), h.refs.release())
}

// ServeHTTP answers the request, or hands it on when the key is unknown and
// pass_thru is set.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if !allows(h.Methods, r.Method) {
		return methodNotAllowed(w, r, h.allow)
	}
	if err := h.Signed.verify(w, r); err != nil {
		return err
	}
	a := &account{key: h.key(r)}
	a.show(r.Context())
	a.enter(r.Context())
	if r.Method == methodPurge {
		return h.purge(w, r, a)
	}
	err := h.serveWhat(w, r, a)
	if err == nil {
		return nil
	}
	if h.PassThru && errors.Is(err, edge.ErrUnknownKey) {
		a.passed = true
		return next.ServeHTTP(w, r)
	}
	return asHandlerError(w, err)
}

// serveWhat finds out what is asked for.
func (h *Handler) serveWhat(w http.ResponseWriter, r *http.Request, a *account) error {
	if h.Reproxy != "" {
		return h.reproxy(w, r, a)
	}
	return h.serve(w, r, a, 0)
}

// serve serves the fid, or when that is 0, the key.
func (h *Handler) serve(w http.ResponseWriter, r *http.Request, a *account, fid mogile.FID) error {
	h.asked.hold()
	defer func() {
		if err := h.asked.letGo(); err != nil {
			h.log.Error("close the tracker of an earlier config", zap.Error(err))
		}
	}()
	return h.edge.Serve(newWholeWriter(&a.to, w, r), r, edge.Request{
		Domain:  h.domain(r),
		Key:     a.key,
		FID:     fid,
		Class:   mogile.ClassName(firstNotEmpty(r.Context(), h.Class)),
		Outcome: &a.Outcome,
	})
}

// asHandlerError makes an error that handle_errors understands.
func asHandlerError(w http.ResponseWriter, err error) error {
	var failed *edge.Error
	if !errors.As(err, &failed) {
		return caddyhttp.Error(http.StatusInternalServerError, err)
	}
	if failed.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(failed.RetryAfter/time.Second)))
	}
	return caddyhttp.Error(failed.Status, failed.Err)
}

func (h *Handler) domain(r *http.Request) mogile.DomainName {
	return mogile.DomainName(replaced(r.Context(), h.Domain))
}

func (h *Handler) key(r *http.Request) mogile.Key {
	if h.Key == "" {
		return mogile.Key(strings.TrimPrefix(r.URL.Path, "/"))
	}
	return mogile.Key(replaced(r.Context(), h.Key))
}

// replaced fills in a template's placeholders; most templates have none.
func replaced(ctx context.Context, template string) string {
	if !strings.Contains(template, "{") {
		return template
	}
	repl, ok := ctx.Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if !ok {
		return template
	}
	return repl.ReplaceAll(template, "")
}

func firstNotEmpty(ctx context.Context, templates []string) string {
	for _, t := range templates {
		if s := replaced(ctx, t); s != "" {
			return s
		}
	}
	return ""
}

var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddy.Validator             = (*Handler)(nil)
	_ caddy.CleanerUpper          = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
