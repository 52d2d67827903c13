package storetest

import (
	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

var nameChecks = []check{
	{"DomainsAreFoundByName", domainsAreFoundByName},
	{"ClassesAreFoundByNameInTheirDomain", classesAreFoundByNameInTheirDomain},
	{"HostsAreFoundByName", hostsAreFoundByName},
	{"NamesThatAreFoundAreTaken", namesThatAreFoundAreTaken},
}

func domainsAreFoundByName(e env) {
	e.domain("a")
	id := e.domain("b")
	got, err := e.s.DomainByName(e.ctx, "b")
	e.must(err, "find domain")
	e.same(got, id, "number of b")
	_, err = e.s.DomainByName(e.ctx, "c")
	e.wants(store.ErrNotFound, err, "find no domain")
}

func classesAreFoundByNameInTheirDomain(e env) {
	a, b := e.domain("a"), e.domain("b")
	e.class(mogile.Class{Domain: a, Name: "other", MinDevCount: 1})
	c := mogile.Class{Domain: a, Name: "thumb", MinDevCount: 3, Policy: "MultipleHosts(3)", Hash: mogile.HashSHA1}
	c.ID = e.class(c)
	got, err := e.s.ClassByName(e.ctx, a, "thumb")
	e.must(err, "find class")
	e.same(got, c, "class")
	for _, name := range []mogile.ClassName{"thumb", mogile.DefaultClass} {
		_, err = e.s.ClassByName(e.ctx, b, name)
		e.wants(store.ErrNotFound, err, "find class %q of b", name)
	}
	d := mogile.Class{Domain: b, Name: mogile.DefaultClass, MinDevCount: 4}
	e.class(d)
	got, err = e.s.ClassByName(e.ctx, b, mogile.DefaultClass)
	e.must(err, "find default class")
	e.same(got, d, "default class")
}

func hostsAreFoundByName(e env) {
	e.host(aHost("a", "10.0.0.1"))
	h := mogile.Host{
		Name: "b", State: mogile.HostDown, IP: "10.0.0.2", AltIP: "192.168.0.1", AltMask: "192.168.0.0/16", Port: 7500, GetPort: 7600,
	}
	h.ID = e.host(h)
	got, err := e.s.HostByName(e.ctx, "b")
	e.must(err, "find host")
	e.same(got, h, "host")
	_, err = e.s.HostByName(e.ctx, "c")
	e.wants(store.ErrNotFound, err, "find no host")
}

// namesThatAreFoundAreTaken holds whatever the database thinks of the case of letters, or
// of blanks behind a name.
func namesThatAreFoundAreTaken(e env) {
	id := e.domain("name")
	e.class(mogile.Class{Domain: id, Name: "name", MinDevCount: 1})
	e.host(aHost("name", "10.0.0.1"))
	for i, name := range []string{"NAME", "Name", "name ", "name", "nam", "other"} {
		_, found := e.s.DomainByName(e.ctx, mogile.DomainName(name))
		_, created := e.s.CreateDomain(e.ctx, mogile.DomainName(name))
		e.takenIfFound(found, created, "domain %q", name)
		_, found = e.s.ClassByName(e.ctx, id, mogile.ClassName(name))
		_, created = e.s.CreateClass(e.ctx, mogile.Class{Domain: id, Name: mogile.ClassName(name), MinDevCount: 1})
		e.takenIfFound(found, created, "class %q", name)
		_, found = e.s.HostByName(e.ctx, mogile.HostName(name))
		_, created = e.s.CreateHost(e.ctx, aHost(mogile.HostName(name), "10.0.1."+string(rune('1'+i))))
		e.takenIfFound(found, created, "host %q", name)
	}
}

func (e env) takenIfFound(found, created error, what string, args ...any) {
	e.Helper()
	if found == nil {
		e.wants(store.ErrDup, created, "create "+what, args...)
		return
	}
	e.wants(store.ErrNotFound, found, "find "+what, args...)
	e.must(created, "create "+what, args...)
}
