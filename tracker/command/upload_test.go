package command_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/command"
	"github.com/mogilefs/caddy-mogilefs/tracker/protocol"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
	"github.com/mogilefs/caddy-mogilefs/tracker/topology"
)

func TestOpenOffersWritableDevices(t *testing.T) {
	c := newCluster(t, nil)
	opened, err := c.Open(t.Context(), command.OpenArgs{
		Domain: "images", Key: "k", Class: "md5", Destinations: 2, Zone: topology.Zone{Alt: true},
	})
	must(t, err)
	if opened.Class.Name != "md5" || opened.Class.Hash != mogile.HashMD5 {
		t.Errorf("got class %+v; want md5", opened.Class)
	}
	want := []mogile.Copy{
		{Dev: 1, URL: "http://192.168.0.1:7500/dev1/0/000/000/0000000001.fid"},
		{Dev: 2, URL: "http://192.168.0.2:7500/dev2/0/000/000/0000000001.fid"},
	}
	if diff := cmp.Diff(want, opened.Destinations); diff != "" {
		t.Errorf("destinations (-want +got):\n%s", diff)
	}
	made := c.fakes.took()
	wantMade := []string{"mkdir dev1 http://192.168.0.1:7500 fid 1", "mkdir dev2 http://192.168.0.2:7500 fid 1"}
	sorted := cmpopts.SortSlices(func(a, b string) bool { return a < b })
	if diff := cmp.Diff(wantMade, made, sorted); diff != "" {
		t.Errorf("directories (-want +got):\n%s", diff)
	}
	up, err := c.store.Upload(t.Context(), opened.FID)
	must(t, err)
	wantUp := store.Upload{FID: 1, Domain: 1, Key: "k", Class: opened.Class.ID, Devices: []mogile.DevID{1, 2}, Created: up.Created}
	if diff := cmp.Diff(wantUp, up); diff != "" {
		t.Errorf("registered (-want +got):\n%s", diff)
	}
}

func TestLocalCallersMakeTheirDirectories(t *testing.T) {
	c := newCluster(t, nil)
	_, err := c.Open(t.Context(), command.OpenArgs{Domain: "images", Local: true})
	must(t, err)
	c.heard()
}

func TestOpenNeverOffersMoreThanTheRowHolds(t *testing.T) {
	c := newCluster(t, nil)
	if got := len(c.open("k", 99).Destinations); got != 3 {
		t.Errorf("got %d destinations; want 3", got)
	}
	if got := len(c.open("k", 0).Destinations); got != 1 {
		t.Errorf("got %d destinations for none asked; want 1", got)
	}
}

func TestStoredUploadsAreNotLookedFor(t *testing.T) {
	c := newCluster(t, nil)
	ctx := t.Context()
	o := c.open("k", 1)
	a := closing(o, "k")
	a.URL = "" // the host may have moved since
	must(t, c.Close(ctx, a))
	c.heard("changed images k", "wake file_to_replicate")
	loc, err := c.Locate(ctx, "images", "k", topology.Zone{})
	must(t, err)
	if loc.FID != o.FID || loc.Length != 5 {
		t.Errorf("got fid %d of %d bytes; want fid %d of 5", loc.FID, loc.Length, o.FID)
	}

	again := c.open("k", 1)
	must(t, c.Close(ctx, closing(again, "k")))
	c.heard("changed images k", "wake file_to_replicate", "wake file_to_delete2")
	fails(t, c.Close(ctx, closing(again, "k")), protocol.NoTempFile)
}

func TestWhatWasStoredHasASizeAndAPlace(t *testing.T) {
	c := newCluster(t, nil)
	o := c.open("k", 1)
	unsized, nowhere := closing(o, "k"), closing(o, "k")
	unsized.Size = -1
	nowhere.Dev = 99
	fails(t, c.Close(t.Context(), unsized), protocol.BogusArgs)
	fails(t, c.Close(t.Context(), nowhere), protocol.BogusArgs)
	must(t, c.Close(t.Context(), closing(o, "k")))
}

func TestChangedComesAfterTheCommit(t *testing.T) {
	c := newCluster(t, nil)
	ctx := t.Context()
	var seen []error
	look := func(d mogile.DomainName, k mogile.Key) {
		_, err := c.store.FileByKey(ctx, 1, k)
		seen = append(seen, err)
	}
	commands := command.New(command.Config{Store: c.store, Topology: c.fakes.live, Nodes: c.fakes, Jobs: c.fakes, Changed: look})
	must(t, commands.Close(ctx, closing(c.open("k", 1), "k")))
	must(t, commands.Delete(ctx, "images", "k"))
	if len(seen) != 2 || seen[0] != nil || !errors.Is(seen[1], store.ErrNotFound) {
		t.Errorf("at the changes: got %v; want the file, then none", seen)
	}
}

