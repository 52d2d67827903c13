package fence_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"github.com/mogilefs/caddy-mogilefs/console/fence"
)

// visit is a request from the machine itself, with headers.
func visit(method, host string, headers ...string) fence.Visit {
	r := httptest.NewRequest(method, "/", nil)
	r.Host = host
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	here := netip.MustParseAddr("127.0.0.1")
	return fence.Visit{Local: here, Remote: here, Request: r}
}

func TestWhoSeesTheDashboard(t *testing.T) {
	from := func(v fence.Visit, local, remote string) fence.Visit {
		v.Local, v.Remote = netip.MustParseAddr(local), netip.MustParseAddr(remote)
		return v
	}
	known := func(v fence.Visit) fence.Visit {
		v.Authenticated = true
		return v
	}
	old := visit("GET", "127.0.0.1:8081")
	old.Request.ProtoMajor, old.Request.ProtoMinor = 1, 0
	unknown := visit("GET", "localhost")
	unknown.Local = netip.Addr{}
	open, named := fence.Rules{Open: true}, fence.Rules{Hosts: []string{"Console.example"}}
	anything := fence.Rules{Open: true, Hosts: []string{"*"}}
	for name, c := range map[string]struct {
		rules fence.Rules
		visit fence.Visit
		want  error
	}{
		"here":                       {visit: visit("GET", "localhost:8081")},
		"here by address":            {visit: visit("GET", "127.0.0.1:8081")},
		"here over IPv6":             {visit: from(visit("GET", "[::1]:8081"), "::1", "::1")},
		"here mapped":                {visit: from(visit("GET", "localhost"), "::ffff:127.0.0.1", "::ffff:127.0.0.1")},
		"here below localhost":       {visit: visit("GET", "mogile.localhost.")},
		"from another machine":       {visit: from(visit("GET", "10.0.0.1"), "10.0.0.1", "10.0.0.2"), want: fence.Stranger},
		"here, but not at loopback":  {visit: from(visit("GET", "10.0.0.1"), "10.0.0.1", "10.0.0.1"), want: fence.Stranger},
		"from afar to loopback":      {visit: from(visit("GET", "localhost"), "127.0.0.1", "10.0.0.2"), want: fence.Stranger},
		"over a socket":              {visit: unknown, want: fence.Stranger},
		"through a proxy":            {visit: visit("GET", "localhost", "X-Forwarded-For", "10.0.0.2"), want: fence.Stranger},
		"through a standard proxy":   {visit: visit("GET", "localhost", "Forwarded", "for=10.0.0.2"), want: fence.Stranger},
		"through a silent proxy":     {visit: old, want: fence.Stranger},
		"rebound":                    {visit: visit("GET", "evil.example"), want: fence.ForeignHost},
		"looks like localhost":       {visit: visit("GET", "localhost.evil.example"), want: fence.ForeignHost},
		"without host":               {visit: visit("GET", ""), want: fence.ForeignHost},
		"a listed name":              {named, visit("GET", "console.EXAMPLE:443"), nil},
		"another than the listed":    {named, visit("GET", "evil.example"), fence.ForeignHost},
		"authenticated, from afar":   {visit: known(from(visit("GET", "any.example"), "10.0.0.1", "10.0.0.2"))},
		"authenticated, by proxy":    {visit: known(visit("GET", "any.example", "X-Forwarded-For", "10.0.0.2"))},
		"open, from afar":            {open, from(visit("GET", "10.0.0.1"), "10.0.0.1", "10.0.0.2"), nil},
		"open, rebound":              {open, from(visit("GET", "evil.example"), "10.0.0.1", "10.0.0.2"), fence.ForeignHost},
		"open under any name":        {anything, from(visit("GET", "x.example"), "10.0.0.1", "10.0.0.2"), nil},
		"a change of ours":           {visit: visit("POST", "localhost", fence.Header, "1", "Sec-Fetch-Site", "same-origin")},
		"a change of a script":       {visit: visit("POST", "localhost", fence.Header, "1")},
		"a change of a foreign page": {visit: visit("POST", "localhost", fence.Header, "1", "Sec-Fetch-Site", "cross-site"), want: fence.ForeignPage},
		"of a neighbour's page":      {visit: visit("POST", "localhost", fence.Header, "1", "Sec-Fetch-Site", "same-site"), want: fence.ForeignPage},
		"of an old browser":          {visit: visit("POST", "localhost", fence.Header, "1", "Origin", "https://evil.example"), want: fence.ForeignPage},
		"of a form":                  {visit: visit("POST", "localhost", "Content-Type", "text/plain"), want: fence.ForeignPage},
		"authenticated, of a form":   {visit: known(visit("POST", "localhost")), want: fence.ForeignPage},
		"authenticated, foreign": {
			visit: known(visit("POST", "localhost", fence.Header, "1", "Sec-Fetch-Site", "cross-site")), want: fence.ForeignPage,
		},
		"another method": {visit: visit(http.MethodDelete, "localhost"), want: fence.ForeignPage},
	} {
		if got := c.rules.Admit(c.visit); got != c.want {
			t.Errorf("%s: got %v; want %v", name, got, c.want)
		}
	}
}
