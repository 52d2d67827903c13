package caddymodule

import (
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/caddyserver/caddy/v2"
)

// Admin adds routes to Caddy's admin API:
//
// `POST /mogilefs/purge` has this process forget what it remembers of files: their
// locations, and their contents in memory. The body says which: `{"domain": "images",
// "key": "a.jpg"}`, `{"domain": "images", "prefix": "2024/"}`, `{"domain": "images",
// "all": true}` or `{"all": true}`. The answer says how many locations and contents
// were remembered: `{"locations": 1, "contents": 0}`.
type Admin struct{}

// CaddyModule returns the Caddy module information.
func (*Admin) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "admin.api.mogilefs",
		New: func() caddy.Module { return new(Admin) },
	}
}

// Routes returns the routes.
func (a *Admin) Routes() []caddy.AdminRoute {
	return []caddy.AdminRoute{{Pattern: "/mogilefs/purge", Handler: caddy.AdminHandlerFunc(a.purge)}}
}

// maxPurge is far above the longest key, in bytes.
const maxPurge = 64 << 10

func (*Admin) purge(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodPost {
		return caddy.APIError{HTTPStatus: http.StatusMethodNotAllowed, Err: fmt.Errorf("method %s is not allowed: POST what to purge", r.Method)}
	}
	var p purge
	body := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxPurge))
	body.DisallowUnknownFields()
	err := body.Decode(&p)
	if err == nil {
		err = p.validate()
	}
	if err != nil {
		return caddy.APIError{HTTPStatus: http.StatusBadRequest, Err: err}
	}
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(p.run())
}

var _ caddy.AdminRouter = (*Admin)(nil)
