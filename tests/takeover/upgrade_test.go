package takeover

import (
	"errors"
	"maps"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/caddymodule"
	"github.com/mogilefs/caddy-mogilefs/tests/legacy"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

// moduleFor is what a Caddyfile's database block becomes.
func moduleFor(t *testing.T, d *legacy.Database, upgrade bool) caddymodule.Database {
	t.Helper()
	var m interface {
		caddymodule.Database
		caddy.Provisioner
	}
	switch d.Kind {
	case legacy.MySQL:
		m = &caddymodule.MySQL{DSN: d.DSN, Charset: d.Session, Upgrade: upgrade}
	case legacy.Postgres:
		m = &caddymodule.Postgres{DSN: d.DSN, Upgrade: upgrade}
	case legacy.SQLite:
		m = &caddymodule.SQLite{Path: d.DSN, Upgrade: upgrade}
	}
	if err := m.Provision(caddy.Context{}); err != nil {
		t.Fatal(err)
	}
	return m
}

// TestAnOlderInstallationIsTakenOverWhenToldSo: the oldest and the last of those that can
// be, which work as current ones do afterwards, for ours and for 2.73.
func TestAnOlderInstallationIsTakenOverWhenToldSo(t *testing.T) {
	some := legacy.Older(10)
	maps.Copy(some, legacy.Older(16))
	for name, v := range some {
		t.Run(name, func(t *testing.T) {
			nodes, at := startNodes(t)
			v.Nodes = at
			d := legacy.New(t, v)
			if s, err := moduleFor(t, d, false).Open(t.Context(), zap.NewNop()); !errors.Is(err, store.ErrSchema) {
				t.Fatalf("open without upgrade: got %v, error %v; want %v", s, err, store.ErrSchema)
			}
			s, err := moduleFor(t, d, true).Open(t.Context(), zap.NewNop())
			if err != nil {
				t.Fatalf("open: got %v; want nil", err)
			}
			k, stop := newTracker(t, s, resting)
			for _, f := range d.Files() {
				checkFile(t, k, f)
			}
			checkKeys(t, d, k)
			uploads := doAll(t, d, nodes, k)
			stop()
			old := d.Tracker(t, "old.example.com")
			if complaints, err := old.Audit(t.Context(), d.HighestFID()); err != nil || len(complaints) > 0 {
				t.Errorf("rows that 2.73 can't read: got %q, error %v; want none", complaints, err)
			}
			goOn(t, old, maxFID(uploads))
		})
	}
}
