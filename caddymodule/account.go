package caddymodule

import (
	"context"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/mogilefs/caddy-mogilefs/edge"
	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// account is what a request's placeholders tell of it.
type account struct {
	key mogile.Key
	edge.Outcome
	// passed says that the next handler answers, which may be one of ours.
	passed bool
}

const placeholders = "http.mogilefs."

// show makes the placeholders known. They are looked up when somebody asks, which is
// cheaper than setting them, and then have their latest values.
func (a *account) show(ctx context.Context) {
	if repl, ok := ctx.Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok {
		repl.Map(a.placeholder)
	}
}

func (a *account) placeholder(name string) (any, bool) {
	if a.passed || !strings.HasPrefix(name, placeholders) {
		return nil, false
	}
	switch name[len(placeholders):] {
	case "key":
		return string(a.key), true
	case "fid":
		return numberOrNone(uint64(a.FID)), true
	case "copy":
		return numberOrNone(uint64(a.Copy)), true
	case "cache":
		return string(a.Cache), true
	}
	return nil, false
}

func numberOrNone(n uint64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatUint(n, 10)
}
