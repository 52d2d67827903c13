// Package page is the dashboard's page: one HTML file with its script, its style and an
// icon, embedded as they are. Its policy lets a browser load nothing from elsewhere and run
// nothing that stands in the page. It knows nothing of what the page shows.
package page

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"net/http"
	"path"
)

//go:embed files
var files embed.FS

// Policy is the Content-Security-Policy of the page.
const Policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// index is what the empty name means.
const index = "index.html"

// Serve serves a file by its name. false: there is none, and nothing was written.
func Serve(w http.ResponseWriter, r *http.Request, name string) bool {
	if name == "" {
		name = index
	}
	text, err := files.ReadFile("files/" + name)
	if err != nil || path.Clean(name) != name {
		return false
	}
	sum := sha256.Sum256(text)
	tag := `"` + hex.EncodeToString(sum[:8]) + `"`
	w.Header().Set("Content-Security-Policy", Policy)
	w.Header().Set("Content-Type", mimeType(name))
	w.Header().Set("Cache-Control", "no-cache")
	w.Header().Set("Etag", tag)
	if r.Header.Get("If-None-Match") == tag {
		w.WriteHeader(http.StatusNotModified)
		return true
	}
	if r.Method != http.MethodHead {
		_, _ = w.Write(text) // who does not take it has gone
	}
	return true
}

// mimeType does not ask the system, which may have no list of types.
func mimeType(name string) string {
	switch path.Ext(name) {
	case ".html":
		return "text/html; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	}
	return "application/octet-stream"
}
