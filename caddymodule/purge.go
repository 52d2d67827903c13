package caddymodule

import (
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/mogilefs/caddy-mogilefs/console"
	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// methodPurge asks to forget what is remembered of a key. It is no standard; caches
// have it in common.
const methodPurge = "PURGE"

// forget forgets. A content can only be reached through a location, so those go first.
func forget(p console.Purge) (done console.Purged) {
	matches := func(domain mogile.DomainName, key mogile.Key) bool {
		return (p.Domain == "" || p.Domain == domain) && strings.HasPrefix(string(key), string(p.Prefix))
	}
	locations, contents := pooledCaches()
	var fids []mogile.FID
	for _, l := range locations {
		if p.Key != "" {
			if fid := l.Purge(p.Domain, p.Key); fid != 0 {
				fids = append(fids, fid)
			}
			continue
		}
		fids = append(fids, l.PurgeAll(matches)...)
	}
	done.Locations = len(fids)
	for _, c := range contents {
		if p.All && p.Domain == "" {
			done.Contents += c.RemoveAll()
			continue
		}
		for _, fid := range fids {
			if c.Remove(fid) {
				done.Contents++
			}
		}
	}
	return done
}

// pooledCaches is all caches of this process.
func pooledCaches() (locations []*pooledLocations, contents []pooledContents) {
	pool.Range(func(_, value any) bool {
		switch v := value.(type) {
		case *pooledLocations:
			locations = append(locations, v)
		case pooledContents:
			contents = append(contents, v)
		}
		return true
	})
	return locations, contents
}

// purge answers a PURGE, whether anything was remembered or not.
func (h *Handler) purge(w http.ResponseWriter, r *http.Request, a *account) error {
	if err := a.key.Validate(); err != nil {
		return caddyhttp.Error(http.StatusBadRequest, err)
	}
	forget(console.Purge{Domain: h.domain(r), Key: a.key})
	w.WriteHeader(http.StatusNoContent)
	return nil
}
