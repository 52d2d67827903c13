package simulation

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

// trackerStore is the store as one life of a tracker sees it: each call is a step, and none
// has an effect once the tracker is dead. What it does not have a method for panics.
type trackerStore struct {
	store.Store // nil

	real store.Store
	t    *tracker
}

// harmless steps change nothing that matters: a tracker that is killed at one might as well
// have been killed at its next. Most of them are polls, and would be where nearly all
// trackers die.
var harmless = map[string]bool{
	"AllSettings": true, "Checksum": true, "Claim": true, "ClassByName": true, "Devices": true, "DevicesOf": true,
	"DomainByName": true, "DueWithin": true, "FileByFID": true, "FileByKey": true, "FilesAfter": true, "FilesOn": true,
	"FoldFsckLog": true, "HostByName": true, "LastFsckEvent": true, "LoadFiles": true, "LoadTopology": true, "Locate": true,
	"MaxFID":  true,
	"NextDue": true, "Now": true, "Queued": true, "Setting": true, "SetDeviceUsage": true, "SweepUploads": true, "Upload": true,
	"Waiting": true, "WorkLength": true,
}

// ask takes a step that gives an answer.
func ask[T any](ctx context.Context, s *trackerStore, what string, f func() (T, error), args ...any) (v T, err error) {
	err = s.t.take(ctx, step{key: named(what, args), fatal: !harmless[what], effect: func(*rand.Rand) (err error) {
		v, err = f()
		s.t.sim.seen.after(what, args)
		return err
	}})
	return v, err
}

// tell takes a step that gives none.
func tell(ctx context.Context, s *trackerStore, what string, f func() error, args ...any) error {
	_, err := ask(ctx, s, what, func() (struct{}, error) { return struct{}{}, f() }, args...)
	return err
}

func named(what string, args []any) string {
	var b strings.Builder
	b.WriteString(what)
	for _, a := range args {
		b.WriteByte(' ')
		switch a := a.(type) {
		case mogile.FID:
			b.WriteString("fid" + a.String())
		case []mogile.FID:
			b.WriteString(strings.TrimSpace(fidWords(a)))
		case mogile.DevID:
			b.WriteString(a.String())
		case store.QueueName:
			b.WriteString(string(a))
		case string:
			b.WriteString(a)
		case int:
			b.WriteString(strconv.Itoa(a))
		default:
			fmt.Fprint(&b, a)
		}
	}
	return b.String()
}

// fidWords sorts: who asks for many may have them from a map.
func fidWords(fids []mogile.FID) string {
	fids = slices.Sorted(slices.Values(fids))
	var b strings.Builder
	for _, fid := range fids {
		b.WriteString(" fid" + fid.String())
	}
	return b.String()
}

func itemFIDs(items []store.Item) []mogile.FID {
	var fids []mogile.FID
	for _, i := range items {
		fids = append(fids, i.FID)
	}
	return fids
}

// LoadTopology is no step before the tracker has begun: the driver calls it then.
func (s *trackerStore) LoadTopology(ctx context.Context) (store.Rows, error) {
	load := func() (store.Rows, error) { return s.t.sim.seen.topology(ctx, s.real) }
	if !s.t.begun {
		return load()
	}
	return ask(ctx, s, "LoadTopology", load)
}

func (s *trackerStore) FileByKey(ctx context.Context, dm mogile.DomainID, key mogile.Key) (store.File, error) {
	return ask(ctx, s, "FileByKey", func() (store.File, error) { return s.real.FileByKey(ctx, dm, key) }, key)
}

// FileByFID is the last look of jobs before they are done with a file: a client may change it
// right after.
func (s *trackerStore) FileByFID(ctx context.Context, fid mogile.FID) (f store.File, err error) {
	err = s.t.take(ctx, step{key: named("FileByFID", []any{fid}), effect: func(luck *rand.Rand) (err error) {
		f, err = s.real.FileByFID(ctx, fid)
		s.t.sim.meddle(luck, fid)
		return err
	}})
	return f, err
}

func (s *trackerStore) Locate(ctx context.Context, dm mogile.DomainID, key mogile.Key) (f store.File, devs []mogile.DevID, sum mogile.Checksum, err error) {
	err = tell(ctx, s, "Locate", func() (err error) {
		f, devs, sum, err = s.real.Locate(ctx, dm, key)
		return err
	}, key)
	return f, devs, sum, err
}

func (s *trackerStore) LoadFiles(ctx context.Context, fids ...mogile.FID) (map[mogile.FID]store.Known, error) {
	return ask(ctx, s, "LoadFiles", func() (map[mogile.FID]store.Known, error) { return s.real.LoadFiles(ctx, fids...) }, fids)
}

