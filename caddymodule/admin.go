package caddymodule

import (
	"errors"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/mogilefs/caddy-mogilefs/console"
)

// Admin adds routes to Caddy's admin API, below `/mogilefs/`. Reads are GET and take
// arguments in the query; changes are POST and take a JSON object; both answer JSON.
//
// They ask the tracker of this process, or when it has none, the remote trackers that its
// first site with such asks. docs/admin-api.md describes them all, with examples.
type Admin struct{}

// adminPrefix is where the routes are.
const adminPrefix = "/mogilefs/"

// CaddyModule returns the Caddy module information.
func (*Admin) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "admin.api.mogilefs",
		New: func() caddy.Module { return new(Admin) },
	}
}

// Routes returns one route for all paths, so that one that does not exist is answered with
// those that do.
func (a *Admin) Routes() []caddy.AdminRoute {
	return []caddy.AdminRoute{{Pattern: adminPrefix, Handler: caddy.AdminHandlerFunc(a.serve)}}
}

func (*Admin) serve(w http.ResponseWriter, r *http.Request) error {
	c, err := activeConsole()
	if err != nil {
		return caddy.APIError{HTTPStatus: http.StatusServiceUnavailable, Err: err}
	}
	defer c.Close()
	err = c.Serve(w, r, strings.TrimPrefix(r.URL.Path, adminPrefix))
	var failed *console.Error
	if errors.As(err, &failed) {
		return caddy.APIError{HTTPStatus: failed.Status, Err: failed}
	}
	return err
}

// activeConsole answers for the config that runs now. Without mogilefs in it, there is still
// the program to tell of.
func activeConsole() (*console.Console, error) {
	app, err := caddy.ActiveContext().AppIfConfigured("mogilefs")
	if errors.Is(err, caddy.ErrNotConfigured) {
		return new(App).console(), nil
	}
	if err != nil {
		return nil, err
	}
	return app.(*App).console(), nil
}

var _ caddy.AdminRouter = (*Admin)(nil)
