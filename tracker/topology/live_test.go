package topology_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
	"github.com/mogilefs/caddy-mogilefs/tracker/topology"
)

func TestSnapshotIsEmptyAndThereBeforeTheFirstReload(t *testing.T) {
	s := topology.New(&database{}, topology.Config{}).Snapshot()
	if s == nil || len(s.Domains())+len(s.Hosts())+len(s.Devices()) != 0 {
		t.Fatalf("got %+v; want an empty snapshot", s)
	}
	if _, ok := s.Domain("images"); ok {
		t.Error("got a domain; want none")
	}
}

func TestFailedReloadKeepsTheOldSnapshot(t *testing.T) {
	rows, _ := cluster()
	db := &database{rows: rows}
	l := topology.New(db, topology.Config{})
	if err := l.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := l.Snapshot()
	db.err = errors.New("database is on fire")
	if err := l.Reload(t.Context()); !errors.Is(err, db.err) {
		t.Errorf("got error %v; want %v", err, db.err)
	}
	if l.Snapshot() != before {
		t.Error("got another snapshot; want the old one")
	}
}

// slowDatabase answers when it is let, and tells that it was asked.
type slowDatabase struct {
	database
	asked, answer chan struct{}
}

func (db *slowDatabase) LoadTopology(ctx context.Context) (store.Rows, error) {
	db.asked <- struct{}{}
	<-db.answer
	return db.database.LoadTopology(ctx)
}

func TestWhileOneReadsOthersObserveAndMayGiveUp(t *testing.T) {
	rows, _ := cluster()
	db := &slowDatabase{database{rows: rows}, make(chan struct{}), make(chan struct{})}
	l := topology.New(db, topology.Config{})
	read := make(chan error)
	go func() { read <- l.Reload(t.Context()) }()
	<-db.asked
	l.Observe(topology.Observations{Devices: map[mogile.DevID]topology.DeviceSeen{1: {State: topology.SeenUnreachable}}})
	gone, leave := context.WithCancel(t.Context())
	leave()
	if err := l.Reload(gone); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v; want the waiting reload to end with its context", err)
	}
	close(db.answer)
	if err := <-read; err != nil {
		t.Fatal(err)
	}
	if d, known := l.Snapshot().Device(1); !known || d.Seen.State != topology.SeenUnreachable {
		t.Errorf("got %+v; want what was observed meanwhile", d)
	}
}

func TestSnapshotsNeverChange(t *testing.T) {
	rows, seen := cluster()
	l := live(t, rows, seen, topology.Config{})
	before, _ := l.Snapshot().Device(1)
	old := l.Snapshot()
	l.Observe(topology.Observations{Devices: map[mogile.DevID]topology.DeviceSeen{1: {State: topology.SeenUnreachable}}})
	if d, _ := old.Device(1); d != before {
		t.Errorf("old snapshot: got %+v; want %+v", d, before)
	}
	if d, _ := l.Snapshot().Device(1); d.Readable() {
		t.Error("new snapshot: got a readable device; want the observation")
	}
}

func TestObservationsAddUpAndOutliveReloads(t *testing.T) {
	rows, seen := cluster()
	rows.Devices = append(rows.Devices, mogile.Device{ID: 2, Host: 1, State: mogile.DevAlive})
	l := live(t, rows, seen, topology.Config{})
	l.Observe(topology.Observations{Devices: map[mogile.DevID]topology.DeviceSeen{2: {State: topology.SeenReadable}}})
	if err := l.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	for id, want := range map[mogile.DevID]topology.DevSeen{1: topology.SeenWriteable, 2: topology.SeenReadable} {
		if d, _ := l.Snapshot().Device(id); d.Seen.State != want || !d.HostReachable {
			t.Errorf("device %d: got seen %q, host reachable %v; want %q, true", id, d.Seen.State, d.HostReachable, want)
		}
	}
}

func TestFresherSizesWin(t *testing.T) {
	for _, c := range []struct{ inDatabase, observed, want int64 }{{100, 200, 20}, {200, 200, 20}, {300, 200, 10}} {
		rows, seen := cluster()
		rows.Devices[0].MBUsed, rows.Devices[0].AsOf = 10, c.inDatabase
		seen.Usage = map[mogile.DevID]mogile.Device{1: {MBTotal: 1000, MBUsed: 20, AsOf: c.observed}}
		d, _ := live(t, rows, seen, topology.Config{}).Snapshot().Device(1)
		if d.MBUsed != c.want {
			t.Errorf("database as of %d, observed at %d: got %d MB used; want %d", c.inDatabase, c.observed, d.MBUsed, c.want)
		}
	}
}

