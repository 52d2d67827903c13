package caddymodule

import (
	"errors"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// methodPurge asks to forget what is remembered of a key. It is no standard; caches
// have it in common.
const methodPurge = "PURGE"

// purge is what is to be forgotten. It is done in all caches of this process: there may
// be several over one database, and one that forgets too much only asks again.
type purge struct {
	// Domain is required with Key and Prefix; with All it may be empty for all domains.
	Domain mogile.DomainName `json:"domain,omitempty"`
	// One of the three.
	Key    mogile.Key `json:"key,omitempty"`
	Prefix mogile.Key `json:"prefix,omitempty"`
	All    bool       `json:"all,omitempty"`
}

// purged is how much was forgotten.
type purged struct {
	// Locations is how many keys were remembered to have a file.
	Locations int `json:"locations"`
	// Contents is how many files were in memory.
	Contents int `json:"contents"`
}

func (p purge) validate() error {
	given := 0
	for _, is := range []bool{p.Key != "", p.Prefix != "", p.All} {
		if is {
			given++
		}
	}
	switch {
	case given != 1:
		return errors.New("purge: give one of key, prefix, and all")
	case p.Domain == "" && !p.All:
		return errors.New("purge: give the domain of the key or prefix")
	}
	return nil
}

func (p purge) matches(domain mogile.DomainName, key mogile.Key) bool {
	return (p.Domain == "" || p.Domain == domain) && strings.HasPrefix(string(key), string(p.Prefix))
}

// run forgets. A content can only be reached through a location, so those go first.
func (p purge) run() (done purged) {
	locations, contents := pooledCaches()
	var fids []mogile.FID
	for _, l := range locations {
		if p.Key != "" {
			if fid := l.Purge(p.Domain, p.Key); fid != 0 {
				fids = append(fids, fid)
			}
			continue
		}
		fids = append(fids, l.PurgeAll(p.matches)...)
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
	purge{Domain: h.domain(r), Key: a.key}.run()
	w.WriteHeader(http.StatusNoContent)
	return nil
}
