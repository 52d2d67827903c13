package caddymodule

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// UnmarshalCaddyfile reads
//
//	mogilefs_dashboard [<matcher>] {
//		hosts <name>...
//		insecure_without_auth
//	}
func (d *Dashboard) UnmarshalCaddyfile(disp *caddyfile.Dispenser) error {
	disp.Next() // the directive
	if disp.NextArg() {
		return disp.ArgErr()
	}
	for nesting := disp.Nesting(); disp.NextBlock(nesting); {
		var err error
		switch disp.Val() {
		case "hosts":
			d.Hosts, err = someArgs(disp, d.Hosts)
		case "insecure_without_auth":
			err = oneFlag(disp, &d.InsecureWithoutAuth)
		default:
			err = disp.Errf("unrecognized subdirective: %s", disp.Val())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func parseDashboard(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	d := new(Dashboard)
	return d, d.UnmarshalCaddyfile(h.Dispenser)
}

var _ caddyfile.Unmarshaler = (*Dashboard)(nil)
