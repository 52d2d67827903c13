package mogile_test

import (
	"strings"
	"testing"

	"github.com/mogilefs/caddy-mogilefs/mogile"
)

func TestAKeyIsAnyBytesButNULUpToItsColumnsWidth(t *testing.T) {
	for _, key := range []string{
		"0", " ", "a/b", "..", "\x01\x7f\xff", "äöü",
		strings.Repeat("k", 255), strings.Repeat("ä", 255), strings.Repeat("\xff", 255),
	} {
		if err := mogile.Key(key).Validate(); err != nil {
			t.Errorf("%q: got %v; want it valid", key, err)
		}
	}
	for _, key := range []string{
		"", "a\x00b", strings.Repeat("k", 256), strings.Repeat("ä", 256), strings.Repeat("\xff", 256),
	} {
		if err := mogile.Key(key).Validate(); err == nil {
			t.Errorf("%q: got no error; want it refused", key)
		}
	}
}

// TestDeviceStatesPermitWhatTheTableSays holds docs/spec/tracker-protocol.md §5.4.
func TestDeviceStatesPermitWhatTheTableSays(t *testing.T) {
	for state, want := range map[mogile.DevState]string{
		"alive":    "read delete new monitored",
		"readonly": "read monitored",
		"drain":    "read delete monitored draining",
		"down":     "",
		"dead":     "lost",
		"unheard":  "", // as down
	} {
		var got []string
		for _, q := range []struct {
			word string
			yes  bool
		}{
			{"read", state.Readable()}, {"delete", state.Deletable()}, {"new", state.TakesNewFiles()},
			{"monitored", state.Monitored()}, {"draining", state.Draining()}, {"lost", state.Lost()},
		} {
			if q.yes {
				got = append(got, q.word)
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: got %q; want %q", state, strings.Join(got, " "), want)
		}
	}
}

func TestOnlyDeadToAliveIsAStepTooFar(t *testing.T) {
	states := []mogile.DevState{"alive", "readonly", "drain", "down", "dead"}
	for _, from := range states {
		for _, to := range states {
			want := from != "dead" || to != "alive"
			if got := from.CanBecome(to); got != want {
				t.Errorf("%s to %s: got %v; want %v", from, to, got, want)
			}
		}
	}
}

func TestStatesNobodyKnowsAreRefused(t *testing.T) {
	for _, s := range []string{"", "Alive", "broken"} {
		if st, err := mogile.ParseDevState(s); err == nil {
			t.Errorf("device state %q: got %s; want an error", s, st)
		}
		if st, err := mogile.ParseHostState(s); err == nil {
			t.Errorf("host state %q: got %s; want an error", s, st)
		}
	}
	if st, err := mogile.ParseHostState("drain"); err == nil {
		t.Errorf("host state drain: got %s; want an error: only devices drain", st)
	}
}

func TestAHostReadsFromItsReadPortWhenItHasOne(t *testing.T) {
	h := mogile.Host{Port: 7500}
	if got := h.ReadPort(); got != 7500 {
		t.Errorf("without a read port: got %d; want 7500", got)
	}
	h.GetPort = 7600
	if got := h.ReadPort(); got != 7600 {
		t.Errorf("with a read port: got %d; want 7600", got)
	}
	if got := mogile.HostAddr("::1", 7500); got != "[::1]:7500" {
		t.Errorf("IPv6 address: got %s; want [::1]:7500", got)
	}
}

func TestFreeSpaceIsUnknownUntilMeasured(t *testing.T) {
	var d mogile.Device
	if _, known := d.MBFree(); known || d.FreeShare() != 0 {
		t.Errorf("unmeasured: got known %v, share %v; want false, 0", known, d.FreeShare())
	}
	d.MBTotal, d.MBUsed = 200, 50
	if free, known := d.MBFree(); free != 150 || !known || d.FreeShare() != 0.75 {
		t.Errorf("measured: got %d, %v, share %v; want 150, true, 0.75", free, known, d.FreeShare())
	}
}

func TestChecksumsAreReadAndWritten(t *testing.T) {
	const md5, sha1 = "d41d8cd98f00b204e9800998ecf8427e", "da39a3ee5e6b4b0d3255bfef95601890afd80709"
	for in, want := range map[string]string{
		"MD5:" + md5:                     "MD5:" + md5,
		"MD5:" + strings.ToUpper(md5):    "MD5:" + md5,
		"SHA-1:" + strings.ToUpper(sha1): "SHA-1:" + sha1,
	} {
		sum, err := mogile.ParseChecksum(in)
		if err != nil || sum.String() != want || sum.IsZero() {
			t.Errorf("%s: got %s, %v; want %s", in, sum, err, want)
		}
		empty := sum.Type.New().Sum(nil)
		if !sum.Equal(mogile.Checksum{Type: sum.Type, Sum: empty}) {
			t.Errorf("%s: got another digest of nothing, %x", in, empty)
		}
	}
	for _, in := range []string{
		"", "MD5", "MD5:", "MD5:" + md5[2:], "MD5:" + sha1, "SHA-1:" + md5, "SHA1:" + sha1,
		"md5:" + md5, "NONE:", "MD5:" + strings.Repeat("g", 32), "MD5:" + md5 + ":",
	} {
		if sum, err := mogile.ParseChecksum(in); err == nil {
			t.Errorf("%q: got %s; want an error", in, sum)
		}
	}
	if got := (mogile.Checksum{}).String(); got != "NONE" {
		t.Errorf("no checksum: got %s; want NONE", got)
	}
}