func (s *trackerStore) FilesAfter(ctx context.Context, fid mogile.FID, limit int) ([]store.File, error) {
	return ask(ctx, s, "FilesAfter", func() ([]store.File, error) { return s.real.FilesAfter(ctx, fid, limit) }, fid)
}

func (s *trackerStore) MaxFID(ctx context.Context) (mogile.FID, error) {
	return ask(ctx, s, "MaxFID", func() (mogile.FID, error) { return s.real.MaxFID(ctx) })
}

func (s *trackerStore) Delete(ctx context.Context, dm mogile.DomainID, key mogile.Key) (mogile.FID, error) {
	return ask(ctx, s, "Delete", func() (mogile.FID, error) { return s.real.Delete(ctx, dm, key) }, key)
}

func (s *trackerStore) Rename(ctx context.Context, dm mogile.DomainID, from, to mogile.Key) error {
	return tell(ctx, s, "Rename", func() error { return s.real.Rename(ctx, dm, from, to) }, from, to)
}

func (s *trackerStore) SetClass(ctx context.Context, fid mogile.FID, class mogile.ClassID) error {
	return tell(ctx, s, "SetClass", func() error { return s.real.SetClass(ctx, fid, class) }, fid, class)
}

func (s *trackerStore) Devices(ctx context.Context, fid mogile.FID) ([]mogile.DevID, error) {
	return ask(ctx, s, "Devices", func() ([]mogile.DevID, error) { return s.real.Devices(ctx, fid) }, fid)
}

func (s *trackerStore) AddCopy(ctx context.Context, fid mogile.FID, dev mogile.DevID) error {
	return tell(ctx, s, "AddCopy", func() error {
		delete(s.t.put, place{fid, dev})
		s.t.sim.isThere(fid, dev)
		return s.real.AddCopy(ctx, fid, dev)
	}, fid, "on", dev)
}

func (s *trackerStore) RemoveCopies(ctx context.Context, fid mogile.FID, devs ...mogile.DevID) error {
	return tell(ctx, s, "RemoveCopies", func() error {
		for _, dev := range devs {
			s.t.sim.forgotten(fid, dev)
		}
		return s.real.RemoveCopies(ctx, fid, devs...)
	}, fid, "on", devs)
}

func (s *trackerStore) DevicesOf(ctx context.Context, fids ...mogile.FID) (map[mogile.FID][]mogile.DevID, error) {
	return ask(ctx, s, "DevicesOf", func() (map[mogile.FID][]mogile.DevID, error) { return s.real.DevicesOf(ctx, fids...) }, fids)
}

func (s *trackerStore) FilesOn(ctx context.Context, dev mogile.DevID, p store.Page) ([]store.File, error) {
	return ask(ctx, s, "FilesOn", func() ([]store.File, error) { return s.real.FilesOn(ctx, dev, p) }, dev, p)
}

func (s *trackerStore) Reap(ctx context.Context, dev mogile.DevID, limit int) (int, error) {
	return ask(ctx, s, "Reap", func() (int, error) { return s.real.Reap(ctx, dev, limit) }, dev, limit)
}

func (s *trackerStore) Checksum(ctx context.Context, fid mogile.FID) (mogile.Checksum, error) {
	return ask(ctx, s, "Checksum", func() (mogile.Checksum, error) { return s.real.Checksum(ctx, fid) }, fid)
}

func (s *trackerStore) SetChecksum(ctx context.Context, fid mogile.FID, sum mogile.Checksum) error {
	return tell(ctx, s, "SetChecksum", func() error { return s.real.SetChecksum(ctx, fid, sum) }, fid, sum)
}

func (s *trackerStore) ForgetContent(ctx context.Context, fids ...mogile.FID) error {
	return tell(ctx, s, "ForgetContent", func() error { return s.real.ForgetContent(ctx, fids...) }, fids)
}

func (s *trackerStore) OpenUpload(ctx context.Context, u store.Upload) (mogile.FID, error) {
	return ask(ctx, s, "OpenUpload", func() (mogile.FID, error) { return s.real.OpenUpload(ctx, u) }, u.Key, u.Devices)
}

func (s *trackerStore) Upload(ctx context.Context, fid mogile.FID) (store.Upload, error) {
	return ask(ctx, s, "Upload", func() (store.Upload, error) { return s.real.Upload(ctx, fid) }, fid)
}

func (s *trackerStore) CloseUpload(ctx context.Context, c store.Closing) (mogile.FID, error) {
	return ask(ctx, s, "CloseUpload", func() (mogile.FID, error) { return s.real.CloseUpload(ctx, c) }, c.FID, c.Key, "on", c.Dev)
}

