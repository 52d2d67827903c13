package protocol_test

import (
	"math"
	"testing"

	"github.com/mogilefs/caddy-mogilefs/tracker/protocol"
)

func TestTruthIsTheProtocols(t *testing.T) {
	for s, want := range map[string]bool{
		"": false, "0": false,
		"1": true, "00": true, "0.0": true, "no": true, " ": true, "\x00": true,
	} {
		if got := protocol.Truthy(s); got != want {
			t.Errorf("Truthy(%q): got %v; want %v", s, got, want)
		}
	}
}

func TestNumIsTheLeadingNumber(t *testing.T) {
	for s, want := range map[string]int64{
		"": 0, "abc": 0, "-": 0, ".": 0, "e5": 0, "-e5": 0, ".e5": 0,
		"3": 3, "3abc": 3, " 3": 3, "+3": 3, "-3": -3, "007": 7,
		"1.9": 1, "-1.9": -1, ".5": 0, "1.": 1, "1e3": 1000, "1e": 1, "1e+": 1, "1e+2x": 100, "1.5e1": 15, "2E1": 20,
		"9223372036854775807":  math.MaxInt64,
		"9223372036854775808":  math.MaxInt64,
		"-9223372036854775809": math.MinInt64,
		"1e30":                 math.MaxInt64, "-1e30": math.MinInt64, "1e999": math.MaxInt64, "-1e999": math.MinInt64,
		"9007199254740993": 9007199254740993,
	} {
		if got := protocol.Num(s); got != want {
			t.Errorf("Num(%q): got %d; want %d", s, got, want)
		}
	}
}
