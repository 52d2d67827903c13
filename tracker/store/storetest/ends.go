package storetest

import (
	"context"
	"errors"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

var endChecks = []check{
	{"AClosedStoreAnswersWithErrors", closedStoreAnswersWithErrors},
	{"CloseWaitsForWhatIsUnderWay", closeWaitsForWhatIsUnderWay},
	{"ACancelledCallChangesNothing", cancelledCallChangesNothing},
}

// calls are all methods; none fails on a store with the upload 1, the domain d
// and the lock l free.
func calls(ctx context.Context, s store.Store) map[string]func() error {
	const q = store.ReplicateQueue
	class := mogile.Class{Domain: 1, ID: 1, Name: "c"}
	return map[string]func() error{
		"FileByKey":    func() error { _, err := s.FileByKey(ctx, dm, "k"); return err },
		"FileByFID":    func() error { _, err := s.FileByFID(ctx, 1); return err },
		"Locate":       func() error { _, _, _, err := s.Locate(ctx, dm, "k"); return err },
		"Keys":         func() error { _, err := s.Keys(ctx, dm, "k", "", 9); return err },
		"FilesAfter":   func() error { _, err := s.FilesAfter(ctx, 0, 9); return err },
		"MaxFID":       func() error { _, err := s.MaxFID(ctx); return err },
		"Delete":       func() error { _, err := s.Delete(ctx, dm, "k"); return err },
		"Rename":       func() error { return s.Rename(ctx, dm, "k", "k2") },
		"SetClass":     func() error { return s.SetClass(ctx, 1, 1) },
		"Devices":      func() error { _, err := s.Devices(ctx, 1); return err },
		"AddCopy":      func() error { return s.AddCopy(ctx, 1, 8) },
		"RemoveCopies": func() error { return s.RemoveCopies(ctx, 1, 1) },
		"DevicesOf":    func() error { _, err := s.DevicesOf(ctx, 1); return err },
		"LoadFiles":    func() error { _, err := s.LoadFiles(ctx, 1); return err },
		"FilesOn":      func() error { _, err := s.FilesOn(ctx, 1, store.Page{Limit: 9}); return err },
		"Reap":         func() error { _, err := s.Reap(ctx, 1, 9); return err },
		"Renew":        func() error { _, err := s.Renew(ctx, q, 0, store.Item{FID: 1, Until: 1}); return err },
		"FinishErased": func() error {
			return s.FinishErased(ctx, store.Erased{Item: store.Item{FID: 1}, Devices: []mogile.DevID{1}})
		},
		"Waiting":         func() error { _, err := s.Waiting(ctx, q); return err },
		"Checksum":        func() error { _, err := s.Checksum(ctx, 1); return err },
		"SetChecksum":     func() error { return s.SetChecksum(ctx, 1, mogile.Checksum{Type: 1, Sum: []byte("x")}) },
		"ForgetContent":   func() error { return s.ForgetContent(ctx, 1) },
		"OpenUpload":      func() error { _, err := s.OpenUpload(ctx, store.Upload{}); return err },
		"Upload":          func() error { _, err := s.Upload(ctx, 1); return err },
		"CloseUpload":     func() error { _, err := s.CloseUpload(ctx, closing(1, "k")); return err },
		"AbandonUpload":   func() error { return s.AbandonUpload(ctx, 1, 1) },
		"SweepUploads":    func() error { _, err := s.SweepUploads(ctx, olderThanTheFuture, 9); return err },
		"Enqueue":         func() error { return s.Enqueue(ctx, q, 0, 1) },
		"Claim":           func() error { _, err := s.Claim(ctx, q, 1, 0); return err },
		"Finish":          func() error { return s.Finish(ctx, q, store.Item{FID: 1}) },
		"Postpone":        func() error { return s.Postpone(ctx, q, 1, 0, 0) },
		"Park":            func() error { return s.Park(ctx, q, 1, 0) },
		"Queued":          func() error { _, err := s.Queued(ctx, q, 1); return err },
		"ReleaseAll":      func() error { _, err := s.ReleaseAll(ctx, q); return err },
		"NextDue":         func() error { _, err := s.NextDue(ctx, q); return err },
		"LoadTopology":    func() error { _, err := s.LoadTopology(ctx); return err },
		"EnqueueWork":     func() error { return s.EnqueueWork(ctx, store.WorkRow{FID: 1, Kind: store.FsckWork}) },
		"WorkRows":        func() error { _, err := s.WorkRows(ctx, 1); return err },
		"WorkLength":      func() error { _, err := s.WorkLength(ctx, store.FsckWork); return err },
		"LogFsck":         func() error { return s.LogFsck(ctx, store.FsckEvent{Code: "MISS"}) },
		"FsckEvents":      func() error { _, err := s.FsckEvents(ctx, 0, 9); return err },
		"LastFsckEvent":   func() error { _, err := s.LastFsckEvent(ctx); return err },
		"FoldFsckLog":     func() error { return s.FoldFsckLog(ctx) },
		"ClearFsckLog":    func() error { return s.ClearFsckLog(ctx) },
		"DomainByName":    func() error { _, err := s.DomainByName(ctx, "d"); return err },
		"ClassByName":     func() error { _, err := s.ClassByName(ctx, 1, "c"); return err },
		"HostByName":      func() error { _, err := s.HostByName(ctx, "h"); return err },
		"CreateDomain":    func() error { _, err := s.CreateDomain(ctx, "d2"); return err },
		"DeleteDomain":    func() error { return s.DeleteDomain(ctx, "d") },
		"CreateClass":     func() error { _, err := s.CreateClass(ctx, class); return err },
		"UpdateClass":     func() error { return s.UpdateClass(ctx, class) },
		"DeleteClass":     func() error { return s.DeleteClass(ctx, 1, 1) },
		"CreateHost":      func() error { _, err := s.CreateHost(ctx, aHost("h", "ip")); return err },
		"UpdateHost":      func() error { return s.UpdateHost(ctx, mogile.Host{ID: 1}) },
		"DeleteHost":      func() error { return s.DeleteHost(ctx, 1) },
		"CreateDevice":    func() error { return s.CreateDevice(ctx, mogile.Device{ID: 1}) },
		"SetDeviceState":  func() error { return s.SetDeviceState(ctx, 1, mogile.DevDown) },
		"SetDeviceWeight": func() error { return s.SetDeviceWeight(ctx, 1, 1) },
		"SetDeviceUsage":  func() error { return s.SetDeviceUsage(ctx, nil) },
		"Setting":         func() error { _, err := s.Setting(ctx, "f"); return err },
		"SetSetting":      func() error { return s.SetSetting(ctx, "f", "v") },
		"UnsetSetting":    func() error { return s.UnsetSetting(ctx, "f") },
		"AllSettings":     func() error { _, err := s.AllSettings(ctx); return err },
		"ChangeSettings":  func() error { return s.ChangeSettings(ctx, noChange) },
		"Now":             func() error { _, err := s.Now(ctx); return err },
		"Lock":            func() error { _, err := s.Lock(ctx, "l", 0); return err },
	}
}

func noChange(map[string]string) (c store.SettingChanges, err error) { return c, err }

func closedStoreAnswersWithErrors(e env) {
	release := e.lock("held")
	for range 2 {
		e.must(e.s.Close(), "close")
	}
	release()
	for name, call := range calls(e.ctx, e.s) {
		err := call()
		if err == nil {
			e.Errorf("%s on a closed store: got nil; want an error", name)
		}
		for _, s := range []error{store.ErrNotFound, store.ErrDup, store.ErrLocked, store.ErrSchema} {
			e.same(errors.Is(err, s), false, "%s on a closed store: %v is %v", name, err, s)
		}
	}
}

// closeWaitsForWhatIsUnderWay: a call either happened, and is answered with nil, or
// it failed.
func closeWaitsForWhatIsUnderWay(e env) {
	const n = 16
	together(n+1, func(i int) {
		if i == n {
			e.must(e.s.Close(), "close")
			return
		}
		for {
			if _, err := e.s.OpenUpload(e.ctx, store.Upload{Domain: dm, Key: "key"}); err != nil {
				return
			}
		}
	})
}

func cancelledCallChangesNothing(e env) {
	fid, id := e.put("k"), e.domain("d")
	before := e.state(fid)
	ctx, cancel := context.WithCancel(e.ctx)
	cancel()
	for name, call := range calls(ctx, e.s) {
		e.wants(context.Canceled, call(), "%s with a cancelled context", name)
	}
	e.same(e.state(fid), before, "file %d, topology with domain %d", fid, id)
	e.lock("l")()
}

// state is what calls would change.
func (e env) state(fid mogile.FID) any {
	e.Helper()
	f, devs, sum, err := e.s.Locate(e.ctx, dm, "k")
	e.must(err, "locate")
	row, err := e.s.Queued(e.ctx, store.ReplicateQueue, fid)
	e.must(err, "find row")
	return []any{f, devs, sum, row, e.load()}
}