func TestManyMayReloadObserveAndLookAtOnce(t *testing.T) {
	rows, seen := cluster()
	l := live(t, rows, seen, topology.Config{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range 100 {
				usage := map[mogile.DevID]mogile.Device{1: {MBTotal: 1000, MBUsed: int64(i), AsOf: int64(i)}}
				l.Observe(topology.Observations{Usage: usage})
				if _, ok := l.Snapshot().Device(1); !ok {
					t.Error("got a snapshot without its device")
				}
			}
		})
	}
	wg.Wait()
	if d, _ := l.Snapshot().Device(1); d.MBUsed != 99 {
		t.Errorf("got %d MB used; want the last observation's 99", d.MBUsed)
	}
}

func TestLookupsFindByNameAndNumber(t *testing.T) {
	rows, seen := cluster()
	rows.Domains[7] = "Images"
	rows.Classes = []mogile.Class{{Domain: 7, ID: 2, Name: "thumb", MinDevCount: 1}}
	rows.Settings = map[string]string{"skip_mkcol": "1"}
	s := live(t, rows, seen, topology.Config{}).Snapshot()
	upper, _ := s.Domain("Images")
	lower, _ := s.DomainByID(1)
	if upper.ID != 7 || lower.Name != "images" {
		t.Errorf("got domains %+v and %+v; want 7 and images: names are exact", upper, lower)
	}
	class, ok := s.ClassOf(store.File{Domain: 7, Class: 2})
	if !ok || class.Name != "thumb" {
		t.Errorf("got class %+v, %v; want thumb", class, ok)
	}
	for _, f := range []store.File{{Domain: 7, Class: 9}, {Domain: 9, Class: 0}} {
		if c, ok := s.ClassOf(f); ok {
			t.Errorf("file %+v: got class %+v; want none", f, c)
		}
	}
	byName, _ := s.HostByName("one")
	if byID, _ := s.Host(1); byID != byName || byID.ID != 1 {
		t.Errorf("got hosts %+v and %+v; want the same", byID, byName)
	}
	if got := s.Setting("skip_mkcol") + s.Setting("unset"); got != "1" {
		t.Errorf("got settings %q; want 1 and nothing", got)
	}
}

// docs/spec/tracker-protocol.md §5.2.
func TestDefaultClassIsAlwaysThere(t *testing.T) {
	row := mogile.Class{Domain: 1, ID: 0, Name: mogile.DefaultClass, MinDevCount: 5}
	for _, c := range []struct {
		rows   []mogile.Class
		config topology.Config
		want   int
	}{
		{nil, topology.Config{}, 2},
		{nil, topology.Config{DefaultMinDevCount: 3}, 3},
		{[]mogile.Class{row}, topology.Config{DefaultMinDevCount: 3}, 5},
	} {
		rows, seen := cluster()
		rows.Classes = c.rows
		d, _ := live(t, rows, seen, c.config).Snapshot().Domain("images")
		class, ok := d.Class(mogile.DefaultClass)
		if !ok || class.ID != 0 || class.MinDevCount != c.want || len(d.Classes) != 1 {
			t.Errorf("rows %v, config %+v: got %+v, %v; want mindevcount %d", c.rows, c.config, d.Classes, ok, c.want)
		}
	}
}

func TestListsAreInOrderOfTheirNumbers(t *testing.T) {
	rows, seen := cluster()
	for _, id := range []mogile.DevID{9, 4, 7} {
		rows.Devices = append(rows.Devices, mogile.Device{ID: id, Host: 1, State: mogile.DevAlive})
		rows.Hosts = append(rows.Hosts, mogile.Host{ID: mogile.HostID(id), Name: mogile.HostName(id.String())})
		rows.Domains[mogile.DomainID(id)] = mogile.DomainName(id.String())
	}
	s := live(t, rows, seen, topology.Config{}).Snapshot()
	var devs, hosts, domains []int
	for _, d := range s.Devices() {
		devs = append(devs, int(d.ID))
	}
	for _, h := range s.Hosts() {
		hosts = append(hosts, int(h.ID))
	}
	for _, d := range s.Domains() {
		domains = append(domains, int(d.ID))
	}
	for what, got := range map[string][]int{"devices": devs, "hosts": hosts, "domains": domains} {
		if want := "[1 4 7 9]"; fmt.Sprint(got) != want {
			t.Errorf("%s: got %v; want %s", what, got, want)
		}
	}
}
