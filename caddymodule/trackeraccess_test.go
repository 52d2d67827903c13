package caddymodule

import (
	"fmt"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

func TestRangesAreReadAsCaddyReadsThem(t *testing.T) {
	t.Setenv("MOGILEFS_TEST_NETS", "10.1.0.0/16, 10.2.0.0/16 fd00::5")
	for _, c := range []struct{ words, want string }{
		{"", "[]"},
		{"10.0.0.0/8 ::1", "[10.0.0.0/8 ::1/128]"},
		{"private_ranges", "[192.168.0.0/16 172.16.0.0/12 10.0.0.0/8 127.0.0.1/8 fd00::/8 ::1/128]"},
		{"{env.MOGILEFS_TEST_NETS} 192.0.2.1", "[10.1.0.0/16 10.2.0.0/16 fd00::5/128 192.0.2.1/32]"},
	} {
		got, err := parseRanges(strings.Fields(c.words))
		if err != nil || fmt.Sprint(got) != c.want {
			t.Errorf("%s: got %v, %v; want %s", c.words, got, err, c.want)
		}
	}
	for _, bad := range []string{"everybody", "10.0.0.0/40", "{env.MOGILEFS_TEST_NOTHING}", ","} {
		if got, err := parseRanges([]string{bad}); err == nil {
			t.Errorf("%s: got %v; want an error", bad, got)
		}
	}
}

func TestAccessThatCantBeIsRefused(t *testing.T) {
	r := newRig(t)
	for name, test := range map[string]struct{ more, want string }{
		"nobody's address": {"allow everybody", "allow: invalid IP address: 'everybody'"},
		"mapped addresses": {"admin_allow ::ffff:10.0.0.0/104", "admin_allow: ::ffff:10.0.0.0/104 is no range"},
		"no certificate":   {"listen tls://127.0.0.1:1", "add tls with a name, or with the files"},
		"no use":           {"tls tracker1.internal", "put tls:// before"},
		"both":             {"listen tls://127.0.0.1:1\n tls cert.pem key.pem {\n names a\n }", "either both files"},
		"two on a port":    {"listen tls://TRACKER\n tls tracker1.internal", "belongs to both tracker and tracker"},
		"no worker":        {"workers queryworker 0", "want 1 to 500"},
	} {
		config := changed("admin off", "admin off\n skip_install_trust", "listen TRACKER", "listen TRACKER\n "+test.more)
		if err := r.load(config); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v; want an error with %q", name, err, test.want)
		}
	}
}

func TestTheLogTellsOfAccessThatCantBeHad(t *testing.T) {
	for _, c := range []struct {
		tracker Tracker
		want    string
	}{
		{Tracker{Listen: []string{"127.0.0.1:7001", "[::1]:7001", "localhost:7001", "unix//run/x", "tls://127.0.0.1:7002"}}, ""},
		{Tracker{Listen: []string{"0.0.0.0:7001"}}, "lets none of them in"},
		{Tracker{Listen: []string{":7001"}}, "lets none of them in"},
		{Tracker{Listen: []string{"tls://tracker1:7002"}}, "lets none of them in"},
		{Tracker{Listen: []string{":7001"}, TrackerAccess: TrackerAccess{Allow: []string{"private_ranges"}}}, ""},
		{Tracker{Listen: []string{":7001"}, TrackerAccess: TrackerAccess{AdminAllow: []string{"10.0.0.5"}}}, ""},
		{Tracker{TrackerAccess: TrackerAccess{MaxConnections: 1 << 30}}, "LimitNOFILE"},
		{Tracker{TrackerAccess: TrackerAccess{MaxConnections: 10}}, ""},
	} {
		core, logs := observer.New(zapcore.WarnLevel)
		if err := c.tracker.TrackerAccess.provision(); err != nil {
			t.Fatal(err)
		}
		c.tracker.warnOfAccess(zap.New(core))
		said := ""
		for _, e := range logs.All() {
			said += e.Message
		}
		if (said == "") != (c.want == "") || !strings.Contains(said, c.want) {
			t.Errorf("%v %+v: got the log %q; want %q", c.tracker.Listen, c.tracker.TrackerAccess, said, c.want)
		}
	}
}

func TestWhatTheNewestConfigSaysHolds(t *testing.T) {
	var n newest[string]
	if got := n.get(); got != nil {
		t.Errorf("before the first: got %v; want nil", got)
	}
	first, second, third := "first", "second", "third"
	endFirst := n.use(&first)
	endSecond := n.use(&second)
	endThird := n.use(&third)
	endThird() // a config that did not start
	if got := *n.get(); got != second {
		t.Errorf("got %s; want %s", got, second)
	}
	endFirst() // the old config stops after the new has started
	if got := *n.get(); got != second {
		t.Errorf("got %s; want %s", got, second)
	}
	endSecond()
	if got := *n.get(); got != second {
		t.Errorf("after the last: got %s; want it still", got)
	}
}
