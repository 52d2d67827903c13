package caddymodule

import (
	"strconv"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// UnmarshalCaddyfile reads the tracker block; see [App.UnmarshalCaddyfile].
func (t *Tracker) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	if d.NextArg() {
		return d.ArgErr()
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if err := t.parseWord(d); err != nil {
			return err
		}
	}
	return nil
}

func (t *Tracker) parseWord(d *caddyfile.Dispenser) (err error) {
	switch d.Val() {
	case "listen":
		t.Listen, err = someArgs(d, t.Listen)
	case "allow":
		t.Allow, err = someArgs(d, t.Allow)
	case "admin_allow":
		t.AdminAllow, err = someArgs(d, t.AdminAllow)
	case "max_connections":
		err = oneCount(d, &t.MaxConnections)
	case "max_connections_per_client":
		err = oneCount(d, &t.MaxConnectionsPerClient)
	case "allow_shutdown":
		t.AllowShutdown = true
		err = noArgs(d)
	case "tls":
		if t.TLS != nil {
			return d.Err("tls stands twice: join the two")
		}
		t.TLS = new(TrackerTLS)
		err = t.TLS.parse(d)
	case "database":
		err = t.parseDatabase(d)
	case "workers":
		err = t.parseWorkers(d)
	case "setting":
		err = t.parseSetting(d)
	default:
		err = d.Errf("unrecognized subdirective: %s", d.Val())
	}
	return err
}

func (t *Tracker) parseDatabase(d *caddyfile.Dispenser) error {
	if t.DatabaseRaw != nil {
		return d.Err("a tracker has one database")
	}
	if !d.NextArg() {
		return d.ArgErr()
	}
	engine := d.Val()
	mod, err := caddyfile.UnmarshalModule(d, "mogilefs.database."+engine)
	if err != nil {
		return err
	}
	t.DatabaseRaw = caddyconfig.JSONModuleObject(mod, "engine", engine, nil)
	return nil
}

func (t *Tracker) parseWorkers(d *caddyfile.Dispenser) error {
	var job, count string
	if !d.AllArgs(&job, &count) {
		return d.ArgErr()
	}
	if _, twice := t.Workers[job]; twice {
		return d.Errf("workers %s stands twice", job)
	}
	n, err := strconv.Atoi(count)
	if err != nil {
		return d.Errf("workers %s %s: want a number", job, count)
	}
	if t.Workers == nil {
		t.Workers = map[string]int{}
	}
	t.Workers[job] = n
	return nil
}

func (t *Tracker) parseSetting(d *caddyfile.Dispenser) error {
	var name, value string
	if !d.AllArgs(&name, &value) {
		return d.ArgErr()
	}
	if _, twice := t.Settings[name]; twice {
		return d.Errf("setting %s stands twice", name)
	}
	if t.Settings == nil {
		t.Settings = map[string]string{}
	}
	t.Settings[name] = value
	return nil
}
