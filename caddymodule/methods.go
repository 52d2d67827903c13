package caddymodule

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// What can be done to a file, and on the edge.
var (
	fileMethods = []string{http.MethodGet, http.MethodPut, http.MethodDelete}
	edgeMethods = []string{http.MethodGet, http.MethodPut, http.MethodPost, http.MethodDelete, methodPurge}
)

// validateMethods refuses what nobody serves.
func validateMethods(methods, known []string) error {
	for _, m := range methods {
		if !slices.Contains(known, m) {
			return fmt.Errorf("methods: %s is not one of %s", m, strings.Join(known, ", "))
		}
	}
	return nil
}

// allows knows that GET brings HEAD.
func allows(methods []string, method string) bool {
	if method == http.MethodHead {
		method = http.MethodGet
	}
	return slices.Contains(methods, method)
}

// allowHeader is the Allow header of a 405.
func allowHeader(methods []string) string {
	allowed := slices.Compact(slices.Sorted(slices.Values(methods)))
	if slices.Contains(allowed, http.MethodGet) {
		allowed = append(allowed, http.MethodHead)
	}
	return strings.Join(allowed, ", ")
}

func methodNotAllowed(w http.ResponseWriter, r *http.Request, allow string) error {
	w.Header().Set("Allow", allow)
	refuseBody(w, r)
	return caddyhttp.Error(http.StatusMethodNotAllowed, fmt.Errorf("method %s is not allowed", r.Method))
}

// refuseBody ends the connection to a client that waits for word before it sends a body that
// nobody will read. Since Caddy wraps bodies, net/http would wait for it too.
func refuseBody(w http.ResponseWriter, r *http.Request) {
	if r.ProtoMajor == 1 && r.Header.Get("Expect") != "" {
		w.Header().Set("Connection", "close")
	}
}
