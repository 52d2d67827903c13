package caddymodule

import (
	"slices"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

func TestStorageHandlersThatNeedAHostAreWarnedOf(t *testing.T) {
	here := []caddyhttp.MiddlewareHandler{&StorageHandler{Node: "n"}}
	host := func(names ...string) caddyhttp.MatcherSet {
		m := caddyhttp.MatchHost(names)
		return caddyhttp.MatcherSet{&m}
	}
	path := caddyhttp.MatcherSet{caddyhttp.MatchPath{"/dev*"}}
	within := func(outer caddyhttp.MatcherSets, inner caddyhttp.Route) caddyhttp.Route {
		return caddyhttp.Route{MatcherSets: outer, Handlers: []caddyhttp.MiddlewareHandler{
			&caddyhttp.Subroute{Routes: caddyhttp.RouteList{inner}},
		}}
	}
	for name, test := range map[string]struct {
		route caddyhttp.Route
		want  []string
	}{
		"no matcher":             {caddyhttp.Route{Handlers: here}, nil},
		"a path":                 {caddyhttp.Route{MatcherSets: caddyhttp.MatcherSets{path}, Handlers: here}, nil},
		"a host":                 {caddyhttp.Route{MatcherSets: caddyhttp.MatcherSets{host("a")}, Handlers: here}, []string{"a"}},
		"one of two hosts":       {caddyhttp.Route{MatcherSets: caddyhttp.MatcherSets{host("a"), host("b")}, Handlers: here}, []string{"a", "b"}},
		"a host or a path":       {caddyhttp.Route{MatcherSets: caddyhttp.MatcherSets{host("a"), path}, Handlers: here}, nil},
		"a host further out":     {within(caddyhttp.MatcherSets{host("a")}, caddyhttp.Route{Handlers: here}), []string{"a"}},
		"a host for another one": {caddyhttp.Route{MatcherSets: caddyhttp.MatcherSets{host("a")}}, nil},
	} {
		var got []string
		for _, h := range behindHosts(caddyhttp.RouteList{test.route}, nil) {
			got = append(got, h.hosts...)
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: got %q; want %q", name, got, test.want)
		}
	}
}

func TestTheWarningOfHostsReachesTheLog(t *testing.T) {
	r := newRig(t)
	r.run(changed("http://:NODEPORT", "http://127.0.0.1:NODEPORT"))
	ctx := caddy.ActiveContext()
	app, err := ctx.App("mogilefs")
	if err != nil {
		t.Fatal(err)
	}
	core, logs := observer.New(zapcore.WarnLevel)
	app.(*App).log = zap.New(core)
	app.(*App).warnOfHosts(ctx)
	got := logs.All()
	if len(got) != 1 || got[0].ContextMap()["node"] != "node1" {
		t.Errorf("got %v; want one warning for node1", got)
	}
}
