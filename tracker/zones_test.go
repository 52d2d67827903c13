package tracker_test

import (
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/mogilefs/caddy-mogilefs/tracker"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
	"github.com/mogilefs/caddy-mogilefs/tracker/store/sqlstore"
)

func TestADeclaredClassWithoutItsZonesIsMadeAndWarnedOf(t *testing.T) {
	db, err := sqlstore.OpenSQLite(t.Context(), ":memory:", zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	core, logs := observer.New(zap.WarnLevel)
	tr, err := tracker.New(tracker.Config{Store: db, Logger: zap.New(core)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tr.Close() })
	d := tracker.Declaration{Domains: []tracker.DeclaredDomain{{Name: "images", Classes: []tracker.DeclaredClass{
		{Name: "plain", MinDevCount: 2},
		{Name: "zoned", MinDevCount: 2, Policy: "Union(MultipleHosts(2), HostsPerNetwork(far=1))"},
	}}}}
	seen := 0
	warnings := func() []observer.LoggedEntry {
		all := logs.FilterFieldKey("replpolicy").All()
		defer func() { seen = len(all) }()
		return all[seen:]
	}
	if err := tr.Declare(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	if got := rows(t, db).Classes; len(got) != 2 {
		t.Errorf("got classes %+v; want both", got)
	}
	if got := warnings(); len(got) != 1 || got[0].ContextMap()["class"] != "zoned" ||
		!strings.Contains(got[0].ContextMap()["error"].(string), "set zone_far") {
		t.Errorf("got warnings %v; want one of zoned, and what to set", got)
	}
	for _, set := range []map[string]string{{"network_zones": "far"}, {"zone_far": "10.2.0.0/16"}} {
		err := db.ChangeSettings(t.Context(), func(map[string]string) (store.SettingChanges, error) {
			return store.SettingChanges{Set: set}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := tr.Declare(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	if got := warnings(); len(got) != 0 {
		t.Errorf("got warnings %v; want none with the zone", got)
	}
}
