package storetest

import (
	"strings"

	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

var settingChecks = []check{
	{"SettingsAreSetReplacedAndUnset", settingsAreSetReplacedAndUnset},
	{"SettingsAreInTheTopology", settingsAreInTheTopology},
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
