package caddymodule

import (
	"strconv"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/dustin/go-humanize"
)

func init() {
	httpcaddyfile.RegisterGlobalOption("mogilefs", parseGlobalOption)
	httpcaddyfile.RegisterHandlerDirective("mogilefs", parseHandler)
	httpcaddyfile.RegisterDirectiveOrder("mogilefs", httpcaddyfile.Before, "file_server")
	httpcaddyfile.RegisterHandlerDirective("mogilefs_storage", parseStorageHandler)
	httpcaddyfile.RegisterDirectiveOrder("mogilefs_storage", httpcaddyfile.Before, "file_server")
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
//			listen   <address>...
//			database sqlite [<file>]
//			workers  <job> <count>
//			setting  <name> <value>
//		}
//		storage <name> {
//			root       <directory>
//			devices    <devid>...
//			address    <ip:port>
//			management <address>|off
//			register
//			durable    on|off
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

// UnmarshalCaddyfile reads the tracker block; see [App.UnmarshalCaddyfile].
func (t *Tracker) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	if d.NextArg() {
		return d.ArgErr()
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		var err error
		switch d.Val() {
		case "listen":
			t.Listen, err = someArgs(d, t.Listen)
		case "database":
			err = t.parseDatabase(d)
		case "workers":
			err = t.parseWorkers(d)
		case "setting":
			err = t.parseSetting(d)
		default:
			err = d.Errf("unrecognized subdirective: %s", d.Val())
		}
		if err != nil {
			return err
		}
	}
	return nil
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

func (n *StorageNode) parseBlock(d *caddyfile.Dispenser) error {
	var durable string
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		var err error
		switch d.Val() {
		case "root":
			err = oneArg(d, &n.Root)
		case "devices":
			err = n.parseDevices(d)
		case "address":
			err = oneArg(d, &n.Address)
		case "management":
			err = oneArg(d, &n.Management)
		case "register":
			n.Register = true
			err = noArgs(d)
		case "durable":
			var on bool
			on, err = onOff(d, &durable)
			n.Fast = !on
		default:
			err = d.Errf("unrecognized subdirective: %s", d.Val())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (n *StorageNode) parseDevices(d *caddyfile.Dispenser) error {
	ids, err := someArgs(d, nil)
	if err != nil {
		return err
	}
	for _, id := range ids {
		dev, err := strconv.ParseUint(id, 10, 32)
		if err != nil || dev == 0 {
			return d.Errf("devices %s: want numbers from 1 up", id)
		}
		n.Devices = append(n.Devices, uint32(dev))
	}
	return nil
}

func (dom *Domain) parseBlock(d *caddyfile.Dispenser) error {
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if d.Val() != "class" {
			return d.Errf("unrecognized subdirective: %s", d.Val())
		}
		if !d.NextArg() {
			return d.ArgErr()
		}
		name := d.Val()
		if _, taken := dom.Classes[name]; taken {
			return d.Errf("class %s stands twice", name)
		}
		class := new(Class)
		if dom.Classes == nil {
			dom.Classes = map[string]*Class{}
		}
		dom.Classes[name] = class
		if err := class.parse(d); err != nil {
			return err
		}
	}
	return nil
}

func (c *Class) parse(d *caddyfile.Dispenser) error {
	if d.NextArg() {
		if err := c.parseMinDevCount(d, d.Val()); err != nil {
			return err
		}
	}
	if d.NextArg() {
		return d.ArgErr()
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if err := c.parseWord(d); err != nil {
			return err
		}
	}
	return nil
}

func (c *Class) parseWord(d *caddyfile.Dispenser) error {
	switch d.Val() {
	case "mindevcount":
		var value string
		if err := oneArg(d, &value); err != nil {
			return err
		}
		return c.parseMinDevCount(d, value)
	case "replpolicy":
		return oneArg(d, &c.ReplPolicy)
	case "hashtype":
		return oneArg(d, &c.HashType)
	}
	return d.Errf("unrecognized subdirective: %s", d.Val())
}

func (c *Class) parseMinDevCount(d *caddyfile.Dispenser, value string) error {
	if c.MinDevCount != 0 {
		return d.Errf("mindevcount stands twice: %d and %s", c.MinDevCount, value)
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < 1 {
		return d.Errf("mindevcount %s: want a number from 1 up", value)
	}
	c.MinDevCount = n
	return nil
}

// noArgs refuses arguments.
func noArgs(d *caddyfile.Dispenser) error {
	if d.NextArg() {
		return d.ArgErr()
	}
	return nil
}

// oneArg reads exactly one argument of a word that may stand once.
func oneArg(d *caddyfile.Dispenser, to *string) error {
	if *to != "" {
		return d.Errf("%s stands twice", d.Val())
	}
	if !d.AllArgs(to) {
		return d.ArgErr()
	}
	return nil
}

// someArgs reads one argument or more.
func someArgs(d *caddyfile.Dispenser, to []string) ([]string, error) {
	args := d.RemainingArgs()
	if len(args) == 0 {
		return nil, d.ArgErr()
	}
	return append(to, args...), nil
}

// onOff reads on or off, and keeps it in word.
func onOff(d *caddyfile.Dispenser, word *string) (bool, error) {
	if err := oneArg(d, word); err != nil {
		return false, err
	}
	switch *word {
	case "on":
		return true, nil
	case "off":
		return false, nil
	}
	return false, d.Errf("%s: want on or off", *word)
}

// oneSize reads exactly one size in bytes, such as 64MiB, of a word that may stand
// once.
func oneSize(d *caddyfile.Dispenser, to *int64) error {
	if *to != 0 {
		return d.Errf("%s stands twice", d.Val())
	}
	var word string
	if err := oneArg(d, &word); err != nil {
		return err
	}
	n, err := humanize.ParseBytes(word)
	if err != nil || n == 0 || n > 1<<62 {
		return d.Errf("%s: want a size such as 64MiB", word)
	}
	*to = int64(n)
	return nil
}

var _ caddyfile.Unmarshaler = (*App)(nil)
