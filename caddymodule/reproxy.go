package caddymodule

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/edge"
	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// reproxy serves the file that the URLs are copies of. Were there several files, the first
// that there is is served.
func (h *Handler) reproxy(w http.ResponseWriter, r *http.Request, a *account) error {
	a.key = ""
	named := replaced(r.Context(), h.Reproxy)
	fids := fidsOf(named)
	if len(fids) == 0 {
		h.log.Warn("reproxy: no URL of a copy", zap.String("urls", named))
		return caddyhttp.Error(http.StatusBadGateway, errors.New("the application names no file"))
	}
	for _, fid := range fids[:len(fids)-1] {
		if err := h.serve(w, r, a, fid); !errors.Is(err, edge.ErrUnknownKey) {
			return err
		}
	}
	return h.serve(w, r, a, fids[len(fids)-1])
}

// maxReproxied is more URLs than a file has copies.
const maxReproxied = 16

// fidsOf are the fids of the URLs that are those of copies, each once. Nothing but the path
// counts, so that nobody can have us ask a host that the trackers don't know.
func fidsOf(urls string) (fids []mogile.FID) {
	for _, text := range firstFields(urls, maxReproxied) {
		if fid, err := fidOf(text); err == nil && !slices.Contains(fids, fid) {
			fids = append(fids, fid)
		}
	}
	return fids
}

func firstFields(s string, n int) []string {
	fields := strings.Fields(s)
	return fields[:min(n, len(fields))]
}

func fidOf(text string) (mogile.FID, error) {
	u, err := url.Parse(text)
	if err != nil {
		return 0, err
	}
	if u.Scheme != "http" && u.Scheme != "https" {
		return 0, fmt.Errorf("url %q: want http://host:port/dev…", text)
	}
	_, fid, err := mogile.ParsePath(u.Path)
	return fid, err
}
