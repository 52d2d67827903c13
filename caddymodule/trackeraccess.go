package caddymodule

import (
	"fmt"
	"net/netip"
	"os"
	"strings"
	"syscall"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/tracker"
)

// TrackerAccess is who may talk to the tracker, and how many at once. The protocol has no
// users: all that is known of a client is its address. A reload changes all of it for the
// clients that are connected, too.
type TrackerAccess struct {
	// Who may connect: addresses and ranges such as `10.0.0.0/8`, or
	// `private_ranges`. Placeholders such as `{env.CLIENTS}` are replaced when the
	// config is loaded. Whoever may administer may connect, too. Default: this
	// machine.
	Allow []string `json:"allow,omitempty"`

	// Who may administer, written as in `allow`: change domains, classes, hosts,
	// devices, settings and the tracker's work, read settings, and give the commands
	// that begin with a `!`. Storage nodes of other machines that `register` must be
	// among them. Default: this machine.
	AdminAllow []string `json:"admin_allow,omitempty"`

	// How many clients may be connected at once. Further ones are hung up on, and go
	// to another tracker. Default: 16384, or what the process has descriptors for.
	MaxConnections int `json:"max_connections,omitempty"`

	// How many of them may have the same address. Default: any number, as a proxy's
	// clients share one.
	MaxConnectionsPerClient int `json:"max_connections_per_client,omitempty"`

	// Whether `!shutdown` ends this process, with everything else that it serves.
	// Default: false.
	AllowShutdown bool `json:"allow_shutdown,omitempty"`

	allow, adminAllow []netip.Prefix
}

func (a *TrackerAccess) provision() error {
	var err error
	if a.allow, err = parseRanges(a.Allow); err != nil {
		return fmt.Errorf("allow: %w", err)
	}
	if a.adminAllow, err = parseRanges(a.AdminAllow); err != nil {
		return fmt.Errorf("admin_allow: %w", err)
	}
	return a.access(nil).Validate()
}

// access is what the tracker is told.
func (a *TrackerAccess) access(log *zap.Logger) *tracker.Access {
	access := &tracker.Access{
		Allow: a.allow, AdminAllow: a.adminAllow,
		MaxConnections: a.MaxConnections, MaxPerClient: a.MaxConnectionsPerClient,
	}
	if a.AllowShutdown {
		access.Shutdown = func(string) { endProcess(log) }
	}
	return access
}

// endProcess asks Caddy to end as the system does: it stops all apps, this one too, and
// so must be left to do it by itself.
func endProcess(log *zap.Logger) {
	self, err := os.FindProcess(os.Getpid())
	if err == nil {
		err = self.Signal(syscall.SIGTERM)
	}
	if err != nil {
		log.Error("shut down", zap.Error(err))
	}
}

// privateRanges stands for all networks that are never public, as it does in Caddy's
// remote_ip.
const privateRanges = "private_ranges"

// parseRanges returns nil for no words at all. A placeholder may stand for several.
func parseRanges(words []string) ([]netip.Prefix, error) {
	var ranges []netip.Prefix
	repl := caddy.NewReplacer()
	for _, word := range words {
		filled, err := repl.ReplaceOrErr(word, true, true)
		if err != nil {
			return nil, err
		}
		for _, expr := range strings.FieldsFunc(filled, func(r rune) bool { return r == ' ' || r == ',' }) {
			if ranges, err = appendRange(ranges, expr); err != nil {
				return nil, err
			}
		}
	}
	if len(ranges) == 0 && len(words) > 0 {
		return nil, fmt.Errorf("%q: want addresses, ranges such as 10.0.0.0/8, or %s", words, privateRanges)
	}
	return ranges, nil
}

func appendRange(ranges []netip.Prefix, expr string) ([]netip.Prefix, error) {
	exprs := []string{expr}
	if expr == privateRanges {
		exprs = caddyhttp.PrivateRangesCIDR()
	}
	for _, expr := range exprs {
		p, err := caddyhttp.CIDRExpressionToPrefix(expr)
		if err != nil {
			return nil, err
		}
		ranges = append(ranges, p)
	}
	return ranges, nil
}

// warnOfAccess tells what was configured and can't be had.
func (t *Tracker) warnOfAccess(log *zap.Logger) {
	if fit := tracker.FittingConnections(); t.MaxConnections > fit {
		log.Warn("the process has too few descriptors for so many connections: raise its limit of open files, such as systemd's LimitNOFILE",
			zap.Int("max_connections", t.MaxConnections), zap.Int("descriptors suffice for", fit))
	}
	if t.allow != nil || t.adminAllow != nil {
		return
	}
	for _, addr := range t.Listen {
		if beyondThisMachine(addr) {
			log.Warn("the tracker listens for other machines and lets none of them in: say who may connect, for example allow "+privateRanges,
				zap.String("address", addr))
		}
	}
}

func beyondThisMachine(addr string) bool {
	parsed, err := parseListen(plainAddress(addr), defaultTrackerPort)
	if err != nil || parsed.IsUnixNetwork() || parsed.IsFdNetwork() {
		return false
	}
	ip, err := netip.ParseAddr(parsed.Host)
	return parsed.Host != "localhost" && (err != nil || !ip.IsLoopback())
}
