package tracker_test

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
	"github.com/mogilefs/caddy-mogilefs/tracker/store/sqlstore"
)

// quiet is a declaration whose hosts refuse every connection.
func quiet() tracker.Declaration {
	return tracker.Declaration{
		Domains: []tracker.DeclaredDomain{{Name: "images", Classes: []tracker.DeclaredClass{
			{Name: "thumb", MinDevCount: 1},
			{Name: "original", MinDevCount: 3, Policy: "MultipleHosts(3)", Hash: mogile.HashMD5},
		}}, {Name: "default"}},
		Hosts:   []tracker.DeclaredHost{{Name: "one", IP: "127.0.0.1", Port: 1}, {Name: "two", IP: "127.0.0.2", Port: 1, GetPort: 2}},
		Devices: []tracker.DeclaredDevice{{DevID: 1, Host: "one"}, {DevID: 2, Host: "two"}},
	}
}

func rows(t *testing.T, db store.Store) store.Rows {
	t.Helper()
	r, err := db.LoadTopology(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r.Settings = nil
	return r
}

func TestDeclareEntersWhatIsMissingAndThenNothing(t *testing.T) {
	tr, db := newTracker(t, tracker.Config{})
	if err := tr.Declare(t.Context(), quiet()); err != nil {
		t.Fatal(err)
	}
	want := store.Rows{
		Domains: map[mogile.DomainID]mogile.DomainName{1: "images", 2: "default"},
		Classes: []mogile.Class{
			{Domain: 1, ID: 1, Name: "thumb", MinDevCount: 1},
			{Domain: 1, ID: 2, Name: "original", MinDevCount: 3, Policy: "MultipleHosts(3)", Hash: mogile.HashMD5},
		},
		Hosts: []mogile.Host{
			{ID: 1, Name: "one", State: mogile.HostAlive, IP: "127.0.0.1", Port: 1},
			{ID: 2, Name: "two", State: mogile.HostAlive, IP: "127.0.0.2", Port: 1, GetPort: 2},
		},
		Devices: []mogile.Device{
			{ID: 1, Host: 1, State: mogile.DevAlive, Weight: 100}, {ID: 2, Host: 2, State: mogile.DevAlive, Weight: 100},
		},
	}
	for range 2 {
		if diff := cmp.Diff(want, rows(t, db)); diff != "" {
			t.Errorf("rows differ (-want +got):\n%s", diff)
		}
		if err := tr.Declare(t.Context(), quiet()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestDeclareChangesWhatDiffersButNoState(t *testing.T) {
	tr, db := newTracker(t, tracker.Config{})
	if err := tr.Declare(t.Context(), quiet()); err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	two := rows(t, db).Hosts[1]
	two.State, two.AltIP, two.AltMask = mogile.HostDown, "10.0.0.2", "10.0.0.0/8"
	for _, err := range []error{
		db.UpdateHost(ctx, two), db.SetDeviceState(ctx, 2, mogile.DevDrain), db.SetDeviceWeight(ctx, 2, 50),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	d := quiet()
	d.Domains[0].Classes[0].MinDevCount = 2
	d.Domains[0].Classes[1].Policy = "" // MultipleHosts()
	d.Hosts[1].IP, d.Hosts[1].Port, d.Hosts[1].GetPort = "127.0.0.3", 7, 0
	if err := tr.Declare(ctx, d); err != nil {
		t.Fatal(err)
	}
	got := rows(t, db)
	two.IP, two.Port, two.GetPort = "127.0.0.3", 7, 0
	if diff := cmp.Diff(two, got.Hosts[1]); diff != "" {
		t.Errorf("host differs (-want +got):\n%s", diff)
	}
	if dev := got.Devices[1]; dev.State != mogile.DevDrain || dev.Weight != 50 {
		t.Errorf("got device %+v; want it in drain with weight 50, as before", dev)
	}
	if a, b := got.Classes[0], got.Classes[1]; a.MinDevCount != 2 || b.Policy != "" || b.Hash != mogile.HashMD5 {
		t.Errorf("got classes %+v and %+v; want mindevcount 2, and no policy", a, b)
	}
}

func TestDeclareKnowsTheDefaultClass(t *testing.T) {
	tr, db := newTracker(t, tracker.Config{})
	for _, c := range []struct{ min, wantRows int }{{2, 0}, {3, 1}, {2, 1}} {
		err := tr.Declare(t.Context(), tracker.Declaration{Domains: []tracker.DeclaredDomain{
			{Name: "images", Classes: []tracker.DeclaredClass{{Name: mogile.DefaultClass, MinDevCount: c.min}}},
		}})
		got := rows(t, db).Classes
		if err != nil || len(got) != c.wantRows || (len(got) == 1 && (got[0].ID != 0 || got[0].MinDevCount != c.min)) {
			t.Errorf("default with mindevcount %d: got rows %+v, %v; want %d", c.min, got, err, c.wantRows)
		}
	}
}

func TestDeclareRefusesWhatCannotBe(t *testing.T) {
	tr, db := newTracker(t, tracker.Config{})
	if err := tr.Declare(t.Context(), quiet()); err != nil {
		t.Fatal(err)
	}
	before := rows(t, db)
	for want, spoil := range map[string]func(d *tracker.Declaration){
		`device 2: it is declared for host "one" and belongs to host "two"`: func(d *tracker.Declaration) { d.Devices[1].Host = "one" },
		`device 2: there is no host "three"`:                                func(d *tracker.Declaration) { d.Devices[1].Host = "three" },
		`host "three" at 127.0.0.1: `: func(d *tracker.Declaration) {
			d.Hosts = append(d.Hosts, tracker.DeclaredHost{Name: "three", IP: "127.0.0.1", Port: 1})
		},
		"a domain has no name":          func(d *tracker.Declaration) { d.Domains[1].Name = "" },
		"a class has no name":           func(d *tracker.Declaration) { d.Domains[0].Classes[0].Name = "" },
		"mindevcount is 0: want 1 to":   func(d *tracker.Declaration) { d.Domains[0].Classes[0].MinDevCount = 0 },
		"mindevcount is 256: want 1 to": func(d *tracker.Declaration) { d.Domains[0].Classes[0].MinDevCount = 256 },
		"there is no Nowhere; known":    func(d *tracker.Declaration) { d.Domains[0].Classes[0].Policy = "Nowhere()" },
		"a host has no name":            func(d *tracker.Declaration) { d.Hosts[0].Name = "" },
		"want an IP and a port":         func(d *tracker.Declaration) { d.Hosts[0].Port = 0 },
		"256 characters; at most 255":   func(d *tracker.Declaration) { d.Domains[1].Name = mogile.DomainName(strings.Repeat("d", 256)) },
		"51 characters; at most 50":     func(d *tracker.Declaration) { d.Domains[0].Classes[0].Name = mogile.ClassName(strings.Repeat("c", 51)) },
		"41 characters; at most 40":     func(d *tracker.Declaration) { d.Hosts[0].Name = mogile.HostName(strings.Repeat("h", 41)) },
		"want a devid from 1":           func(d *tracker.Declaration) { d.Devices[0].DevID = 0 },
	} {
		d := quiet()
		spoil(&d)
		if err := tr.Declare(t.Context(), d); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got error %v; want one with %q", err, want)
		}
		if diff := cmp.Diff(before, rows(t, db)); diff != "" {
			t.Errorf("%s: rows changed (-before +after):\n%s", want, diff)
		}
	}
}

// rivalStore is a store where another tracker creates the domain just before us.
type rivalStore struct {
	store.Store
	first bool
}

func (s *rivalStore) CreateDomain(ctx context.Context, name mogile.DomainName) (mogile.DomainID, error) {
	if s.first {
		s.first = false
		if _, err := s.Store.CreateDomain(ctx, name); err != nil {
			return 0, err
		}
	}
	return s.Store.CreateDomain(ctx, name)
}

func TestDeclareBeginsAnewWhenAnotherTrackerWasQuicker(t *testing.T) {
	db, err := sqlstore.OpenSQLite(t.Context(), ":memory:", zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	tr, err := tracker.New(tracker.Config{Store: &rivalStore{Store: db, first: true}, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Close()
	if err := tr.Declare(t.Context(), quiet()); err != nil {
		t.Errorf("got error %v; want none", err)
	}
	if got := rows(t, db); len(got.Domains) != 2 || len(got.Devices) != 2 {
		t.Errorf("got %+v; want all that was declared", got)
	}
}