func (s *trackerStore) AbandonUpload(ctx context.Context, fid mogile.FID, devs ...mogile.DevID) error {
	return tell(ctx, s, "AbandonUpload", func() error { return s.real.AbandonUpload(ctx, fid, devs...) }, fid, "on", devs)
}

func (s *trackerStore) SweepUploads(ctx context.Context, age time.Duration, limit int) (int, error) {
	return ask(ctx, s, "SweepUploads", func() (int, error) { return s.real.SweepUploads(ctx, age, limit) })
}

func (s *trackerStore) Enqueue(ctx context.Context, q store.QueueName, delay time.Duration, fids ...mogile.FID) error {
	return tell(ctx, s, "Enqueue", func() error { return s.real.Enqueue(ctx, q, delay, fids...) }, q, fids)
}

func (s *trackerStore) Claim(ctx context.Context, q store.QueueName, limit int, lease time.Duration) ([]store.Item, error) {
	return ask(ctx, s, "Claim", func() ([]store.Item, error) {
		items, err := s.t.sim.seen.claim(ctx, s.real, q, limit, lease)
		if len(items) > 0 {
			s.t.sim.clock.trace.add("%s: claimed%s", s.t.name, fidWords(itemFIDs(items)))
		}
		return items, err
	}, q, limit)
}

func (s *trackerStore) Renew(ctx context.Context, q store.QueueName, lease time.Duration, items ...store.Item) ([]store.Item, error) {
	return ask(ctx, s, "Renew", func() ([]store.Item, error) { return s.real.Renew(ctx, q, lease, items...) }, q, lease, itemFIDs(items))
}

func (s *trackerStore) Queued(ctx context.Context, q store.QueueName, fid mogile.FID) (store.QueueRow, error) {
	return ask(ctx, s, "Queued", func() (store.QueueRow, error) { return s.real.Queued(ctx, q, fid) }, q, fid)
}

func (s *trackerStore) Finish(ctx context.Context, q store.QueueName, items ...store.Item) error {
	return tell(ctx, s, "Finish", func() error { return s.real.Finish(ctx, q, items...) }, q, itemFIDs(items))
}

func (s *trackerStore) FinishErased(ctx context.Context, erased ...store.Erased) error {
	var fids []mogile.FID
	for _, e := range erased {
		fids = append(fids, e.FID)
	}
	return tell(ctx, s, "FinishErased", func() error { return s.real.FinishErased(ctx, erased...) }, fids)
}

func (s *trackerStore) Waiting(ctx context.Context, q store.QueueName) (int64, error) {
	return ask(ctx, s, "Waiting", func() (int64, error) { return s.real.Waiting(ctx, q) }, q)
}

func (s *trackerStore) DueWithin(ctx context.Context, q store.QueueName, d time.Duration) (int64, error) {
	return ask(ctx, s, "DueWithin", func() (int64, error) { return s.real.DueWithin(ctx, q, d) }, q, d)
}

func (s *trackerStore) Postpone(ctx context.Context, q store.QueueName, fid mogile.FID, delay time.Duration, failCount int) error {
	return tell(ctx, s, "Postpone", func() error { return s.real.Postpone(ctx, q, fid, delay, failCount) }, q, fid, delay)
}

func (s *trackerStore) Park(ctx context.Context, q store.QueueName, fid mogile.FID, failCount int) error {
	return tell(ctx, s, "Park", func() error { return s.real.Park(ctx, q, fid, failCount) }, q, fid)
}

func (s *trackerStore) ReleaseAll(ctx context.Context, q store.QueueName) (int64, error) {
	return ask(ctx, s, "ReleaseAll", func() (int64, error) { return s.real.ReleaseAll(ctx, q) }, q)
}

func (s *trackerStore) NextDue(ctx context.Context, q store.QueueName) (time.Duration, error) {
	return ask(ctx, s, "NextDue", func() (time.Duration, error) { return s.t.sim.seen.nextDue(ctx, s.real, q) }, q)
}

func (s *trackerStore) EnqueueWork(ctx context.Context, rows ...store.WorkRow) error {
	var fids []mogile.FID
	for _, r := range rows {
		fids = append(fids, r.FID)
	}
	return tell(ctx, s, "EnqueueWork", func() error { return s.real.EnqueueWork(ctx, rows...) }, fids)
}

func (s *trackerStore) WorkLength(ctx context.Context, k store.WorkKind) (int64, error) {
	return ask(ctx, s, "WorkLength", func() (int64, error) { return s.real.WorkLength(ctx, k) }, k)
}

