// Package fence decides who may see the dashboard, as a pure function of what is known of a
// request ([Visit]).
//
// Whoever Caddy has authenticated may. Without authentication it is for people at the
// machine itself only: both ends of the connection are loopback addresses and no proxy
// stands between. Then, and where an operator has given authentication up, the Host
// must be one that no foreign page can have a browser use for this address (DNS rebinding):
// an IP address, localhost, or a name that the config lists.
//
// Changes must come from the dashboard's own page. It does not authenticate anybody itself.
package fence

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Visit is what is known of a request.
type Visit struct {
	// Local and Remote are the ends of the connection; the zero Addr is one that is not
	// known, or no IP address.
	Local, Remote netip.Addr
	// Authenticated says that Caddy knows who it is.
	Authenticated bool
	Request       *http.Request
}

// Rules is what an operator can say.
type Rules struct {
	// Open serves everybody.
	Open bool
	// Hosts is names under which the dashboard is reached without authentication, beside
	// IP addresses and localhost. An asterisk is any.
	Hosts []string
}

// Header must be in every request that changes something, with any value: pages of other
// sites can't send it.
const Header = "X-Mogilefs-Dashboard"

// Refusal is why a request is refused, with the way out.
type Refusal string

// Error is the text.
func (r Refusal) Error() string { return string(r) }

// The refusals.
const (
	Stranger Refusal = "The dashboard is for authenticated people: put Caddy's basic_auth, or another authentication, before mogilefs_dashboard. " +
		"Without it, it is served only to browsers on the machine itself, at a loopback address and without a proxy between; an SSH tunnel does (ssh -L)."
	ForeignHost Refusal = "The dashboard is not known under this name, which protects it from other sites' pages: " +
		"use the IP address or localhost, put the name behind hosts in its block, or have people authenticate."
	ForeignPage Refusal = "Changes are taken from the dashboard's own page only. Scripts: use Caddy's admin API, or send the header " + Header + "."
)

// Admit returns nil, or a [Refusal].
func (r Rules) Admit(v Visit) error {
	if !v.Authenticated {
		if !r.Open && !v.atTheMachine() {
			return Stranger
		}
		if !r.knows(v.Request.Host) {
			return ForeignHost
		}
	}
	if v.Request.Method == http.MethodGet || v.Request.Method == http.MethodHead {
		return nil
	}
	var origin http.CrossOriginProtection
	if origin.Check(v.Request) != nil || v.Request.Header.Get(Header) == "" {
		return ForeignPage
	}
	return nil
}

// proxyHeaders are what proxies add, and browsers don't.
var proxyHeaders = []string{
	"Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Server", "X-Real-Ip",
}

// atTheMachine reports whether a browser of this machine talks to us directly. One proxy
// adds no header unless it is told to, but speaks HTTP/1.0 unless it is told not to.
func (v Visit) atTheMachine() bool {
	if !v.Local.Unmap().IsLoopback() || !v.Remote.Unmap().IsLoopback() || !v.Request.ProtoAtLeast(1, 1) {
		return false
	}
	return !slices.ContainsFunc(proxyHeaders, func(name string) bool { return len(v.Request.Header.Values(name)) > 0 })
}

// knows reports whether a Host is ours.
func (r Rules) knows(host string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	name = strings.ToLower(strings.TrimSuffix(strings.Trim(name, "[]"), "."))
	if _, err := netip.ParseAddr(name); err == nil {
		return true
	}
	if name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return true
	}
	return slices.ContainsFunc(r.Hosts, func(known string) bool { return known == "*" || strings.EqualFold(known, name) })
}
