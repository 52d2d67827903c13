// Package dashboard serves the dashboard over HTTP: the page (console/page), what it asks
// and does (console) below api/, its live stream (console/live) as events, and images as
// preview, all to those whom console/fence admits.
//
// Everything it answers carries headers that keep other sites from embedding, reading or
// guessing it. It knows the path below which it lies from its caller only.
package dashboard

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/mogilefs/caddy-mogilefs/console"
	"github.com/mogilefs/caddy-mogilefs/console/fence"
	"github.com/mogilefs/caddy-mogilefs/console/live"
	"github.com/mogilefs/caddy-mogilefs/console/page"
	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// Dashboard answers requests. All fields are required.
type Dashboard struct {
	// Console is what it asks; it is called for each request.
	Console func() *console.Console
	// Live is what streams come from.
	Live *live.Live
	// Rules is whom it is for.
	Rules fence.Rules
	// Ended is closed when streams are to end.
	Ended <-chan struct{}
}

// previewTime bounds fetching an image.
const previewTime = 30 * time.Second

// imagePolicy lets an image do nothing, if a browser takes it for a page.
const imagePolicy = "default-src 'none'; sandbox"

// Serve answers a request for a path, which has no slash at its beginning. Whom the fence
// keeps out is told why.
func (d *Dashboard) Serve(w http.ResponseWriter, v fence.Visit, path string) {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	if err := d.Rules.Admit(v); err != nil {
		plain(w, http.StatusForbidden, err)
		return
	}
	err := d.serve(w, v.Request, path)
	var failed *console.Error
	switch {
	case err == nil:
	case errors.As(err, &failed):
		fail(w, failed.Status, err)
	default:
		fail(w, http.StatusInternalServerError, err)
	}
}

func (d *Dashboard) serve(w http.ResponseWriter, r *http.Request, path string) error {
	if api, ok := strings.CutPrefix(path, "api/"); ok {
		err := d.Console().Serve(w, r, api)
		if r.Method == http.MethodPost {
			d.Live.Recount()
		}
		return err
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		return &console.Error{Status: http.StatusMethodNotAllowed, Err: errors.New("changes are made below api/")}
	}
	switch path {
	case "events":
		if err := d.Live.Stream(w, r, d.Ended); err != nil {
			w.Header().Set("Retry-After", "30")
			return &console.Error{Status: http.StatusServiceUnavailable, Err: err}
		}
		return nil
	case "preview":
		return d.preview(w, r)
	}
	if !page.Serve(w, r, path) {
		return &console.Error{Status: http.StatusNotFound, Err: errors.New("there is no such page")}
	}
	return nil
}

// preview shows an image.
func (d *Dashboard) preview(w http.ResponseWriter, r *http.Request) error {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(previewTime)) // those of a server have it
	q := r.URL.Query()
	image, err := d.Console().Preview(r.Context(), console.FileName{
		Domain: mogile.DomainName(q.Get("domain")), Key: mogile.Key(q.Get("key")), FID: q.Get("fid"),
	})
	if err != nil {
		return err
	}
	defer image.Body.Close()
	h := w.Header()
	h.Set("Content-Type", image.Type)
	h.Set("Content-Security-Policy", imagePolicy)
	h.Set("Content-Disposition", "inline")
	h.Set("Cache-Control", "private, max-age=60")
	if image.Length >= 0 {
		h.Set("Content-Length", strconv.FormatInt(image.Length, 10))
	}
	if r.Method == http.MethodHead {
		return nil
	}
	_, _ = io.Copy(w, image.Body) // too late to say anything: the length shows it
	return nil
}

// fail answers the page's script.
func fail(w http.ResponseWriter, status int, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": err.Error()}) // who does not take it has gone
}

// plain answers people.
func plain(w http.ResponseWriter, status int, err error) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Content-Security-Policy", page.Policy)
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, err.Error()+"\n")
}