func TestCloseLooksAgainForAFileThatIsNotThereYet(t *testing.T) {
	for _, tc := range []struct {
		absent int
		waited time.Duration
		want   error
	}{
		{0, 0, nil},
		{1, 50 * time.Millisecond, nil},
		{4, 750 * time.Millisecond, nil},
		{5, 750 * time.Millisecond, protocol.SizeVerifyError},
	} {
		synctest.Test(t, func(t *testing.T) {
			c := newCluster(t, nil)
			o := c.open("k", 1)
			c.fakes.put(o.Destinations[0].URL, 5)
			c.fakes.absent = tc.absent
			a := closing(o, "k")
			a.Stored = false
			start := time.Now()
			err := c.Close(t.Context(), a)
			if waited := time.Since(start); !errors.Is(err, tc.want) || waited != tc.waited {
				t.Errorf("not there %d times: got %v after %v; want %v after %v", tc.absent, err, waited, tc.want, tc.waited)
			}
		})
	}
}

func TestACallerThatLeavesKeepsTheUploadOpen(t *testing.T) {
	c := newCluster(t, nil)
	o := c.open("k", 1)
	a := closing(o, "k")
	a.Stored = false // and never put
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	fails(t, c.Close(ctx, a), context.Canceled)
	if _, err := c.store.Upload(t.Context(), o.FID); err != nil {
		t.Errorf("the upload: got %v; want it still open", err)
	}
}

// faulty is a store that fails some calls.
type faulty struct {
	command.Store
	open, close, abandon error
}

func (s *faulty) OpenUpload(ctx context.Context, u store.Upload) (mogile.FID, error) {
	if s.open != nil {
		return 0, s.open
	}
	return s.Store.OpenUpload(ctx, u)
}

func (s *faulty) CloseUpload(ctx context.Context, c store.Closing) (mogile.FID, error) {
	if s.close != nil {
		return 0, s.close
	}
	return s.Store.CloseUpload(ctx, c)
}

func (s *faulty) AbandonUpload(ctx context.Context, fid mogile.FID, devs ...mogile.DevID) error {
	if s.abandon != nil {
		return s.abandon
	}
	return s.Store.AbandonUpload(ctx, fid, devs...)
}

func newFaultyCluster(t *testing.T) (*cluster, *faulty) {
	f := &faulty{}
	return newCluster(t, func(s command.Store) command.Store {
		f.Store = s
		return f
	}), f
}

var errDown = errors.New("database is down")

func TestAFailedCloseCanBeRepeated(t *testing.T) {
	c, f := newFaultyCluster(t)
	o := c.open("k", 1)
	f.close = errDown
	err := c.Close(t.Context(), closing(o, "k"))
	fails(t, err, errDown)
	if isAnswer(err) {
		t.Errorf("got the answer %v; want an internal error", err)
	}
	c.heard()
	f.close = nil
	must(t, c.Close(t.Context(), closing(o, "k")))
}

func TestAVisibleFileIsNeverAbandoned(t *testing.T) {
	c, f := newFaultyCluster(t)
	o := c.open("k", 1)
	f.close = store.ErrDup
	f.abandon = errors.New("abandoned")
	fails(t, c.Close(t.Context(), closing(o, "k")), protocol.FIDExists)
}

func TestARefusalThatCanNotBeWrittenDownIsStillARefusal(t *testing.T) {
	c, f := newFaultyCluster(t)
	o := c.open("k", 1)
	a := closing(o, "k")
	a.Stored = false
	c.fakes.put(a.URL, 6)
	f.abandon = errDown
	err := c.Close(t.Context(), a)
	fails(t, err, protocol.SizeMismatch)
	fails(t, err, errDown)
	f.abandon = store.ErrNotFound // somebody else took it meanwhile
	fails(t, c.Close(t.Context(), a), protocol.NoTempFile)
	c.heard("size "+a.URL, "size "+a.URL)
}

func TestADigestThatCanNotBeHadIsAMismatch(t *testing.T) {
	c := newCluster(t, nil)
	a := closing(c.open("k", 1), "k")
	a.Verify = true
	a.Checksum = mogile.Checksum{Type: mogile.HashMD5, Sum: make([]byte, 16)}
	err := c.Close(t.Context(), a)
	fails(t, err, protocol.ChecksumMismatch)
	if _, err := c.store.Upload(t.Context(), a.FID); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the upload: got %v; want it abandoned", err)
	}
}

