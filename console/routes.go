package console

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// Route is one thing that can be asked for or done.
type Route struct {
	// Method is GET where nothing changes, else POST.
	Method string
	// Path is without slash at its beginning.
	Path string
	run  func(c *Console, r *http.Request) (any, error)
}

// done is the answer to a change that has nothing else to say.
type done struct {
	OK bool `json:"ok"`
}

// Routes lists all routes. Two with the same path differ in their methods.
func Routes() []Route {
	return []Route{
		get("status", func(c *Console, r *http.Request, _ query) (any, error) { return c.Status(r.Context()), nil }),
		get("topology", func(c *Console, r *http.Request, _ query) (any, error) { return c.Topology(r.Context()) }),
		get("queues", func(c *Console, r *http.Request, _ query) (any, error) { return c.Queues(r.Context()) }),
		get("jobs", func(c *Console, r *http.Request, _ query) (any, error) { return c.Jobs(r.Context()) }),
		post("jobs", func(c *Console, r *http.Request, w Want) (any, error) { return c.Want(r.Context(), w) }),
		get("file", func(c *Console, r *http.Request, q query) (any, error) { return c.File(r.Context(), q.file()) }, "domain", "key", "fid"),
		get("keys", func(c *Console, r *http.Request, q query) (any, error) {
			return c.Keys(r.Context(), mogile.DomainName(q["domain"]), mogile.Key(q["prefix"]), mogile.Key(q["after"]))
		}, "domain", "prefix", "after"),
		post("purge", func(c *Console, _ *http.Request, p Purge) (any, error) { return c.Forget(p) }),
		post("device", func(c *Console, r *http.Request, d DeviceChange) (any, error) {
			return did(c.ChangeDevice(r.Context(), d))
		}),
		post("host", func(c *Console, r *http.Request, h HostChange) (any, error) { return did(c.ChangeHost(r.Context(), h)) }),
		get("settings", func(c *Console, r *http.Request, _ query) (any, error) { return c.Settings(r.Context()) }),
		post("settings", func(c *Console, r *http.Request, s Setting) (any, error) {
			return c.command(r, "set_server_setting", "key", s.Name, "value", s.Value)
		}),
		post("replicate/now", func(c *Console, r *http.Request, _ nothing) (any, error) { return c.ReplicateNow(r.Context()) }),

		get("fsck", func(c *Console, r *http.Request, _ query) (any, error) { return c.Fsck(r.Context()) }),
		get("fsck/log", func(c *Console, r *http.Request, q query) (any, error) { return c.FsckLog(r.Context(), q["after"]) }, "after"),
		post("fsck/start", func(c *Console, r *http.Request, _ nothing) (any, error) { return c.command(r, "fsck_start") }),
		post("fsck/stop", func(c *Console, r *http.Request, _ nothing) (any, error) { return c.command(r, "fsck_stop") }),
		post("fsck/reset", func(c *Console, r *http.Request, f FsckReset) (any, error) {
			return c.command(r, "fsck_reset", "policy_only", flag(f.PolicyOnly), "startpos", fmt.Sprint(f.StartPos))
		}),
		post("fsck/clearlog", func(c *Console, r *http.Request, _ nothing) (any, error) { return c.command(r, "fsck_clearlog") }),

		get("rebalance", func(c *Console, r *http.Request, _ query) (any, error) { return c.Rebalance(r.Context()) }),
		get("rebalance/test", func(c *Console, r *http.Request, _ query) (any, error) { return c.RebalanceTest(r.Context()) }),
		post("rebalance/policy", func(c *Console, r *http.Request, p Policy) (any, error) {
			if p.Policy == nil {
				return nil, refuse(http.StatusBadRequest, "policy is missing; an empty one removes what is set")
			}
			return c.command(r, "rebalance_set_policy", "policy", *p.Policy)
		}),
		post("rebalance/start", func(c *Console, r *http.Request, _ nothing) (any, error) { return c.command(r, "rebalance_start") }),
		post("rebalance/stop", func(c *Console, r *http.Request, _ nothing) (any, error) { return c.command(r, "rebalance_stop") }),
		post("rebalance/reset", func(c *Console, r *http.Request, _ nothing) (any, error) { return c.command(r, "rebalance_reset") }),
	}
}

