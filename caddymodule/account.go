package caddymodule

import (
	"context"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/mogilefs/caddy-mogilefs/edge"
	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tally"
)

// account is what a request's placeholders tell of it, and what its answer goes through.
type account struct {
	key mogile.Key
	edge.Outcome
	// passed says that the next handler answers, which may be one of ours.
	passed bool
	to     wholeWriter // here, to be one piece of memory
}

const placeholders = "http.mogilefs."

// enter adds the account to the access log, if the request's server writes one. It is read when the line
// is written, after the answer.
func (a *account) enter(ctx context.Context) {
	server, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if !ok || server.Logs == nil {
		return
	}
	if extra, ok := ctx.Value(caddyhttp.ExtraLogFieldsCtxKey).(*caddyhttp.ExtraLogFields); ok {
		extra.Set(zap.Object("mogilefs", a))
	}
}

// MarshalLogObject implements [zapcore.ObjectMarshaler]. What there is none of is left out.
func (a *account) MarshalLogObject(to zapcore.ObjectEncoder) error {
	to.AddString("key", string(a.key))
	if a.FID != 0 {
		to.AddUint64("fid", uint64(a.FID))
	}
	if a.Copy != 0 {
		to.AddUint32("copy", uint32(a.Copy))
	}
	if a.Cache != "" {
		to.AddString("cache", string(a.Cache))
	}
	if a.Source != tally.Nowhere {
		to.AddString("source", a.Source.String())
	}
	return nil
}

var _ zapcore.ObjectMarshaler = (*account)(nil)

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