func TestOneOfManyClosesWins(t *testing.T) {
	c := newCluster(t, nil)
	o := c.open("k", 1)
	const closers = 8
	errs := make([]error, closers)
	var wg sync.WaitGroup
	for i := range closers {
		wg.Go(func() { errs[i] = c.Close(t.Context(), closing(o, "k")) })
	}
	wg.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
		} else {
			fails(t, err, protocol.NoTempFile)
		}
	}
	if won != 1 {
		t.Errorf("%d closes of one upload won; want 1", won)
	}
}

func TestAbandonHasTheCopyDeleted(t *testing.T) {
	c := newCluster(t, nil)
	ctx := t.Context()
	o := c.open("k", 2)
	must(t, c.Abandon(ctx, o.FID, 2))
	c.heard("wake file_to_delete2")
	if _, err := c.store.Queued(ctx, store.DeleteQueue, o.FID); err != nil {
		t.Errorf("the queue: got %v; want the fid in it", err)
	}
	fails(t, c.Abandon(ctx, o.FID, 2), protocol.NoTempFile)

	a := closing(c.open("k", 1), "")
	must(t, c.Close(ctx, a))
	c.heard("wake file_to_delete2")
}

// A file without a class would never be replicated.
func TestAnUploadOutlivesItsClass(t *testing.T) {
	c := newCluster(t, nil)
	o, err := c.Open(t.Context(), command.OpenArgs{Domain: "images", Class: "md5", Local: true})
	must(t, err)
	c.runs("delete_class domain=images&class=md5", "OK domain=images&class=md5")
	must(t, c.Close(t.Context(), closing(o, "k")))
	c.runs("file_info domain=images&key=k", fmt.Sprintf("OK fid=%d&domain=images&class=default&key=k&length=5&devcount=1", o.FID))
}

func TestAClassThatIsNotKnownYetIsLookedUp(t *testing.T) {
	c := newCluster(t, nil)
	class := mogile.Class{Domain: 1, Name: "thumb", MinDevCount: 1} // through another tracker
	id, err := c.store.CreateClass(t.Context(), class)
	must(t, err)
	fid, err := c.store.OpenUpload(t.Context(), store.Upload{Domain: 1, Class: id, Devices: []mogile.DevID{1}})
	must(t, err)
	must(t, c.Close(t.Context(), command.CloseArgs{Domain: "images", Key: "k", FID: fid, Dev: 1, Size: 5, Stored: true}))
	f, err := c.store.FileByFID(t.Context(), fid)
	must(t, err)
	if f.Class != id {
		t.Errorf("got class %d; want %d", f.Class, id)
	}
}

// all is closing with all destinations.
func all(o command.Opened, key mogile.Key) command.CloseArgs {
	a := closing(o, key)
	for _, at := range o.Destinations[1:] {
		a.Others = append(a.Others, command.StoredCopy{Copy: at, Stored: true})
	}
	return a
}

func TestEveryCopyOfAnUploadIsRecordedOrNone(t *testing.T) {
	c := newCluster(t, nil)
	ctx := t.Context()
	o := c.open("k", 2)
	must(t, c.Close(ctx, all(o, "k")))
	c.heard("changed images k", "wake file_to_replicate")
	c.runs("file_info domain=images&key=k", fmt.Sprintf("OK fid=%d&domain=images&class=default&key=k&length=5&devcount=2", o.FID))

	o = c.open("k", 2)
	lost := all(o, "k")
	lost.Others[0].Stored = false // and never put
	fails(t, c.Close(ctx, lost), protocol.SizeVerifyError)
	devs, err := c.store.Devices(ctx, o.FID)
	if must(t, err); len(devs) != 2 {
		t.Errorf("got copies on %v to be deleted; want both", devs)
	}
	if _, err := c.store.Queued(ctx, store.DeleteQueue, o.FID); err != nil {
		t.Errorf("the queue: got %v; want the fid in it", err)
	}
}

func TestSeveralCopiesAreOfferedSpares(t *testing.T) {
	c := newCluster(t, nil)
	for copies, want := range map[int]int{0: 1, 1: 1, 2: 3, 99: 3} { // there are three devices
		o, err := c.Open(t.Context(), command.OpenArgs{Domain: "images", Copies: copies, Local: true})
		if must(t, err); len(o.Destinations) != want {
			t.Errorf("%d copies: got %d destinations; want %d", copies, len(o.Destinations), want)
		}
	}
}