func flag(is bool) string {
	if is {
		return "1"
	}
	return "0"
}

// nothing is the body of what takes none.
type nothing struct{}

func did(err error) (any, error) { return done{err == nil}, err }

// command has a command carried out whose answer says nothing.
func (c *Console) command(r *http.Request, command string, args ...string) (any, error) {
	_, err := c.do(r.Context(), command, args...)
	return did(err)
}

// query is the arguments of a GET.
type query map[string]string

func (q query) file() FileName {
	return FileName{mogile.DomainName(q["domain"]), mogile.Key(q["key"]), q["fid"]}
}

// get makes a route that changes nothing and knows the named arguments.
func get(path string, run func(*Console, *http.Request, query) (any, error), names ...string) Route {
	return Route{http.MethodGet, path, func(c *Console, r *http.Request) (any, error) {
		q, err := readQuery(r, names)
		if err != nil {
			return nil, err
		}
		return run(c, r, q)
	}}
}

func readQuery(r *http.Request, names []string) (query, error) {
	q := query{}
	for name, values := range r.URL.Query() {
		switch {
		case !slices.Contains(names, name):
			return nil, refuse(http.StatusBadRequest, "argument %q is unknown: %s", name, known(names))
		case len(values) > 1:
			return nil, refuse(http.StatusBadRequest, "argument %q was given %d times", name, len(values))
		}
		q[name] = values[0]
	}
	return q, nil
}

func known(names []string) string {
	if len(names) == 0 {
		return "there are none here"
	}
	return "there are " + strings.Join(names, ", ")
}

// maxBody is far above what any change has to say, in bytes.
const maxBody = 64 << 10

// post makes a route that changes something; its body is a JSON object, or nothing.
func post[T any](path string, run func(*Console, *http.Request, T) (any, error)) Route {
	return Route{http.MethodPost, path, func(c *Console, r *http.Request) (any, error) {
		var args T
		body := json.NewDecoder(http.MaxBytesReader(nil, r.Body, maxBody))
		body.DisallowUnknownFields()
		err := body.Decode(&args)
		if err == nil && body.More() {
			err = errors.New("there is more than one object")
		}
		if err != nil && err != io.EOF { // no body says nothing
			return nil, refuse(http.StatusBadRequest, "read the body: %w: want a JSON object", err)
		}
		return run(c, r, args)
	}}
}

// Serve answers a request for a path, which has no slash at its beginning. An error is an
// [*Error], of which nothing has been written.
func (c *Console) Serve(w http.ResponseWriter, r *http.Request, path string) error {
	route, err := find(w, path, r.Method)
	if err != nil {
		return err
	}
	answer, err := route.run(c, r)
	if err != nil {
		var known *Error
		if !errors.As(err, &known) {
			known = &Error{http.StatusInternalServerError, err}
		}
		return known
	}
	text, err := json.Marshal(answer)
	if err != nil {
		return refuse(http.StatusInternalServerError, "write the answer: %w", err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(append(text, '\n')) // who does not take it has gone
	return nil
}

func find(w http.ResponseWriter, path, method string) (Route, error) {
	var allowed []string
	for _, r := range Routes() {
		if r.Path != path {
			continue
		}
		if r.Method == method {
			return r, nil
		}
		allowed = append(allowed, r.Method)
	}
	if len(allowed) > 0 {
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		return Route{}, refuse(http.StatusMethodNotAllowed, "method %s is not allowed: %s takes %s", method, path, strings.Join(allowed, " and "))
	}
	return Route{}, refuse(http.StatusNotFound, "there is no %q: there are %s", path, strings.Join(paths(), ", "))
}

func paths() []string {
	var all []string
	for _, r := range Routes() {
		all = append(all, r.Path)
	}
	slices.Sort(all)
	return slices.Compact(all)
}
