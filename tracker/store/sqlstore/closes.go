package sqlstore

import (
	"cmp"
	"context"
	"slices"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
	"github.com/mogilefs/caddy-mogilefs/tracker/store/sqlstore/company"
)

// closer is one of many who call CloseUpload.
type closer = company.Guest[store.Closing, mogile.FID]

func newCloses(db database, turns, most int) *company.Company[store.Closing, mogile.FID] {
	return company.New(company.Rules[store.Closing, mogile.FID]{
		Turns: turns, Most: most, Patient: true,
		Alone: func(ctx context.Context, c store.Closing) (mogile.FID, error) { return closeUpload(ctx, db, c) },
		Together: func(group []*closer) {
			fresh, others := ofNewKeys(db, group)
			settle(others, errApart)
			settle(fresh, closeAll(db, fresh))
		},
	})
}

// ofNewKeys tells those whose key no file has from the others. This is before their
// transaction, so that who overwrites does not undo what the others did.
func ofNewKeys(db database, group []*closer) (fresh, others []*closer) {
	keys, taken := make([]domainKey, len(group)), map[domainKey]bool{}
	for i, g := range group {
		keys[i] = keyOf(g.Asks)
		taken[keys[i]] = false
	}
	err := db.read(context.Background(), func(t *tx) error {
		in := keyList(keys)
		found, err := list(t, scanDomainKey, "SELECT dmid, dkey FROM file WHERE "+in.condition, in.args...)
		if err != nil {
			return err
		}
		for _, key := range found {
			if _, asked := taken[key]; !asked {
				return errApart // the database takes it for one of theirs
			}
			taken[key] = true
		}
		return nil
	})
	for _, g := range group {
		if err != nil || taken[keyOf(g.Asks)] {
			others = append(others, g)
		} else {
			fresh = append(fresh, g)
		}
	}
	return fresh, others
}

func keyOf(c store.Closing) domainKey { return domainKey{dm: c.Domain, key: c.Key} }

func scanDomainKey(s scanner) (k domainKey, err error) {
	err = s.Scan(&k.dm, &k.key)
	return k, err
}

// closeAll is closeUpload for many whose keys are new, in one transaction. Whatever is not
// so any more when it comes to that, or is twice among them, undoes it: errApart, or what
// the database says of a duplicate. The order of locks is that of closeUpload; rows come in
// the order of their keys, so that two such groups don't wait for each other.
func closeAll(db database, group []*closer) error {
	if len(group) < 2 {
		return errApart
	}
	all := make([]store.Closing, len(group))
	for i, g := range group {
		g.In, all[i] = true, g.Asks
	}
	slices.SortFunc(all, func(a, b store.Closing) int {
		return cmp.Or(cmp.Compare(a.Domain, b.Domain), cmp.Compare(a.Key, b.Key))
	})
	return db.once(context.Background(), func(t *tx) error {
		if err := removeAll(t, "tempfile", fidsClosed(all)); err != nil {
			return err
		}
		if err := keepDomains(t, all); err != nil {
			return err
		}
		if err := setClasses(t, all); err != nil {
			return err
		}
		if err := addFiles(t, all); err != nil {
			return err
		}
		return publishAll(t, all)
	})
}

func fidsClosed(all []store.Closing) []mogile.FID {
	fids := make([]mogile.FID, len(all))
	for i, c := range all {
		fids[i] = c.FID
	}
	return fids
}

// removeAll removes a row of each fid, or else is errApart.
func removeAll(t *tx, table string, fids []mogile.FID) error {
	removed := 0
	for in := range inLists(fids) {
		text := "DELETE FROM " + table + " WHERE " + in.condition
		if t.d.oneByOne != nil {
			text += t.d.oneByOne(len(in.args))
		}
		n, err := t.exec(text, in.args...)
		if err != nil {
			return err
		}
		removed += int(n)
	}
	if removed != len(fids) {
		return errApart
	}
	return nil
}

// keepDomains takes what is sorted by domains.
func keepDomains(t *tx, sorted []store.Closing) error {
	for i, c := range sorted {
		if i > 0 && c.Domain == sorted[i-1].Domain {
			continue
		}
		if err := keepDomain(t, c.Domain); err != nil {
			return err
		}
	}
	return nil
}

// setClasses looks once for each class.
func setClasses(t *tx, all []store.Closing) (err error) {
	type class struct {
		dm mogile.DomainID
		id mogile.ClassID
	}
	found := map[class]mogile.ClassID{}
	for i := range all {
		of := class{all[i].Domain, all[i].Class}
		if _, ok := found[of]; !ok {
			if found[of], err = classOrDefault(t, of.dm, of.id); err != nil {
				return err
			}
		}
		all[i].Class = found[of]
	}
	return nil
}

func addFiles(t *tx, all []store.Closing) error {
	for some := range inTwos(all) {
		var args []any
		for _, c := range some {
			args = append(args, c.FID, c.Domain, c.Key, c.Length, c.Class, devCount(c))
		}
		_, err := t.exec("INSERT INTO file (fid, dmid, dkey, length, classid, devcount) VALUES "+
			repeated("(?, ?, ?, ?, ?, ?)", ", ", len(some)), args...)
		if err != nil {
			return err
		}
	}
	return nil
}

func publishAll(t *tx, all []store.Closing) error {
	copies := make([]copyRow, 0, len(all))
	var sums []store.Closing
	for _, c := range all {
		copies = append(copies, copiesClosed(c)...)
		if !c.Checksum.IsZero() {
			sums = append(sums, c)
		}
	}
	if err := recordCopies(t, copies...); err != nil {
		return err
	}
	for some := range inTwos(sums) {
		var args []any
		for _, c := range some {
			args = append(args, c.FID, c.Checksum.Type, c.Checksum.Sum)
		}
		_, err := t.exec("REPLACE INTO checksum (fid, hashtype, checksum) VALUES "+repeated("(?, ?, ?)", ", ", len(some)), args...)
		if err != nil {
			return err
		}
	}
	return replicateNow(t, fidsClosed(all)...)
}
