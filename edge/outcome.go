package edge

import (
	"net/http"

	"github.com/mogilefs/caddy-mogilefs/edge/outcome"
	"github.com/mogilefs/caddy-mogilefs/tally"
)

// Outcome is what became of a request; see [outcome.Outcome].
type Outcome = outcome.Outcome

// CacheUse is how far memory helped a read; see [outcome.CacheUse].
type CacheUse = outcome.CacheUse

// From most to least.
const (
	CacheContent  = outcome.CacheContent
	CacheShared   = outcome.CacheShared
	CacheLocation = outcome.CacheLocation
	CacheStale    = outcome.CacheStale
	CacheMiss     = outcome.CacheMiss
)

// tell is the last that is done to the header of an answer to a read.
func (e *Edge) tell(h http.Header, o *Outcome) {
	o.Settle()
	if e.config.CacheStatus {
		h.Set("Cache-Status", o.CacheStatus())
	}
	e.tellTiming(h, o)
}

func (e *Edge) tellTiming(h http.Header, o *Outcome) {
	if t := o.ServerTiming(); t != "" {
		h.Set("Server-Timing", t)
	}
}

// endWith is how a request counts that was answered with a status.
func endWith(status int) tally.End {
	switch {
	case status == http.StatusNotModified:
		return tally.NotModified
	case status >= http.StatusBadRequest:
		return tally.Refused
	}
	return tally.Served
}
