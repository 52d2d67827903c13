package caddymodule

import (
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
)

// warnOfHosts logs a warning for every storage handler that only requests with a
// certain host name reach.
//
// MogileFS clients of old send HTTP/1.0 without a Host header. Such a request
// matches no host, and Caddy answers what no route matches with an empty 200, which
// a client takes for an upload that was stored.
func (a *App) warnOfHosts(ctx caddy.Context) {
	app, err := ctx.AppIfConfigured("http")
	if err != nil {
		return // no HTTP at all
	}
	for name, server := range app.(*caddyhttp.App).Servers {
		for _, h := range behindHosts(server.Routes, nil) {
			a.log.Warn("only requests that name a host reach this storage node, and old MogileFS clients name none:"+
				" give its site an address without a host, such as http://:7500, and the directive bind",
				zap.String("server", name), zap.String("node", h.handler.Node), zap.Strings("hosts", h.hosts))
		}
	}
}

// hostBound is a storage handler with the hosts it is bound to.
type hostBound struct {
	handler *StorageHandler
	hosts   []string
}

// behindHosts finds the storage handlers that a host matcher stands before, here or
// further out.
func behindHosts(routes caddyhttp.RouteList, outer []string) []hostBound {
	var found []hostBound
	for _, route := range routes {
		hosts := append(outer[:len(outer):len(outer)], hostsOf(route.MatcherSets)...)
		for _, handler := range route.Handlers {
			switch h := handler.(type) {
			case *caddyhttp.Subroute:
				found = append(found, behindHosts(h.Routes, hosts)...)
			case *StorageHandler:
				if len(hosts) > 0 {
					found = append(found, hostBound{h, hosts})
				}
			}
		}
	}
	return found
}

// hostsOf is the hosts without one of which no request matches: none when one of
// the sets, of which one is enough, asks for no host.
func hostsOf(sets caddyhttp.MatcherSets) []string {
	var all []string
	for _, set := range sets {
		hosts := hostsOfSet(set)
		if len(hosts) == 0 {
			return nil
		}
		all = append(all, hosts...)
	}
	return all
}

func hostsOfSet(set caddyhttp.MatcherSet) []string {
	var hosts []string
	for _, matcher := range set {
		switch m := matcher.(type) {
		case caddyhttp.MatchHost:
			hosts = append(hosts, m...)
		case *caddyhttp.MatchHost:
			hosts = append(hosts, *m...)
		}
	}
	return hosts
}
