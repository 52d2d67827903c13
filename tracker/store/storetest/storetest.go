// Package storetest is the acceptance suite of package store: each sentence of its
// contracts is a test here, and every store has to pass them all.
//
// A store's own tests call [Run] with a function that opens an empty store, and
// [RunPersistent] with one that opens the store at a place, again and again.
// [RunBytewise] is for databases that keep keys byte for byte and sort them so;
// others have collations (docs/spec/schema.md §2.2).
//
// It does not know SQL: what only another program could have written is tested
// beside the implementation.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

// check is one test; its name is a sentence.
type check struct {
	name string
	run  func(e env)
}

// rooms are the checks of every store.
var rooms = []struct {
	name   string
	checks []check
}{
	{"Files", fileChecks}, {"Copies", copyChecks}, {"Holdings", holdingChecks}, {"Uploads", uploadChecks}, {"Races", raceChecks}, {"Crowds", crowdChecks},
	{"Queue", queueChecks}, {"Work", workChecks}, {"FsckLog", fsckChecks},
	{"Domains", domainChecks}, {"Names", nameChecks}, {"Hosts", hostChecks},
	{"Settings", settingChecks}, {"Locks", lockChecks}, {"Ends", endChecks},
}

// Run tests a store that open returns empty. Run closes it.
func Run(t *testing.T, open func(t *testing.T) store.Store) {
	for _, room := range rooms {
		t.Run(room.name, func(t *testing.T) { runChecks(t, open, room.checks) })
	}
}

// RunSome is Run with some rooms of it, for a store that differs in little from one that
// passes all.
func RunSome(t *testing.T, open func(t *testing.T) store.Store, names ...string) {
	for _, room := range rooms {
		if slices.Contains(names, room.name) {
			t.Run(room.name, func(t *testing.T) { runChecks(t, open, room.checks) })
		}
	}
}

// RunBytewise tests a store whose keys are bytes: any of them may be in a key, and
// keys sort by them.
func RunBytewise(t *testing.T, open func(t *testing.T) store.Store) {
	runChecks(t, open, byteChecks)
}

func runChecks(t *testing.T, open func(t *testing.T) store.Store, checks []check) {
	for _, c := range checks {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel() // each has a store of its own, and most wait for a disk
			s := open(t)
			t.Cleanup(func() {
				if err := s.Close(); err != nil {
					t.Errorf("close: got %v; want nil", err)
				}
			})
			c.run(newEnv(t, s))
		})
	}
}

// env is a test with its store.
type env struct {
	*testing.T
	s     store.Store
	ctx   context.Context
	homed *sync.Once
}

func newEnv(t *testing.T, s store.Store) env {
	return env{T: t, s: s, ctx: t.Context(), homed: new(sync.Once)}
}

// dm is the domain of most tests: the first that was created.
const dm mogile.DomainID = 1

// home makes sure that there is a domain for files to be in. Another store of the same
// database may be just as far.
func (e env) home() {
	e.Helper()
	e.homed.Do(func() {
		if len(e.load().Domains) > 0 {
			return
		}
		if _, err := e.s.CreateDomain(e.ctx, "home"); err != nil && !errors.Is(err, store.ErrDup) {
			e.Fatalf("create domain: got %v; want nil or %v", err, store.ErrDup)
		}
	})
}

// must ends the test when doing something failed.
func (e env) must(err error, doing string, args ...any) {
	e.Helper()
	if err != nil {
		e.Fatalf("%s: got %v; want nil", fmt.Sprintf(doing, args...), err)
	}
}

// wants compares an error with a sentinel of package store.
func (e env) wants(want, err error, doing string, args ...any) {
	e.Helper()
	if !errors.Is(err, want) {
		e.Errorf("%s: got error %v; want %v", fmt.Sprintf(doing, args...), err, want)
	}
}

// same compares what was got with what was wanted.
func (e env) same(got, want any, what string, args ...any) {
	e.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		e.Errorf("%s: got %+v; want %+v\n%s", fmt.Sprintf(what, args...), got, want, diff)
	}
}

// open opens an upload of the key on devs 1 and 2.
func (e env) open(key mogile.Key) mogile.FID {
	e.Helper()
	e.home()
	fid, err := e.s.OpenUpload(e.ctx, store.Upload{Domain: dm, Key: key, Devices: []mogile.DevID{1, 2}})
	e.must(err, "open upload of %q", key)
	return fid
}

// put uploads the key to dev 1.
func (e env) put(key mogile.Key) mogile.FID {
	e.Helper()
	fid := e.open(key)
	_, err := e.s.CloseUpload(e.ctx, closing(fid, key))
	e.must(err, "close upload %d of %q", fid, key)
	return fid
}

func closing(fid mogile.FID, key mogile.Key) store.Closing {
	return store.Closing{FID: fid, Dev: 1, Domain: dm, Key: key, Length: 5}
}

// visible checks which fid has the key; 0: none.
func (e env) visible(key mogile.Key, want mogile.FID) {
	e.Helper()
	f, err := e.s.FileByKey(e.ctx, dm, key)
	if want == 0 {
		e.wants(store.ErrNotFound, err, "find key %q", key)
		return
	}
	e.must(err, "find key %q", key)
	e.same(f.FID, want, "fid of key %q", key)
}

// queued checks that a fid has a row that is due, or has none.
func (e env) queued(q store.QueueName, fid mogile.FID, want bool) {
	e.Helper()
	row, err := e.s.Queued(e.ctx, q, fid)
	switch {
	case !want:
		e.wants(store.ErrNotFound, err, "find fid %d in %s", fid, q)
	case err != nil:
		e.Errorf("find fid %d in %s: got %v; want a row", fid, q, err)
	case row.NextTry > e.now():
		e.Errorf("row of fid %d in %s: got nexttry %d; want one that is due", fid, q, row.NextTry)
	}
}

func (e env) devices(fid mogile.FID, want ...mogile.DevID) {
	e.Helper()
	got, err := e.s.Devices(e.ctx, fid)
	e.must(err, "list devices of fid %d", fid)
	e.same(got, want, "devices of fid %d", fid)
}

// now is database time: the createtime of a new upload.
func (e env) now() int64 {
	e.Helper()
	u, err := e.s.Upload(e.ctx, e.open("now"))
	e.must(err, "read the time")
	return u.Created
}

// together runs fn in n goroutines at once and waits for them.
func together(n int, fn func(i int)) {
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			<-start
			fn(i)
		})
	}
	close(start)
	wg.Wait()
}

// patience bounds waits for what must happen; only a failing test uses it up.
const patience = 20 * time.Second
