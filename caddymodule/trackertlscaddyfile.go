package caddymodule

import (
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddytls"
)

// parse reads what follows the word tls:
//
//	[<name> | <certificate file> <key file>] {
//		names  <name>...
//		issuer <module> ...
//		client_auth {
//			...
//		}
//		connection_policy {
//			...
//		}
//	}
//
// issuer, client_auth and connection_policy are written as in a site's tls.
func (t *TrackerTLS) parse(d *caddyfile.Dispenser) error {
	switch args := d.RemainingArgs(); len(args) {
	case 0:
	case 1:
		t.Names = args
	case 2:
		t.Certificate, t.Key = args[0], args[1]
	default:
		return d.Err("want one name, or the files of a certificate and its key; more names stand in the block, as names")
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if err := t.parseWord(d); err != nil {
			return err
		}
	}
	return nil
}

func (t *TrackerTLS) parseWord(d *caddyfile.Dispenser) (err error) {
	switch d.Val() {
	case "names":
		t.Names, err = someArgs(d, t.Names)
	case "issuer":
		err = t.parseIssuer(d)
	case "client_auth":
		auth := new(caddytls.ClientAuthentication)
		if err = auth.UnmarshalCaddyfile(d.NewFromNextSegment()); err == nil {
			err = t.addPolicy(d, &caddytls.ConnectionPolicy{ClientAuthentication: auth}, true)
		}
	case "connection_policy":
		policy := new(caddytls.ConnectionPolicy)
		if err = policy.UnmarshalCaddyfile(d.NewFromNextSegment()); err == nil {
			err = t.addPolicy(d, policy, false)
		}
	default:
		err = d.Errf("unrecognized subdirective: %s", d.Val())
	}
	return err
}

// addPolicy refuses one behind another that matches always.
func (t *TrackerTLS) addPolicy(d *caddyfile.Dispenser, p *caddytls.ConnectionPolicy, alone bool) error {
	if n := len(t.ConnectionPolicies); n > 0 && (alone || t.ConnectionPolicies[n-1].MatchersRaw == nil) {
		return d.Err("client_auth stands once and without connection_policy, and only the last connection_policy may have no match")
	}
	t.ConnectionPolicies = append(t.ConnectionPolicies, p)
	return nil
}

func (t *TrackerTLS) parseIssuer(d *caddyfile.Dispenser) error {
	if !d.NextArg() {
		return d.ArgErr()
	}
	name := d.Val()
	mod, err := caddyfile.UnmarshalModule(d, "tls.issuance."+name)
	if err != nil {
		return err
	}
	t.IssuersRaw = append(t.IssuersRaw, caddyconfig.JSONModuleObject(mod, "module", name, nil))
	return nil
}
