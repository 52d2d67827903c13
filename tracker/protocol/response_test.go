package protocol_test

import (
	"strings"
	"testing"

	"github.com/mogilefs/caddy-mogilefs/tracker/protocol"
)

func ok(pairs ...string) protocol.Response {
	var r protocol.Response
	for i := 0; i < len(pairs); i += 2 {
		r.Pairs.Add(pairs[i], pairs[i+1])
	}
	return r
}

func TestResponsesHaveTheirExactShape(t *testing.T) {
	refused := protocol.Response{Err: protocol.Fail(protocol.NoDomain)}
	for _, tc := range []struct {
		name string
		resp protocol.Response
		to   string
		want string
	}{
		{"nothing to say keeps the blank", ok(), "noop", "OK \r\n"},
		{"pairs keep their order", ok("b", "1", "a", ""), "x", "OK b=1&a=\r\n"},
		{"paths go out raw", ok("path1", `http://10.0.0.1:7500/dev1/0/000/000/0000000001.fid`), "x",
			"OK path1=http://10.0.0.1:7500/dev1/0/000/000/0000000001.fid\r\n"},
		{"callid comes last", ok("a", "1"), "x callid=7", "OK a=1&callid=7\r\n"},
		{"callid alone", ok(), "noop callid=a+b", "OK callid=a+b\r\n"},
		{"empty callid", ok(), "noop callid=", "OK callid=\r\n"},
		{"callid twice", ok(), "noop callid=9&callid=10", "OK callid=9%0010\r\n"},
		{"fixed text", refused, "x", "ERR no_domain No+domain+provided\r\n"},
		{"text equals code", protocol.Response{Err: protocol.Fail(protocol.NoKey)}, "x callid=a+b", "ERR no_key no_key a+b\r\n"},
		{"own text", protocol.Response{Err: protocol.Failf(protocol.BadArgs, "No %s; (x)", "host")}, "x", "ERR bad_args No+host%3B+%28x%29\r\n"},
		{"callid of an unknown command", protocol.Response{Err: protocol.Fail(protocol.UnknownCommand)}, "x callid=7",
			"ERR unknown_command Unknown+server+command 7\r\n"},
		{"pairs of a failure are dropped", protocol.Response{Pairs: ok("a", "1").Pairs, Err: protocol.Fail(protocol.DB)}, "x", "ERR db Database+error\r\n"},
	} {
		if got := string(tc.resp.Append(nil, protocol.Parse([]byte(tc.to)))); got != tc.want {
			t.Errorf("%s: got %q; want %q", tc.name, got, tc.want)
		}
	}
}

func TestAppendKeepsWhatIsThere(t *testing.T) {
	if got := string(ok().Append([]byte("before "), protocol.Request{})); got != "before OK \r\n" {
		t.Errorf("got %q; want the answer behind what was there", got)
	}
}

func TestOnlyTheAgreedBytesAreUnescaped(t *testing.T) {
	const raw = `ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_,-./\:`
	const hex = "0123456789ABCDEF"
	for i := range 256 {
		c := byte(i)
		want := "%" + string(hex[c>>4]) + string(hex[c&0xf])
		switch {
		case strings.IndexByte(raw, c) >= 0:
			want = string(rune(c))
		case c == ' ':
			want = "+"
		}
		var p protocol.Pairs
		p.Add("k", string([]byte{c}))
		if got := p.String(); got != "k="+want {
			t.Errorf("byte %#x: got %q; want %q", c, got, "k="+want)
		}
	}
}

// FuzzEscape holds that escaped text is one token without anything that has a
// meaning on the wire.
func FuzzEscape(f *testing.F) {
	f.Add("a b=c&d\r\n%")
	f.Add("\x00\xff~()")
	f.Fuzz(func(t *testing.T, s string) {
		var p protocol.Pairs
		p.Add("k", s)
		value := strings.TrimPrefix(p.String(), "k=")
		if strings.ContainsAny(value, " &=\r\n\t\x00") {
			t.Errorf("%q: got %q; want a token", s, value)
		}
		if back := protocol.Parse([]byte("x k=" + value)).Arg("k"); back != s {
			t.Errorf("%q: got %q back from %q", s, back, value)
		}
	})
}
