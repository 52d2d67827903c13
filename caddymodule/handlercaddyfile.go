package caddymodule

import (
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func parseHandler(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	m := new(Handler)
	return m, m.UnmarshalCaddyfile(h.Dispenser)
}

// UnmarshalCaddyfile reads the directive:
//
//	mogilefs [<matcher>] [<domain>] {
//		domain         <domain>
//		key            <template>
//		reproxy        <template>
//		class          <class>...
//		methods        GET|PUT|POST|DELETE|PURGE...
//		signed {
//			key <id> <secret>
//		}
//		tracker        <address>... {
//			tls_trust_pool  <module> ...
//			tls_client_auth <certificate file> <key file>
//			tls_server_name <name>
//		}
//		zone           alt
//		client_zone
//		location_cache off|<size> {
//			ttl          <duration>
//			negative_ttl <duration>
//			stale        <duration>
//		}
//		content_cache  off|<size> {
//			max_object <size>
//		}
//		upload {
//			copies   <n>
//			max_size <size>
//			checksum on|off
//		}
//		timeouts {
//			tracker    <duration>
//			connect    <duration>
//			first_byte <duration>
//			idle       <duration>
//		}
//		hedge          <duration>
//		transport {
//			<options of reverse_proxy's transport http>
//		}
//		cache_control  <value>
//		cache_status
//		server_timing
//		pass_thru
//	}
func (h *Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the directive
	if d.NextArg() {
		h.Domain = d.Val()
	}
	if d.NextArg() {
		return d.ArgErr()
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if err := h.parseWord(d); err != nil {
			return err
		}
	}
	return nil
}

func (h *Handler) parseWord(d *caddyfile.Dispenser) (err error) {
	switch d.Val() {
	case "domain":
		if h.Domain != "" {
			return d.Errf("the domain is %s already", h.Domain)
		}
		return oneArg(d, &h.Domain)
	case "key":
		return oneArg(d, &h.Key)
	case "reproxy":
		return oneArg(d, &h.Reproxy)
	case "class":
		h.Class, err = someArgs(d, h.Class)
		return err
	case "methods":
		h.Methods, err = someArgs(d, h.Methods)
		return err
	case "signed":
		if h.Signed != nil {
			return d.Err("signed stands twice: put all keys into one block")
		}
		h.Signed = new(Signed)
		return h.Signed.parse(d)
	case "tracker":
		if h.Tracker != nil {
			return d.Err("tracker stands twice: put all addresses into one line")
		}
		h.Tracker = new(RemoteTrackers)
		return h.Tracker.parse(d)
	case "zone":
		return oneArg(d, &h.Zone)
	case "client_zone":
		h.ClientZone = true
		return noArgs(d)
	case "location_cache":
		return h.parseLocationCache(d)
	case "content_cache":
		return h.parseContentCache(d)
	case "upload":
		return h.parseUpload(d)
	case "timeouts":
		return h.parseTimeouts(d)
	case "hedge":
		return oneDuration(d, &h.Hedge)
	case "transport":
		if h.Transport != nil {
			return d.Err("transport stands twice: join the two blocks")
		}
		h.Transport = new(NodeTransport)
		return h.Transport.parse(d)
	case "cache_control":
		return oneArg(d, &h.CacheControl)
	case "cache_status":
		return oneFlag(d, &h.CacheStatus)
	case "server_timing":
		return oneFlag(d, &h.ServerTiming)
	case "pass_thru":
		h.PassThru = true
		return noArgs(d)
	}
	return d.Errf("unrecognized subdirective: %s", d.Val())
}

func (h *Handler) parseLocationCache(d *caddyfile.Dispenser) error {
	if h.LocationCache != nil {
		return d.Err("location_cache stands twice")
	}
	c := new(LocationCache)
	h.LocationCache = c
	if err := offOrSize(d, &c.Off, &c.Size); err != nil || c.Off {
		return err
	}
	return parseDurations(d, map[string]*caddy.Duration{
		"ttl": &c.TTL, "negative_ttl": &c.NegativeTTL, "stale": &c.Stale,
	})
}

func (h *Handler) parseContentCache(d *caddyfile.Dispenser) error {
	if h.ContentCache != nil {
		return d.Err("content_cache stands twice")
	}
	c := new(ContentCache)
	h.ContentCache = c
	if err := offOrSize(d, &c.Off, &c.Size); err != nil || c.Off {
		return err
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if d.Val() != "max_object" {
			return d.Errf("unrecognized subdirective: %s", d.Val())
		}
		if err := oneSize(d, &c.MaxObject); err != nil {
			return err
		}
	}
	return nil
}

func (h *Handler) parseUpload(d *caddyfile.Dispenser) error {
	if h.Upload != nil {
		return d.Err("upload stands twice: join the two blocks")
	}
	u := new(Upload)
	h.Upload = u
	if err := noArgs(d); err != nil {
		return err
	}
	var checksum string
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		var err error
		switch d.Val() {
		case "copies":
			err = oneCount(d, &u.Copies)
		case "max_size":
			err = oneSize(d, &u.MaxSize)
		case "checksum":
			var on bool
			on, err = onOff(d, &checksum)
			u.NoChecksum = !on
		default:
			err = d.Errf("unrecognized subdirective: %s", d.Val())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (h *Handler) parseTimeouts(d *caddyfile.Dispenser) error {
	if h.Timeouts != nil {
		return d.Err("timeouts stands twice: join the two blocks")
	}
	t := new(Timeouts)
	h.Timeouts = t
	if err := noArgs(d); err != nil {
		return err
	}
	return parseDurations(d, map[string]*caddy.Duration{
		"tracker": &t.Tracker, "connect": &t.Connect, "first_byte": &t.FirstByte, "idle": &t.Idle,
	})
}

// parseDurations reads a block of words that each have one duration.
func parseDurations(d *caddyfile.Dispenser, words map[string]*caddy.Duration) error {
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		word := d.Val()
		to, ok := words[word]
		if !ok {
			return d.Errf("unrecognized subdirective: %s", word)
		}
		if err := oneDuration(d, to); err != nil {
			return err
		}
	}
	return nil
}

var _ caddyfile.Unmarshaler = (*Handler)(nil)
