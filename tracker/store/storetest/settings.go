package storetest

import (
	"errors"
	"strconv"
	"strings"

	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

var settingChecks = []check{
	{"SettingsAreSetReplacedAndUnset", settingsAreSetReplacedAndUnset},
	{"SettingsAreInTheTopology", settingsAreInTheTopology},
	{"ChangesOfSettingsAreMadeTogether", changesOfSettingsAreMadeTogether},
	{"ARefusedChangeOfSettingsChangesNothing", refusedChangeOfSettingsChangesNothing},
	{"ChangesOfSettingsSeeEachOther", changesOfSettingsSeeEachOther},
}

func settingsAreSetReplacedAndUnset(e env) {
	_, err := e.s.Setting(e.ctx, "memcache_ttl")
	e.wants(store.ErrNotFound, err, "read unset setting")
	for _, value := range []string{"1", "", "two words", strings.Repeat("long", 5000)} {
		e.must(e.s.SetSetting(e.ctx, "memcache_ttl", value), "set setting")
		got, err := e.s.Setting(e.ctx, "memcache_ttl")
		e.must(err, "read setting")
		e.same(got, value, "setting")
	}
	for range 2 {
		e.must(e.s.UnsetSetting(e.ctx, "memcache_ttl"), "unset setting")
		_, err = e.s.Setting(e.ctx, "memcache_ttl")
		e.wants(store.ErrNotFound, err, "read unset setting")
	}
}

func settingsAreInTheTopology(e env) {
	e.must(e.s.SetSetting(e.ctx, "skip_mkcol", "1"), "set setting")
	e.same(e.load().Settings, map[string]string{"schema_version": "17", "skip_mkcol": "1"}, "settings")
}

func (e env) settings(want map[string]string) {
	e.Helper()
	got, err := e.s.AllSettings(e.ctx)
	e.must(err, "read settings")
	delete(got, "schema_version")
	e.same(got, want, "settings")
}

func changesOfSettingsAreMadeTogether(e env) {
	e.settings(map[string]string{})
	e.must(e.s.SetSetting(e.ctx, "a", "1"), "set setting")
	e.must(e.s.SetSetting(e.ctx, "b", "2"), "set setting")
	err := e.s.ChangeSettings(e.ctx, func(now map[string]string) (store.SettingChanges, error) {
		return store.SettingChanges{
			Set:   map[string]string{"b": now["a"] + now["b"], "c": "3", "d": ""},
			Unset: []string{"a", "never"},
		}, nil
	})
	e.must(err, "change settings")
	e.settings(map[string]string{"b": "12", "c": "3", "d": ""})
	e.must(e.s.ChangeSettings(e.ctx, func(map[string]string) (c store.SettingChanges, err error) { return c, err }), "change nothing")
	e.settings(map[string]string{"b": "12", "c": "3", "d": ""})
}

func refusedChangeOfSettingsChangesNothing(e env) {
	refusal := errors.New("no")
	err := e.s.ChangeSettings(e.ctx, func(map[string]string) (store.SettingChanges, error) {
		return store.SettingChanges{Set: map[string]string{"a": "1"}}, refusal
	})
	e.same(err == refusal, true, "the refusal is returned as it is: got %v", err)
	e.settings(map[string]string{})
}

// changesOfSettingsSeeEachOther: each adds 1 to a setting that is not there at first.
func changesOfSettingsSeeEachOther(e env) {
	const n = 20
	together(n, func(int) {
		err := e.s.ChangeSettings(e.ctx, func(now map[string]string) (store.SettingChanges, error) {
			count, _ := strconv.Atoi(now["count"])
			return store.SettingChanges{Set: map[string]string{"count": strconv.Itoa(count + 1)}}, nil
		})
		if err != nil {
			e.Errorf("change settings: got %v; want nil", err)
		}
	})
	e.settings(map[string]string{"count": strconv.Itoa(n)})
}
