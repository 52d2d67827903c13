package caddymodule

import (
	"errors"
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/mogilefs/caddy-mogilefs/edge"
	"github.com/mogilefs/caddy-mogilefs/tracker/client"
)

// holder is a long-lived part that requests hold.
type holder interface {
	hold()
	letGo() error
}

// source is where a handler learns of files: the tracker of this process, or remote
// ones.
type source struct {
	tracker edge.Tracker
	// held by every request, so that an upload that began before a reload can end
	// after it.
	held holder
	// identity tells the locations it gives from those of others.
	identity string
	changes  *changes
	// patience is how long a question may take; 0 means the edge's own default.
	patience time.Duration
}

// source chooses whom the handler asks.
func (h *Handler) source(ctx caddy.Context, app *App) (source, error) {
	switch {
	case h.Tracker != nil:
		return h.remoteSource(ctx, app)
	case app.Tracker == nil:
		return source{}, errors.New("there is no tracker in this process: add a tracker block to the global option mogilefs, or name remote ones here: tracker <address>")
	}
	s := app.Tracker.shared
	return source{
		tracker: localTracker{shared: s, alt: h.Zone == zoneAlt, byClient: h.ClientZone}, held: s,
		identity: app.Tracker.db.Identity(), changes: app.Tracker.changes, patience: time.Duration(h.Timeouts.Tracker),
	}, nil
}

// remoteChanges is the one change hub for all remote trackers: which of them share a
// database can't be seen, and a cache that forgets too much only asks again.
var remoteChanges = poolKey{"changes", "remote trackers"}

// maxPatience is how many trackers a request waits for, one after the other, before it
// is given up. Those that do not answer are left aside by the next request.
const maxPatience = 3

func (h *Handler) remoteSource(ctx caddy.Context, app *App) (source, error) {
	if h.ClientZone {
		return source{}, errors.New("client_zone: a remote tracker sees the address of this edge, not of its clients, so only the tracker" +
			" of this process can go by theirs: use zone alt, or let the hosts' altmask hold the address of this edge")
	}
	s, err := h.Tracker.client(ctx, &h.refs, h.Timeouts)
	if err != nil {
		return source{}, fmt.Errorf("tracker: %w", err)
	}
	app.site.sees(s, h.Tracker.resolved)
	hub, err := load(&h.refs, remoteChanges, func() (*changes, error) { return new(changes), nil })
	if err != nil {
		return source{}, err
	}
	one := time.Duration(h.Timeouts.Tracker)
	if one == 0 {
		one = defaultTrackerTimeout
	}
	return source{
		tracker: remoteTracker{shared: s, zone: client.Zone(h.Zone), hashes: new(classHashes), changed: hub.tell, log: h.log},
		held:    s, identity: fmt.Sprintf("trackers %q", h.Tracker.resolved), changes: hub,
		patience: one * time.Duration(min(len(h.Tracker.resolved), maxPatience)),
	}, nil
}
