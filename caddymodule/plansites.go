package caddymodule

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/mogilefs/caddy-mogilefs/cli/doctor"
)

// plannedServer and what follows are Caddy's JSON, as far as it says how a handler of ours is
// reached.
type plannedServer struct {
	Listen   []string        `json:"listen"`
	Routes   []plannedRoute  `json:"routes"`
	Policies []plannedPolicy `json:"tls_connection_policies"`
}

type plannedPolicy struct {
	ClientAuthentication json.RawMessage `json:"client_authentication"`
}

type plannedRoute struct {
	Match  []map[string]json.RawMessage `json:"match"`
	Handle []plannedHandler             `json:"handle"`
}

type plannedHandler struct {
	Handler        string          `json:"handler"`
	Routes         []plannedRoute  `json:"routes"`
	Responses      []plannedHandle `json:"handle_response"`
	Node           string          `json:"node"`
	Methods        []string        `json:"methods"`
	Signed         json.RawMessage `json:"signed"`
	hosts          []string
	behindAnything bool
}

type plannedHandle struct {
	Routes []plannedRoute `json:"routes"`
}

// planSites finds the handlers of ours.
func planSites(raw json.RawMessage, app *App) ([]doctor.Site, error) {
	if raw == nil {
		return nil, nil
	}
	var http struct {
		Servers map[string]plannedServer `json:"servers"`
	}
	if err := json.Unmarshal(raw, &http); err != nil {
		return nil, err
	}
	var sites []doctor.Site
	for _, name := range slices.Sorted(maps.Keys(http.Servers)) {
		server := http.Servers[name]
		guarded := slices.ContainsFunc(server.Policies, func(p plannedPolicy) bool { return p.ClientAuthentication != nil })
		var listen []doctor.Listener
		for _, addr := range server.Listen {
			listen = append(listen, planListener(addr))
		}
		for _, h := range ours(server.Routes, nil, guarded) {
			site := doctor.Site{Listen: listen, Hosts: h.hosts}
			if h.Handler == "mogilefs_storage" {
				if site.Node = h.Node; h.Node == "" && len(app.Storage) == 1 {
					site.Node = app.nodeNames()[0]
				}
			} else {
				site.Changes = slices.ContainsFunc(h.Methods, func(m string) bool { return m != "GET" })
				site.Guarded = h.behindAnything || h.Signed != nil
			}
			sites = append(sites, site)
		}
	}
	return sites, nil
}

// ours finds handlers of ours, with the hosts before them, and whether anything before them
// asks who it is. A route's handlers stand before those of the routes that follow.
func ours(routes []plannedRoute, hosts []string, guarded bool) []plannedHandler {
	var found []plannedHandler
	for _, route := range routes {
		here, behind := append(hosts[:len(hosts):len(hosts)], plannedHosts(route.Match)...), guarded || asksWho(route.Match)
		for _, h := range route.Handle {
			switch h.Handler {
			case "mogilefs", "mogilefs_storage":
				h.hosts, h.behindAnything = here, behind
				found = append(found, h)
			case "subroute":
				found = append(found, ours(h.Routes, here, behind)...)
			case "authentication":
				behind, guarded = true, true
			case "reverse_proxy": // forward_auth is one, too
				for _, response := range h.Responses {
					found = append(found, ours(response.Routes, here, true)...)
				}
				behind, guarded = behind || h.Responses != nil, guarded || h.Responses != nil
			}
		}
	}
	return found
}

func plannedHosts(sets []map[string]json.RawMessage) []string {
	var all []string
	for _, set := range sets {
		var hosts []string
		if json.Unmarshal(set["host"], &hosts) != nil || len(hosts) == 0 {
			return nil // this set asks for no host, and one is enough
		}
		all = append(all, hosts...)
	}
	return all
}

// asksWho reports whether each of a route's sets looks at where the client is.
func asksWho(sets []map[string]json.RawMessage) bool {
	for _, set := range sets {
		if set["remote_ip"] == nil && set["client_ip"] == nil && set["expression"] == nil {
			return false
		}
	}
	return len(sets) > 0
}
