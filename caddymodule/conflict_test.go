package caddymodule

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/mogilefs/caddy-mogilefs/tracker"
)

// node is the JSON of a storage node that can be.
const node = `"root": "a", "address": "127.0.0.1:7500", "management": "off"`

func TestAppsThatCantBeAreRefused(t *testing.T) {
	for app, want := range map[string]string{
		`{"storage": {"n": null}}`:                                                                                                              "root is missing",
		`{"storage": {"": {` + node + `}}}`:                                                                                                     "no name",
		`{"storage": {"n": {` + node + `, "devices": [0]}}}`:                                                                                    "device 0",
		`{"storage": {"n": {` + node + `, "devices": [-1]}}}`:                                                                                   "cannot unmarshal number -1",
		`{"storage": {"n": {` + node + `, "devices": [16777216]}}}`:                                                                             "device 16777216",
		`{"storage": {"n": {` + node + `, "devices": [4, 4]}}}`:                                                                                 "twice",
		`{"storage": {"n": {` + node + `, "register": true}}}`:                                                                                  "register needs a tracker",
		`{"storage": {"n": {"root": "a", "address": "0.0.0.0:7500"}}}`:                                                                          "address 0.0.0.0:7500",
		`{"storage": {"n": {"root": "a", "address": "127.0.0.1:0"}}}`:                                                                           "address 127.0.0.1:0",
		`{"storage": {"n": {"root": "a", "address": "localhost:7500"}}}`:                                                                        "IP address",
		`{"storage": {"n": {"root": "a", "management": "udp/127.0.0.1:7501"}}}`:                                                                 "tcp or unix",
		`{"storage": {"n": {"root": "a", "management": "127.0.0.1:7501-7502"}}}`:                                                                "not a range",
		`{"storage": {"m": {` + node + `}, "n": {"root": "b", "address": "127.0.0.1:7500"}}}`:                                                   "address 127.0.0.1:7500 belongs to both storage m and storage n",
		`{"storage": {"m": {` + node + `}, "n": {"root": "./a", "address": "127.0.0.1:1"}}}`:                                                    "belongs to both",
		`{"storage": {"m": {"root": "a"}, "n": {"root": "b", "address": "127.0.0.1:1"}}}`:                                                       "listening address 127.0.0.1:7501",
		`{"storage": {"m": {` + node + `, "devices": [3]}, "n": {"root": "b", "address": "127.0.0.1:1", "management": "off", "devices": [3]}}}`: "device 3 belongs to both",
		`{"tracker": {"listen": ["127.0.0.1", "127.0.0.1:7001"]}}`:                                                                              "listening address 127.0.0.1:7001",
		`{"tracker": {"listen": ["127.0.0.1:7501"]}, "storage": {"m": {"root": "a"}}}`:                                                          "tracker and storage m",
		`{"tracker": {"listen": ["127.0.0.1:7001-7009"]}}`:                                                                                      "not a range",
		`{"tracker": {"workers": {"replicate": -1}}}`:                                                                                           "replicate",
		`{"domains": {"d": {}}}`:                                                              "no tracker",
		`{"tracker": {}, "domains": {"": {}}}`:                                                "a domain has no name",
		`{"tracker": {}, "domains": {"d": {"classes": {"": {}}}}}`:                            "a class has no name",
		`{"tracker": {}, "domains": {"d": {"classes": {"c": {"mindevcount": -1}}}}}`:          "mindevcount",
		`{"tracker": {}, "domains": {"d": {"classes": {"c": {"hashtype": "CRC"}}}}}`:          "CRC",
		`{"tracker": {}, "domains": {"d": {"classes": {"c": {"replpolicy": "Nonsense()"}}}}}`: "Nonsense",
		`{"tracker": {"listn": ["127.0.0.1:7001"]}}`:                                          "listn",
	} {
		if err := validate(t, app); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v; want an error with %q", app, err, want)
		}
	}
	for _, app := range []string{
		`{}`, `{"tracker": null}`, `{"tracker": {}, "domains": {"d": null}}`,
		`{"tracker": {}, "domains": {"d": {"classes": {"c": null}}}}`,
		`{"storage": {"m": {` + node + `}, "n": {"root": "b", "address": "127.0.0.1:1", "management": "off"}}}`,
	} {
		if err := validate(t, app); err != nil {
			t.Errorf("%s: got %v; want no error", app, err)
		}
	}
	if left := pooled(); len(left) > 0 {
		t.Errorf("got %v in the pool; want nothing", left)
	}
}

