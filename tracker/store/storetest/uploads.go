package storetest

import (
	"time"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

var uploadChecks = []check{
	{"AnUploadIsRemembered", uploadIsRemembered},
	{"AnExplicitFidIsTaken", explicitFidIsTaken},
	{"AnExplicitFidIsRefusedOnceUsed", explicitFidIsRefusedOnceUsed},
	{"ANewFidIsAboveAllThatIsKnown", newFidIsAboveAllThatIsKnown},
	{"CloseMakesTheUploadVisible", closeMakesTheUploadVisible},
	{"CloseRecordsAllCopies", closeRecordsAllCopies},
	{"CloseDecidesDomainKeyAndClass", closeDecidesDomainKeyAndClass},
	{"CloseIntoAClassThatIsGoneUsesTheDefault", closeIntoAClassThatIsGoneUsesTheDefault},
	{"CloseIntoADomainThatIsGoneLeavesTheUploadOpen", closeIntoADomainThatIsGoneLeavesTheUploadOpen},
	{"CloseReplacesAndDoomsTheOld", closeReplacesAndDoomsTheOld},
	{"CloseOfNoUploadChangesNothing", closeOfNoUploadChangesNothing},
	{"AbandonDoomsTheCopy", abandonDoomsTheCopy},
	{"AbandonDoomsAllCopies", abandonDoomsAllCopies},
	{"AbandonWithoutADeviceRecordsNoCopy", abandonWithoutADeviceRecordsNoCopy},
	{"SweepAbandonsOldUploads", sweepAbandonsOldUploads},
	{"SweepLeavesYoungUploads", sweepLeavesYoungUploads},
}

func uploadIsRemembered(e env) {
	for _, u := range []store.Upload{
		{Domain: 3, Key: "key", Class: 2, Devices: []mogile.DevID{12, 3, 7}},
		{Domain: 1},
		{Domain: 1, Devices: []mogile.DevID{16777215, 16777214, 16777213, 16777212, 16777211}}, // as many as are offered
	} {
		fid, err := e.s.OpenUpload(e.ctx, u)
		e.must(err, "open upload")
		got, err := e.s.Upload(e.ctx, fid)
		e.must(err, "find upload")
		if got.Created < 1_700_000_000 {
			e.Errorf("created: got %d; want a unix time of these years", got.Created)
		}
		u.FID, u.Created = fid, got.Created
		e.same(got, u, "upload")
	}
	_, err := e.s.Upload(e.ctx, 4711)
	e.wants(store.ErrNotFound, err, "find no upload")
}

func (e env) openAs(fid mogile.FID) error {
	got, err := e.s.OpenUpload(e.ctx, store.Upload{FID: fid, Domain: dm, Key: "key", Devices: []mogile.DevID{1}})
	if err == nil {
		e.same(got, fid, "explicit fid")
	}
	return err
}

func explicitFidIsTaken(e env) {
	e.must(e.openAs(5_000_000), "open upload as 5000000")
	if _, err := e.s.Upload(e.ctx, 5_000_000); err != nil {
		e.Errorf("find upload 5000000: got %v; want nil", err)
	}
	e.same(e.open("key"), mogile.FID(5_000_001), "fid after an explicit one")
}

func explicitFidIsRefusedOnceUsed(e env) {
	opened, closed, deleted, forgotten := e.open("opened"), e.put("closed"), e.put("deleted"), e.put("forgotten")
	for _, key := range []mogile.Key{"deleted", "forgotten"} {
		_, err := e.s.Delete(e.ctx, dm, key)
		e.must(err, "delete %q", key)
	}
	e.must(e.s.Finish(e.ctx, store.DeleteQueue, store.Item{FID: forgotten}), "finish deletion")
	e.must(e.s.Finish(e.ctx, store.ReplicateQueue, store.Item{FID: forgotten}), "finish replication")
	e.must(e.s.RemoveCopies(e.ctx, forgotten, 1), "remove copy")
	for _, fid := range []mogile.FID{opened, closed, deleted, forgotten} {
		e.wants(store.ErrDup, e.openAs(fid), "open upload as %d", fid)
	}
	const held, doomed = 1_000_000, 2_000_000
	e.must(e.s.AddCopy(e.ctx, held, 1), "add copy")
	e.must(e.s.Enqueue(e.ctx, store.DeleteQueue, 0, doomed), "enqueue")
	e.wants(store.ErrDup, e.openAs(held), "open upload as one that has copies")
	e.wants(store.ErrDup, e.openAs(doomed), "open upload as one that is being deleted")
	e.visible("closed", closed)
	if next := e.open("next"); next <= forgotten {
		e.Errorf("fid after refusals: got %d; want more than %d", next, forgotten)
	}
}

func newFidIsAboveAllThatIsKnown(e env) {
	first := e.open("first")
	e.must(e.s.AddCopy(e.ctx, first+1, 1), "add copy of the next fid")
	e.must(e.s.Enqueue(e.ctx, store.DeleteQueue, 0, first+2), "doom the one after")
	if got := e.open("second"); got <= first+2 {
		e.Errorf("new fid: got %d; want more than %d", got, first+2)
	}
}

func closeMakesTheUploadVisible(e env) {
	fid := e.open("key")
	e.visible("key", 0)
	c := closing(fid, "key")
	c.Checksum = mogile.Checksum{Type: mogile.HashMD5, Sum: []byte("0123456789abcdef")}
	replaced, err := e.s.CloseUpload(e.ctx, c)
	e.must(err, "close upload")
	e.same(replaced, mogile.FID(0), "replaced fid")
	f, err := e.s.FileByKey(e.ctx, dm, "key")
	e.must(err, "find key")
	e.same(f, store.File{FID: fid, Domain: dm, Key: "key", Length: 5, DevCount: 1}, "file")
	e.devices(fid, 1)
	sum, err := e.s.Checksum(e.ctx, fid)
	e.must(err, "find checksum")
	e.same(sum, c.Checksum, "checksum")
	row, err := e.s.Queued(e.ctx, store.ReplicateQueue, fid)
	e.must(err, "find replication")
	e.same(row, store.QueueRow{FID: fid}, "replication")
	e.queued(store.DeleteQueue, fid, false)
	_, err = e.s.Upload(e.ctx, fid)
	e.wants(store.ErrNotFound, err, "find upload after its close")
	_, err = e.s.CloseUpload(e.ctx, c)
	e.wants(store.ErrNotFound, err, "close twice")
}

func closeRecordsAllCopies(e env) {
	fid := e.open("key")
	c := closing(fid, "key")
	c.Others = []mogile.DevID{5, 3}
	_, err := e.s.CloseUpload(e.ctx, c)
	e.must(err, "close upload")
	f, err := e.s.FileByKey(e.ctx, dm, "key")
	e.must(err, "find key")
	e.same(f, store.File{FID: fid, Domain: dm, Key: "key", Length: 5, DevCount: 3}, "file")
	e.devices(fid, 1, 3, 5)
	e.queued(store.ReplicateQueue, fid, true)
}

func closeDecidesDomainKeyAndClass(e env) {
	fid, other := e.open("opened"), e.domain("other")
	class := e.class(mogile.Class{Domain: other, Name: "class", MinDevCount: 1})
	_, err := e.s.CloseUpload(e.ctx, store.Closing{FID: fid, Dev: 2, Domain: other, Key: "closed", Class: class})
	e.must(err, "close upload")
	e.visible("opened", 0)
	f, err := e.s.FileByKey(e.ctx, other, "closed")
	e.must(err, "find key")
	e.same(f, store.File{FID: fid, Domain: other, Key: "closed", Class: class, DevCount: 1}, "file")
	_, err = e.s.Checksum(e.ctx, fid)
	e.wants(store.ErrNotFound, err, "find checksum")
}

// closeIntoAClassThatIsGoneUsesTheDefault: also where the number is that of a class of
// another domain.
func closeIntoAClassThatIsGoneUsesTheDefault(e env) {
	fid, other := e.open("key"), e.domain("other")
	c := closing(fid, "key")
	c.Class = e.class(mogile.Class{Domain: other, Name: "class", MinDevCount: 1})
	_, err := e.s.CloseUpload(e.ctx, c)
	e.must(err, "close upload")
	f, err := e.s.FileByFID(e.ctx, fid)
	e.must(err, "find fid %d", fid)
	e.same(f.Class, mogile.ClassID(0), "class")
}

func closeIntoADomainThatIsGoneLeavesTheUploadOpen(e env) {
	old, fid := e.put("key"), e.open("key")
	c := closing(fid, "key")
	c.Domain = 99
	_, err := e.s.CloseUpload(e.ctx, c)
	e.wants(store.ErrNoDomain, err, "close into a domain that never was")
	e.visible("key", old)
	e.devices(fid)
	_, err = e.s.CloseUpload(e.ctx, closing(fid, "key"))
	e.must(err, "close into another domain")
	e.visible("key", fid)
}

func closeReplacesAndDoomsTheOld(e env) {
	old, fid := e.put("key"), e.open("key")
	e.visible("key", old)
	replaced, err := e.s.CloseUpload(e.ctx, closing(fid, "key"))
	e.must(err, "close upload")
	e.same(replaced, old, "replaced fid")
	e.visible("key", fid)
	_, err = e.s.FileByFID(e.ctx, old)
	e.wants(store.ErrNotFound, err, "find replaced fid")
	e.queued(store.DeleteQueue, old, true)
	e.devices(old, 1)
}

func closeOfNoUploadChangesNothing(e env) {
	fid := e.put("key")
	_, err := e.s.CloseUpload(e.ctx, closing(fid+1, "key"))
	e.wants(store.ErrNotFound, err, "close what was never opened")
	e.visible("key", fid)
	e.devices(fid + 1)
	e.queued(store.ReplicateQueue, fid+1, false)
	e.queued(store.DeleteQueue, fid, false)
}

func abandonDoomsTheCopy(e env) {
	old, fid := e.put("key"), e.open("key")
	e.must(e.s.AbandonUpload(e.ctx, fid, 2), "abandon upload")
	e.devices(fid, 2)
	e.queued(store.DeleteQueue, fid, true)
	e.queued(store.ReplicateQueue, fid, false)
	e.visible("key", old)
	_, err := e.s.Upload(e.ctx, fid)
	e.wants(store.ErrNotFound, err, "find upload")
	e.wants(store.ErrNotFound, e.s.AbandonUpload(e.ctx, fid, 2), "abandon twice")
	_, err = e.s.CloseUpload(e.ctx, closing(fid, "key"))
	e.wants(store.ErrNotFound, err, "close after abandon")
}

func abandonDoomsAllCopies(e env) {
	fid := e.open("key")
	e.must(e.s.AbandonUpload(e.ctx, fid, 3, 0, 2), "abandon upload")
	e.devices(fid, 2, 3)
	e.queued(store.DeleteQueue, fid, true)
}

func abandonWithoutADeviceRecordsNoCopy(e env) {
	fid := e.open("key")
	e.must(e.s.AbandonUpload(e.ctx, fid, 0), "abandon upload")
	e.devices(fid)
	_, err := e.s.Upload(e.ctx, fid)
	e.wants(store.ErrNotFound, err, "find upload")
}

// olderThanTheFuture is an age that all uploads have.
const olderThanTheFuture = -time.Hour

func sweepAbandonsOldUploads(e env) {
	closed := e.put("closed")
	fids := []mogile.FID{e.open("a"), e.open("b"), e.open("c")}
	for _, want := range []int{2, 1, 0} {
		got, err := e.s.SweepUploads(e.ctx, olderThanTheFuture, 2)
		e.must(err, "sweep")
		e.same(got, want, "swept")
	}
	for _, fid := range fids {
		e.devices(fid, 1, 2)
		e.queued(store.DeleteQueue, fid, true)
		_, err := e.s.Upload(e.ctx, fid)
		e.wants(store.ErrNotFound, err, "find upload %d", fid)
	}
	e.visible("closed", closed)
	e.queued(store.DeleteQueue, closed, false)
}

func sweepLeavesYoungUploads(e env) {
	fid := e.open("key")
	got, err := e.s.SweepUploads(e.ctx, time.Hour, 50)
	e.must(err, "sweep")
	e.same(got, 0, "swept")
	_, err = e.s.Upload(e.ctx, fid)
	e.must(err, "find upload")
}
