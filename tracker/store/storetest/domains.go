package storetest

import (
	"errors"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

var domainChecks = []check{
	{"AnEmptyTopologyIsEmpty", emptyTopologyIsEmpty},
	{"DomainsAreNumberedFromOne", domainsAreNumberedFromOne},
	{"ADomainWithFilesOrClassesStays", domainWithFilesOrClassesStays},
	{"ClassesAreNumberedInTheirDomain", classesAreNumberedInTheirDomain},
	{"ClassesKeepWhatTheyAreTold", classesKeepWhatTheyAreTold},
	{"AClassWithFilesStays", classWithFilesStays},
	{"DomainNumbersAreGivenOnce", domainNumbersAreGivenOnce},
	{"ClassNumbersAreGivenOnce", classNumbersAreGivenOnce},
}

func (e env) load() store.Rows {
	e.Helper()
	rows, err := e.s.LoadTopology(e.ctx)
	e.must(err, "load topology")
	return rows
}

func (e env) domain(name mogile.DomainName) mogile.DomainID {
	e.Helper()
	id, err := e.s.CreateDomain(e.ctx, name)
	e.must(err, "create domain %q", name)
	return id
}

func (e env) class(c mogile.Class) mogile.ClassID {
	e.Helper()
	id, err := e.s.CreateClass(e.ctx, c)
	e.must(err, "create class %q", c.Name)
	return id
}

func emptyTopologyIsEmpty(e env) {
	rows := e.load()
	e.same(len(rows.Domains)+len(rows.Classes)+len(rows.Hosts)+len(rows.Devices), 0, "number of rows")
}

func domainsAreNumberedFromOne(e env) {
	e.same(e.domain("one"), mogile.DomainID(1), "first number")
	e.same(e.domain("two"), mogile.DomainID(2), "second number")
	_, err := e.s.CreateDomain(e.ctx, "one")
	e.wants(store.ErrDup, err, "create a domain twice")
	e.must(e.s.DeleteDomain(e.ctx, "one"), "delete domain")
	e.wants(store.ErrNotFound, e.s.DeleteDomain(e.ctx, "one"), "delete a domain twice")
	e.same(e.domain("three"), mogile.DomainID(3), "number after a deletion")
	e.same(e.load().Domains, map[mogile.DomainID]mogile.DomainName{2: "two", 3: "three"}, "domains")
}

func domainWithFilesOrClassesStays(e env) {
	id := e.domain("images")
	fid, err := e.s.OpenUpload(e.ctx, store.Upload{Domain: id, Key: "key"})
	e.must(err, "open upload")
	_, err = e.s.CloseUpload(e.ctx, store.Closing{FID: fid, Dev: 1, Domain: id, Key: "key"})
	e.must(err, "close upload")
	thumb := e.class(mogile.Class{Domain: id, Name: "thumb", MinDevCount: 1})
	e.same(e.class(mogile.Class{Domain: id, Name: mogile.DefaultClass, MinDevCount: 2}), mogile.ClassID(0), "number of default")

	e.wants(store.ErrHasFiles, e.s.DeleteDomain(e.ctx, "images"), "delete domain")
	_, err = e.s.Delete(e.ctx, id, "key")
	e.must(err, "delete file")
	e.wants(store.ErrHasClasses, e.s.DeleteDomain(e.ctx, "images"), "delete domain")
	e.same(len(e.load().Classes), 2, "number of classes after refusals")
	e.must(e.s.DeleteClass(e.ctx, id, thumb), "delete class")
	e.must(e.s.DeleteDomain(e.ctx, "images"), "delete domain")
	rows := e.load()
	e.same(len(rows.Domains)+len(rows.Classes), 0, "domains and classes after the deletion")
}

func classesAreNumberedInTheirDomain(e env) {
	a, b := e.domain("a"), e.domain("b")
	e.same(e.class(mogile.Class{Domain: a, ID: 77, Name: "x"}), mogile.ClassID(1), "first of a")
	e.same(e.class(mogile.Class{Domain: a, Name: "y"}), mogile.ClassID(2), "second of a")
	e.same(e.class(mogile.Class{Domain: b, Name: "x"}), mogile.ClassID(1), "first of b")
	_, err := e.s.CreateClass(e.ctx, mogile.Class{Domain: a, Name: "x"})
	e.wants(store.ErrDup, err, "create a class twice")
	e.same(e.class(mogile.Class{Domain: a, Name: mogile.DefaultClass}), mogile.ClassID(0), "default")
	_, err = e.s.CreateClass(e.ctx, mogile.Class{Domain: a, Name: mogile.DefaultClass})
	e.wants(store.ErrDup, err, "create default twice")
	_, err = e.s.CreateClass(e.ctx, mogile.Class{Domain: 99, Name: "x"})
	e.wants(store.ErrNoDomain, err, "create a class of no domain")
}

func classesKeepWhatTheyAreTold(e env) {
	id := e.domain("images")
	c := mogile.Class{Domain: id, Name: "thumb", MinDevCount: 3, Policy: "MultipleHosts(3)", Hash: mogile.HashMD5}
	c.ID = e.class(c)
	e.same(e.load().Classes, []mogile.Class{c}, "classes")
	c.MinDevCount, c.Policy, c.Hash, c.Name = 2, "", mogile.HashNone, "small"
	e.must(e.s.UpdateClass(e.ctx, c), "update class")
	e.same(e.load().Classes, []mogile.Class{c}, "classes after an update")
	e.must(e.s.UpdateClass(e.ctx, c), "update to the same")
	other := c
	other.Name = "other"
	e.class(other)
	other.ID = c.ID
	e.wants(store.ErrDup, e.s.UpdateClass(e.ctx, other), "rename onto another")
	c.ID = 99
	e.wants(store.ErrNotFound, e.s.UpdateClass(e.ctx, c), "update no class")
}

func classWithFilesStays(e env) {
	id := e.domain("images")
	class := e.class(mogile.Class{Domain: id, Name: "thumb"})
	fid := e.open("key")
	_, err := e.s.CloseUpload(e.ctx, store.Closing{FID: fid, Dev: 1, Domain: id, Key: "key", Class: class})
	e.must(err, "close upload")
	e.wants(store.ErrHasFiles, e.s.DeleteClass(e.ctx, id, class), "delete class")
	e.same(len(e.load().Classes), 1, "number of classes after the refusal")
	e.must(e.s.SetClass(e.ctx, fid, 0), "set class")
	e.must(e.s.DeleteClass(e.ctx, id, class), "delete class")
	e.wants(store.ErrNotFound, e.s.DeleteClass(e.ctx, id, class), "delete class twice")
}

func domainNumbersAreGivenOnce(e env) {
	names := []mogile.DomainName{"a", "b", "c", "d", "e", "f", "g", "h"}
	e.eachTwice(len(names), func(i int) error {
		_, err := e.s.CreateDomain(e.ctx, names[i])
		return err
	})
	e.same(len(e.load().Domains), len(names), "number of domains")
}

func classNumbersAreGivenOnce(e env) {
	names := []mogile.ClassName{"a", "b", "c", "d", "e", "f", "g", "h"}
	id := e.domain("images")
	e.eachTwice(len(names), func(i int) error {
		_, err := e.s.CreateClass(e.ctx, mogile.Class{Domain: id, Name: names[i], MinDevCount: 1})
		return err
	})
	e.same(len(e.load().Classes), len(names), "number of classes")
}

// eachTwice creates n things, all at once and twice each: one of each two succeeds, and
// no other finds its number taken.
func (e env) eachTwice(n int, create func(i int) error) {
	e.Helper()
	errs := make([]error, 2*n)
	together(2*n, func(i int) { errs[i] = create(i / 2) })
	for i := range n {
		pair := errs[2*i : 2*i+2]
		if (pair[0] == nil) == (pair[1] == nil) {
			e.Errorf("create thing %d twice: got %v; want one nil", i, pair)
		}
		e.wants(store.ErrDup, errors.Join(pair...), "create thing %d twice", i)
	}
}