func validate(t *testing.T, app string) error {
	t.Helper()
	var config caddy.Config
	if err := json.Unmarshal(fmt.Appendf(nil, `{"admin": {"disabled": true}, "apps": {"mogilefs": %s}}`, app), &config); err != nil {
		t.Fatal(err)
	}
	return caddy.Validate(&config)
}

func TestSettingsAreThoseOfMogilefsdConf(t *testing.T) {
	for _, test := range []struct {
		name, value string
		want        tracker.Config
	}{
		{"min_free_space", "100", tracker.Config{MinFreeMB: 100}},
		{"min_free_space", "1GiB", tracker.Config{MinFreeMB: 1024}},
		{"min_free_space", "0", tracker.Config{MinFreeMB: -1}}, // none, where 0 means the default
		{"default_mindevcount", "3", tracker.Config{DefaultMinDevCount: 3}},
		{"node_timeout", "5", tracker.Config{NodeTimeout: 5 * time.Second}},
		{"node_timeout", "0.5", tracker.Config{NodeTimeout: 500 * time.Millisecond}},
		{"conn_timeout", "300ms", tracker.Config{ConnTimeout: 300 * time.Millisecond}},
		{"mogstored_stream_port", "7502", tracker.Config{MgmtPort: 7502}},
		{"local_network", "10.1.0.0/16", tracker.Config{LocalNetwork: netip.MustParsePrefix("10.1.0.0/16")}},
		{"local_network", "10.1.2.3", tracker.Config{LocalNetwork: netip.MustParsePrefix("10.1.2.3/32")}},
		{"copies_per_device", "3", tracker.Config{CopiesPerDevice: 3}},
	} {
		tr := &Tracker{Settings: map[string]string{test.name: test.value}}
		if err := tr.loadSettings(); err != nil {
			t.Errorf("%s %s: %v", test.name, test.value, err)
		}
		got := tr.config
		if got.MinFreeMB != test.want.MinFreeMB || got.DefaultMinDevCount != test.want.DefaultMinDevCount ||
			got.NodeTimeout != test.want.NodeTimeout || got.ConnTimeout != test.want.ConnTimeout || got.MgmtPort != test.want.MgmtPort ||
			got.LocalNetwork != test.want.LocalNetwork || got.CopiesPerDevice != test.want.CopiesPerDevice {
			t.Errorf("%s %s: got %+v; want %+v", test.name, test.value, got, test.want)
		}
	}
}

func TestSettingsThatCantBeAreRefused(t *testing.T) {
	for _, test := range [][2]string{
		{"min_free_space", "-1"}, {"min_free_space", "much"}, {"default_mindevcount", "0"}, {"default_mindevcount", "x"},
		{"node_timeout", "0"}, {"node_timeout", "-1"}, {"node_timeout", "NaN"}, {"node_timeout", "1e300"}, {"conn_timeout", "soon"},
		{"mogstored_stream_port", "0"}, {"mogstored_stream_port", "65536"}, {"local_network", "near"}, {"local_network", "10.1"}, {"listen", "127.0.0.1:7001"},
		{"copies_per_device", "0"}, {"copies_per_device", "few"},
	} {
		tr := &Tracker{Settings: map[string]string{test[0]: test[1]}}
		if err := tr.loadSettings(); err == nil || !strings.Contains(err.Error(), "setting "+test[0]) {
			t.Errorf("%s %s: got %v; want an error that names the setting", test[0], test[1], err)
		}
	}
}
