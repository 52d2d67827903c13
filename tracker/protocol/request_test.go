package protocol_test

import (
	"strings"
	"testing"

	"github.com/mogilefs/caddy-mogilefs/tracker/protocol"
)

func TestParseFindsTheCommand(t *testing.T) {
	for _, tc := range []struct{ line, want string }{
		{"noop", "noop"},
		{"NoOp", "noop"},
		{"  noop", "noop"},
		{"\tnoop", "noop"},
		{"noop=1", "noop"},
		{"noop\tcallid=1", "noop"},
		{"foo-bar", "foo"},
		{"GET_PATHS&key=a&domain=b", "get_paths"},
		{"1-2 noop", "1"},
		{"", ""},
		{"   ", ""},
		{"!", ""},
		{"! noop", ""},
		{"&noop", ""},
		{"\rnoop", ""},
		{"\xc3\x84", ""},
	} {
		if got := protocol.Parse([]byte(tc.line)).Command; got != tc.want {
			t.Errorf("Parse(%q).Command: got %q; want %q", tc.line, got, tc.want)
		}
	}
}

func TestParseDecodesArguments(t *testing.T) {
	for _, tc := range []struct {
		line, name, want string
		given            bool
	}{
		{"x a=1", "a", "1", true},
		{"x  \t a=1", "a", "1", true},
		{"x\ta=1", "a", "1", true},
		{"x&a=1", "a", "1", true},
		{"x a=1&b=2", "b", "2", true},
		{"x a=1", "A", "", false},
		{"x a=1", "b", "", false},
		{"x a", "a", "", true},
		{"x a=", "a", "", true},
		{"x a=b=c", "a", "b", true},
		{"x a==c", "a", "", true},
		{"x a=spec key=k1", "a", "spec key", true},
		{"x a=b+c", "a", "b c", true},
		{"x a=b%2Bc%2b", "a", "b+c+", true},
		{"x a=k%zz%4", "a", "k%zz%4", true},
		{"x a=%", "a", "%", true},
		{"x a=%00%0d%0A%ff", "a", "\x00\r\n\xff", true},
		{"x a=%2525", "a", "%25", true},
		{"x a=\r", "a", "\r", true},
		{"x a+b=1", "a b", "1", true},
		{"x %61=1", "a", "1", true},
		{"x =1", "", "1", true},
		{"noop=1", "", "1", true},
		{"x 0", "0", "", false},
		{"x 0=1", "0", "1", true},
		{"x &&a=1&", "a", "1", true},
		{"x &&", "", "", false},
		{"x a=9&a=10", "a", "9\x0010", true},
		{"x a=0&a=1", "a", "01", true},
		{"x a=&a=1", "a", "1", true},
		{"x a=1&a=", "a", "1\x00", true},
		{"x a=1&a=2&a=3", "a", "1\x002\x003", true},
		{"x a=0&a=0&a=1", "a", "00\x001", true},
	} {
		got, given := protocol.Parse([]byte(tc.line)).Lookup(tc.name)
		if got != tc.want || given != tc.given {
			t.Errorf("Parse(%q).Lookup(%q): got %q, %v; want %q, %v", tc.line, tc.name, got, given, tc.want, tc.given)
		}
	}
}

func TestManyRepeatsAreJoinedInOneGo(t *testing.T) {
	const repeats = 1 << 17
	req := protocol.Parse([]byte("x " + strings.Repeat("a&", repeats) + strings.Repeat("a=1&", repeats)))
	if got, want := len(req.Arg("a")), 2*repeats-1; got != want {
		t.Errorf("got %d bytes; want %d", got, want)
	}
}

func TestAdminLinesHaveAWordBehindTheMark(t *testing.T) {
	for line, want := range map[string]bool{
		"!version": true, "!x": true, "!!": true,
		"!": false, "! version": false, "!\tversion": false, "": false, "noop": false, " !version": false,
	} {
		if got := protocol.IsAdmin([]byte(line)); got != want {
			t.Errorf("IsAdmin(%q): got %v; want %v", line, got, want)
		}
	}
}

// FuzzParse holds that no line is a panic, and that every set of pairs comes back
// as it was.
func FuzzParse(f *testing.F) {
	f.Add("key", "a b&c=d%41", "noop=1&a%zz&0&callid==")
	f.Add("", "\x00\r\n\xff+", "\t!x &&")
	f.Add("0", "", "a=0&a=1&%61=2")
	f.Fuzz(func(t *testing.T, name, value, line string) {
		parsed := protocol.Parse([]byte(line))
		if parsed.Command != strings.ToLower(parsed.Command) {
			t.Errorf("Parse(%q).Command: got %q; want lower case", line, parsed.Command)
		}
		_ = protocol.Response{}.Append(nil, parsed)

		var pairs protocol.Pairs
		pairs.Add(name, value)
		pairs.Add(name+"_2", line)
		got := protocol.Parse([]byte("x " + pairs.String()))
		if v, given := got.Lookup(name); !given || v != value {
			t.Errorf("pair %q=%q: got %q, %v back from %q", name, value, v, given, pairs.String())
		}
		if v, given := got.Lookup(name + "_2"); !given || v != line {
			t.Errorf("pair %q=%q: got %q, %v back from %q", name+"_2", line, v, given, pairs.String())
		}
	})
}

func BenchmarkParse(b *testing.B) {
	line := []byte("get_paths domain=images&key=some/where/aqua.jpg&noverify=1&pathcount=2&zone=alt")
	b.ReportAllocs()
	for b.Loop() {
		protocol.Parse(line)
	}
}