func (s *trackerStore) LogFsck(ctx context.Context, events ...store.FsckEvent) error {
	var words []string
	for _, e := range events {
		words = append(words, fmt.Sprintf("fid%s %s %s", e.FID, e.Code, e.Dev))
	}
	return tell(ctx, s, "LogFsck", func() error { return s.real.LogFsck(ctx, events...) }, strings.Join(words, ", "))
}

func (s *trackerStore) LastFsckEvent(ctx context.Context) (int64, error) {
	return ask(ctx, s, "LastFsckEvent", func() (int64, error) { return s.real.LastFsckEvent(ctx) })
}

func (s *trackerStore) FoldFsckLog(ctx context.Context) error {
	return tell(ctx, s, "FoldFsckLog", func() error { return s.real.FoldFsckLog(ctx) })
}

func (s *trackerStore) CreateDevice(ctx context.Context, d mogile.Device) error {
	return tell(ctx, s, "CreateDevice", func() error { return s.real.CreateDevice(ctx, d) }, d.ID, d.Host)
}

func (s *trackerStore) SetDeviceState(ctx context.Context, dev mogile.DevID, state mogile.DevState) error {
	return tell(ctx, s, "SetDeviceState", func() error { return s.real.SetDeviceState(ctx, dev, state) }, dev, state)
}

func (s *trackerStore) SetDeviceUsage(ctx context.Context, devs []mogile.Device) error {
	return tell(ctx, s, "SetDeviceUsage", func() error { return s.real.SetDeviceUsage(ctx, devs) })
}

func (s *trackerStore) ClassByName(ctx context.Context, dm mogile.DomainID, name mogile.ClassName) (mogile.Class, error) {
	return ask(ctx, s, "ClassByName", func() (mogile.Class, error) { return s.real.ClassByName(ctx, dm, name) }, name)
}

func (s *trackerStore) DomainByName(ctx context.Context, name mogile.DomainName) (mogile.DomainID, error) {
	return ask(ctx, s, "DomainByName", func() (mogile.DomainID, error) { return s.real.DomainByName(ctx, name) }, name)
}

func (s *trackerStore) HostByName(ctx context.Context, name mogile.HostName) (mogile.Host, error) {
	return ask(ctx, s, "HostByName", func() (mogile.Host, error) { return s.real.HostByName(ctx, name) }, name)
}

func (s *trackerStore) UpdateClass(ctx context.Context, c mogile.Class) error {
	return tell(ctx, s, "UpdateClass", func() error { return s.real.UpdateClass(ctx, c) }, c.Name, c.MinDevCount, c.Policy)
}

func (s *trackerStore) UpdateHost(ctx context.Context, h mogile.Host) error {
	return tell(ctx, s, "UpdateHost", func() error { return s.real.UpdateHost(ctx, h) }, h.Name, h.State)
}

func (s *trackerStore) Setting(ctx context.Context, field string) (string, error) {
	return ask(ctx, s, "Setting", func() (string, error) { return s.real.Setting(ctx, field) }, field)
}

func (s *trackerStore) SetSetting(ctx context.Context, field, value string) error {
	return tell(ctx, s, "SetSetting", func() error { return s.real.SetSetting(ctx, field, value) }, field, value)
}

func (s *trackerStore) UnsetSetting(ctx context.Context, field string) error {
	return tell(ctx, s, "UnsetSetting", func() error { return s.real.UnsetSetting(ctx, field) }, field)
}

func (s *trackerStore) AllSettings(ctx context.Context) (map[string]string, error) {
	return ask(ctx, s, "AllSettings", func() (map[string]string, error) { return s.real.AllSettings(ctx) })
}

func (s *trackerStore) ChangeSettings(ctx context.Context, decide func(map[string]string) (store.SettingChanges, error)) error {
	return tell(ctx, s, "ChangeSettings", func() error { return s.real.ChangeSettings(ctx, decide) })
}

func (s *trackerStore) Now(ctx context.Context) (int64, error) {
	return ask(ctx, s, "Now", func() (int64, error) { return s.real.Now(ctx) })
}

// Lock waits in the real store. A lock of a tracker that is killed is given back then, as
// a database does when a connection breaks.
func (s *trackerStore) Lock(ctx context.Context, name string, wait time.Duration) (func(), error) {
	if err := s.t.take(ctx, step{key: "Lock " + lockWords(name)}); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(s.t.life, func() { cancel(errCrashed) })()
	release, err := s.real.Lock(ctx, name, wait)
	if err != nil {
		return nil, err
	}
	return s.t.holds(name, release)
}

// lockWords has the fid be a word of its own.
func lockWords(name string) string {
	if fid, ok := strings.CutPrefix(name, "mgfs:fid:"); ok {
		return "fid" + strings.Replace(fid, ":", " ", 1)
	}
	return name
}
