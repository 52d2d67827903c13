package storetest

import (
	"fmt"
	"strings"
	"time"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

var fileChecks = []check{
	{"AnUnknownKeyIsNotFound", unknownKeyIsNotFound},
	{"EveryLookupTellsTheSame", everyLookupTellsTheSame},
	{"LocateSeesFilesWithoutCopies", locateSeesFilesWithoutCopies},
	{"KeysOfOtherDomainsAreOthers", keysOfOtherDomainsAreOthers},
	{"KeysTakesThePrefixLiterally", keysTakesThePrefixLiterally},
	{"KeysPagesThroughAll", keysPagesThroughAll},
	{"FilesAfterAscends", filesAfterAscends},
	{"DeleteQueuesTheContents", deleteQueuesTheContents},
	{"DeleteKeepsTheRowOfAQueuedFid", deleteKeepsTheRowOfAQueuedFid},
	{"RenameKeepsTheFid", renameKeepsTheFid},
	{"RenameNeverOverwrites", renameNeverOverwrites},
	{"SetClassQueuesReplication", setClassQueuesReplication},
	{"SetClassOutlivesAClaim", setClassOutlivesAClaim},
	{"KeysMayBeOddAndLong", keysMayBeOddAndLong},
}

func unknownKeyIsNotFound(e env) {
	_, err := e.s.FileByKey(e.ctx, dm, "no")
	e.wants(store.ErrNotFound, err, "find key")
	_, err = e.s.FileByFID(e.ctx, 4711)
	e.wants(store.ErrNotFound, err, "find fid")
	_, _, _, err = e.s.Locate(e.ctx, dm, "no")
	e.wants(store.ErrNotFound, err, "locate")
	_, err = e.s.Delete(e.ctx, dm, "no")
	e.wants(store.ErrNotFound, err, "delete")
	e.wants(store.ErrNotFound, e.s.Rename(e.ctx, dm, "no", "yes"), "rename")
	e.wants(store.ErrNotFound, e.s.Rename(e.ctx, dm, "no", "no"), "rename to itself")
	e.wants(store.ErrNotFound, e.s.SetClass(e.ctx, 4711, 1), "set class")
}

func everyLookupTellsTheSame(e env) {
	fid := e.open("key")
	class := e.class(mogile.Class{Domain: dm, Name: "class", MinDevCount: 1})
	sum := mogile.Checksum{Type: mogile.HashMD5, Sum: []byte("\x00\xff0123456789abcd")}
	_, err := e.s.CloseUpload(e.ctx, store.Closing{
		FID: fid, Dev: 7, Domain: dm, Key: "key", Class: class, Length: 1 << 40, Checksum: sum,
	})
	e.must(err, "close upload")
	e.must(e.s.AddCopy(e.ctx, fid, 2), "add copy")
	want := store.File{FID: fid, Domain: dm, Key: "key", Length: 1 << 40, Class: class, DevCount: 2}

	byKey, err := e.s.FileByKey(e.ctx, dm, "key")
	e.must(err, "find key")
	e.same(byKey, want, "by key")
	byFID, err := e.s.FileByFID(e.ctx, fid)
	e.must(err, "find fid")
	e.same(byFID, want, "by fid")
	located, devs, gotSum, err := e.s.Locate(e.ctx, dm, "key")
	e.must(err, "locate")
	e.same(located, want, "located")
	e.same(devs, []mogile.DevID{2, 7}, "located devices")
	e.same(gotSum, sum, "located checksum")
}

func locateSeesFilesWithoutCopies(e env) {
	fid := e.put("key")
	e.must(e.s.RemoveCopies(e.ctx, fid, 1), "remove copy")
	f, devs, sum, err := e.s.Locate(e.ctx, dm, "key")
	e.must(err, "locate")
	e.same(f.FID, fid, "fid")
	e.same(len(devs), 0, "devices")
	e.same(sum.IsZero(), true, "checksum %v is zero", sum)
}

func keysOfOtherDomainsAreOthers(e env) {
	fid := e.put("key")
	_, err := e.s.FileByKey(e.ctx, dm+1, "key")
	e.wants(store.ErrNotFound, err, "find key in another domain")
	e.wants(store.ErrNotFound, e.s.Rename(e.ctx, dm+1, "key", "other"), "rename in another domain")
	_, err = e.s.Delete(e.ctx, dm+1, "key")
	e.wants(store.ErrNotFound, err, "delete in another domain")
	keys, err := e.s.Keys(e.ctx, dm+1, "", "", 10)
	e.must(err, "list keys")
	e.same(len(keys), 0, "keys of another domain")
	e.visible("key", fid)
}

func keysTakesThePrefixLiterally(e env) {
	all := []mogile.Key{`a%b`, `a%c`, `a\b`, `a_b`, `axb`, `b`}
	for _, k := range all {
		e.put(k)
	}
	for _, c := range []struct {
		prefix, after mogile.Key
		limit, want   int
	}{
		{"", "", 10, 6}, {"a", "", 10, 5}, {"a%", "", 10, 2}, {"a_", "", 10, 1}, {`a\`, "", 10, 1},
		{"b", "", 10, 1}, {"b", "b", 10, 0}, {"bb", "", 10, 0}, {"", "b", 10, 0}, {"", "", 4, 4}, {"", "", 0, 0},
		{"axb", "a", 10, 1},
	} {
		got, err := e.s.Keys(e.ctx, dm, c.prefix, c.after, c.limit)
		e.must(err, "list keys %+v", c)
		e.same(len(got), c.want, "number of keys for %+v", c)
		for _, k := range got {
			e.same(strings.HasPrefix(string(k), string(c.prefix)), true, "%q begins with %q", k, c.prefix)
		}
	}
}

func keysPagesThroughAll(e env) {
	var want, got []mogile.Key
	for i := range 23 {
		key := mogile.Key(fmt.Sprintf("k%02d", i))
		e.put(key)
		want = append(want, key)
	}
	e.put("other")
	for after := mogile.Key(""); ; after = got[len(got)-1] {
		page, err := e.s.Keys(e.ctx, dm, "k", after, 5)
		e.must(err, "list keys after %q", after)
		if len(page) == 0 {
			break
		}
		got = append(got, page...)
	}
	e.same(got, want, "all pages")
}

func filesAfterAscends(e env) {
	none, err := e.s.FilesAfter(e.ctx, 0, 10)
	e.must(err, "list files of an empty store")
	e.same(len(none), 0, "files")
	a, b, c := e.put("c"), e.put("a"), e.put("b")
	for _, want := range []struct {
		after mogile.FID
		limit int
		fids  []mogile.FID
	}{{0, 10, []mogile.FID{a, b, c}}, {a, 10, []mogile.FID{b, c}}, {0, 2, []mogile.FID{a, b}}, {c, 10, nil}, {0, 0, nil}} {
		files, err := e.s.FilesAfter(e.ctx, want.after, want.limit)
		e.must(err, "list files after %d", want.after)
		var got []mogile.FID
		for _, f := range files {
			got = append(got, f.FID)
		}
		e.same(got, want.fids, "files after %d, limit %d", want.after, want.limit)
	}
}

func deleteQueuesTheContents(e env) {
	fid := e.put("key")
	got, err := e.s.Delete(e.ctx, dm, "key")
	e.must(err, "delete")
	e.same(got, fid, "doomed fid")
	e.visible("key", 0)
	e.queued(store.DeleteQueue, fid, true)
	e.devices(fid, 1)
	_, err = e.s.Delete(e.ctx, dm, "key")
	e.wants(store.ErrNotFound, err, "delete again")
	again := e.put("key")
	if again <= fid {
		e.Errorf("fid after a deletion: got %d; want more than %d", again, fid)
	}
	e.visible("key", again)
}

func deleteKeepsTheRowOfAQueuedFid(e env) {
	fid := e.put("key")
	e.must(e.s.Enqueue(e.ctx, store.DeleteQueue, time.Hour, fid), "enqueue")
	before, err := e.s.Queued(e.ctx, store.DeleteQueue, fid)
	e.must(err, "find row")
	_, err = e.s.Delete(e.ctx, dm, "key")
	e.must(err, "delete")
	after, err := e.s.Queued(e.ctx, store.DeleteQueue, fid)
	e.must(err, "find row")
	e.same(after, before, "row after the deletion")
}

func renameKeepsTheFid(e env) {
	fid := e.put("from")
	e.must(e.s.Rename(e.ctx, dm, "from", "to"), "rename")
	e.visible("from", 0)
	e.visible("to", fid)
	e.must(e.s.Rename(e.ctx, dm, "to", "to"), "rename to itself")
	e.visible("to", fid)
	e.queued(store.DeleteQueue, fid, false)
}

func renameNeverOverwrites(e env) {
	a, b := e.put("a"), e.put("b")
	e.wants(store.ErrDup, e.s.Rename(e.ctx, dm, "a", "b"), "rename onto another")
	e.visible("a", a)
	e.visible("b", b)
}

func setClassQueuesReplication(e env) {
	fid := e.put("key")
	e.must(e.s.Finish(e.ctx, store.ReplicateQueue, store.Item{FID: fid}), "finish first replication")
	e.must(e.s.SetClass(e.ctx, fid, 0), "set the same class")
	e.queued(store.ReplicateQueue, fid, false)
	e.must(e.s.SetClass(e.ctx, fid, 4), "set class")
	f, err := e.s.FileByFID(e.ctx, fid)
	e.must(err, "find fid")
	e.same(f.Class, mogile.ClassID(4), "class")
	row, err := e.s.Queued(e.ctx, store.ReplicateQueue, fid)
	e.must(err, "find row")
	e.same(row.NextTry, int64(0), "nexttry")
}

// Whoever has the row in hand may have read the old class.
func setClassOutlivesAClaim(e env) {
	fid := e.put("key")
	claimed := e.claim(store.ReplicateQueue, 1, time.Hour, fid)[0]
	e.must(e.s.Postpone(e.ctx, store.ReplicateQueue, fid, time.Hour, 7), "postpone")
	now := e.now()
	e.must(e.s.SetClass(e.ctx, fid, 4), "set class")
	e.must(e.s.Finish(e.ctx, store.ReplicateQueue, claimed), "finish what was claimed before")
	row := e.row(store.ReplicateQueue, fid)
	e.aheadOf(now, row, time.Second) // for a second, so that no other claim is of the same
	row.NextTry = 0
	e.same(row, store.QueueRow{FID: fid}, "row")
	e.must(e.s.Park(e.ctx, store.ReplicateQueue, fid, 9), "park")
	e.must(e.s.SetClass(e.ctx, fid, 5), "set another class")
	e.same(e.row(store.ReplicateQueue, fid), store.QueueRow{FID: fid}, "row that was parked")
}

func keysMayBeOddAndLong(e env) {
	for _, key := range []mogile.Key{
		"0", " ", "a b", "a/b/../c.jpg", `quote"'` + "`", "line\nbreak\ttab", "?;--", "x\x01\x7f",
		"ümläut", "日本語", mogile.Key(strings.Repeat("k", 255)), mogile.Key(strings.Repeat("ü", 255)),
	} {
		fid := e.put(key)
		f, err := e.s.FileByFID(e.ctx, fid)
		e.must(err, "find fid %d", fid)
		e.same(f.Key, key, "key of fid %d", fid)
		e.visible(key, fid)
		_, err = e.s.Delete(e.ctx, dm, key)
		e.must(err, "delete key %q", key)
	}
}
