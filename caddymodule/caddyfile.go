package caddymodule

import (
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
)

func init() {
	httpcaddyfile.RegisterGlobalOption("mogilefs", parseGlobalOption)
	httpcaddyfile.RegisterHandlerDirective("mogilefs", parseHandler)
	httpcaddyfile.RegisterDirectiveOrder("mogilefs", httpcaddyfile.Before, "file_server")
	httpcaddyfile.RegisterHandlerDirective("mogilefs_storage", parseStorageHandler)
	httpcaddyfile.RegisterDirectiveOrder("mogilefs_storage", httpcaddyfile.Before, "file_server")
	httpcaddyfile.RegisterHandlerDirective("mogilefs_dashboard", parseDashboard)
	httpcaddyfile.RegisterDirectiveOrder("mogilefs_dashboard", httpcaddyfile.Before, "file_server")
}

func parseGlobalOption(d *caddyfile.Dispenser, existing any) (any, error) {
	if existing != nil {
		return nil, d.Err("the global option mogilefs stands twice: join the two blocks")
	}
	app := new(App)
	if err := app.UnmarshalCaddyfile(d); err != nil {
		return nil, err
	}
	return httpcaddyfile.App{Name: "mogilefs", Value: caddyconfig.JSON(app, nil)}, nil
}

// UnmarshalCaddyfile reads the global option:
//
//	mogilefs {
//		tracker {
//			listen   [tls://]<address>...
//			allow    <range>...
//			admin_allow <range>...
//			max_connections <count>
//			max_connections_per_client <count>
//			allow_shutdown
//			tls [<name> | <certificate file> <key file>] {
//				names  <name>...
//				issuer <module> ...
//				client_auth {
//					...
//				}
//				connection_policy {
//					...
//				}
//			}
//			database sqlite [<file>]
//			workers  <job> <count>
//			setting  <name> <value>
//		}
//		storage <name> {
//			root       <directory>
//			devices    <devid>...
//			address    <ip:port>
//			get_port   <port>
//			management <address>|off
//			allow_shutdown
//			register   [<address>...]
//			durable    on|off
//			write_from <range>|cluster...
//			read_from  <range>|cluster...
//			min_free_space <size>
//		}
//		domain <name> {
//			class <name> [<mindevcount>] {
//				mindevcount <count>
//				replpolicy  <policy>
//				hashtype    MD5|SHA-1|NONE
//			}
//		}
//	}
//
// storage and domain may stand any number of times, as may workers, setting and
// class. A block that has nothing to say may be left out.
func (a *App) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the option's name
	if d.NextArg() {
		return d.ArgErr()
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		var err error
		switch d.Val() {
		case "tracker":
			err = a.parseTracker(d)
		case "storage":
			err = a.parseStorage(d)
		case "domain":
			err = a.parseDomain(d)
		default:
			err = d.Errf("unrecognized subdirective: %s", d.Val())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (a *App) parseTracker(d *caddyfile.Dispenser) error {
	if a.Tracker != nil {
		return d.Err("a process has one tracker: join the two tracker blocks")
	}
	a.Tracker = new(Tracker)
	return a.Tracker.UnmarshalCaddyfile(d)
}

func (a *App) parseStorage(d *caddyfile.Dispenser) error {
	var name string
	if !d.AllArgs(&name) {
		return d.ArgErr()
	}
	if _, taken := a.Storage[name]; taken {
		return d.Errf("storage %s stands twice", name)
	}
	n := new(StorageNode)
	if a.Storage == nil {
		a.Storage = map[string]*StorageNode{}
	}
	a.Storage[name] = n
	return n.parseBlock(d)
}

func (a *App) parseDomain(d *caddyfile.Dispenser) error {
	var name string
	if !d.AllArgs(&name) {
		return d.ArgErr()
	}
	if _, taken := a.Domains[name]; taken {
		return d.Errf("domain %s stands twice", name)
	}
	domain := new(Domain)
	if a.Domains == nil {
		a.Domains = map[string]*Domain{}
	}
	a.Domains[name] = domain
	return domain.parseBlock(d)
}

var _ caddyfile.Unmarshaler = (*App)(nil)
