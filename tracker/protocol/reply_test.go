package protocol_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mogilefs/caddy-mogilefs/tracker/protocol"
)

func TestAppendRequestWritesOneLine(t *testing.T) {
	var args protocol.Pairs
	args.Add("domain", "spec")
	args.Add("key", "a b&c=d\r\nnoop")
	got := string(protocol.AppendRequest([]byte("before "), "get_paths", args))
	if want := "before get_paths domain=spec&key=a+b%26c%3Dd%0D%0Anoop\r\n"; got != want {
		t.Errorf("got %q; want %q", got, want)
	}
	if got := string(protocol.AppendRequest(nil, "noop", protocol.Pairs{})); got != "noop\r\n" {
		t.Errorf("without arguments: got %q; want the command alone", got)
	}
}

func TestParseReplyTakesWhatAnyTrackerSends(t *testing.T) {
	for line, want := range map[string]protocol.Values{
		"OK \r\n":   {},
		"OK\r\n":    {},
		"OK":        {},
		"OK  a=1\n": {"a": "1"},
		"OK paths=2&path2=http://h:7500/dev2/0&path1=http://h:7500/dev1/0\r\n": {
			"paths": "2", "path1": "http://h:7500/dev1/0", "path2": "http://h:7500/dev2/0",
		},
		"OK key=a+b%26c%3dd%0A%C3%84":   {"key": "a b&c=d\n\xc3\x84"},
		"OK value=&key=0":               {"value": "", "key": "0"},
		"OK a":                          {"a": ""},
		"OK a=b=c":                      {"a": "b=c"},
		"OK &a=1&&b=2&":                 {"a": "1", "b": "2"},
		"OK a=1&a=2":                    {"a": "2"},
		"OK callid=a+b&fid=7":           {"callid": "a b", "fid": "7"},
		"OK domain1class1name=default":  {"domain1class1name": "default"},
		"OK 14 a=1":                     {"a": "1"},
		"OK 14":                         {"14": ""},
		"OK path=http://h/100%zz%4":     {"path": "http://h/100%zz%4"},
		"OK policy=MultipleHosts%28%29": {"policy": "MultipleHosts()"},
	} {
		got, err := protocol.ParseReply([]byte(line))
		if err != nil {
			t.Errorf("%q: got %v; want %v", line, err, want)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", line, diff)
		}
	}
}

func TestParseReplyMakesErrorsOfRefusals(t *testing.T) {
	for line, want := range map[string]protocol.Error{
		"ERR unknown_key unknown_key\r\n":                 {Code: protocol.UnknownKey, Text: "unknown_key"},
		"ERR no_key no_key a+b":                           {Code: protocol.NoKey, Text: "no_key"},
		"ERR db Database+error":                           {Code: protocol.DB, Text: "Database error"},
		"ERR db":                                          {Code: protocol.DB},
		"ERR  db  Database+error  ":                       {Code: protocol.DB, Text: "Database error"},
		"ERR plugin_1 x":                                  {Code: "plugin_1", Text: "x"},
		"ERR size_mismatch Expected%3A+5%3B+actual%3A+%3": {Code: protocol.SizeMismatch, Text: "Expected: 5; actual: %3"},
	} {
		values, err := protocol.ParseReply([]byte(line))
		var got *protocol.Error
		if !errors.As(err, &got) || *got != want || values != nil {
			t.Errorf("%q: got %v, %v; want %+v", line, values, err, want)
		}
	}
}

func TestParseReplyRefusesWhatIsNoAnswer(t *testing.T) {
	for _, line := range []string{
		"", "\r\n", " OK a=1", "ok a=1", "OKAY", "ERR", "ERR ", "ERR 100%", "ERROR: usage", ".", "2.73",
		":: [monitor(1)] hello", "HTTP/1.1 400 Bad Request", "SSH-2.0-OpenSSH_9.7", "ERR \xc3\x84", "\x15\x03\x01\x00\x02",
	} {
		values, err := protocol.ParseReply([]byte(line))
		if !errors.Is(err, protocol.ErrGarbled) || values != nil {
			t.Errorf("%q: got %v, %v; want %v", line, values, err, protocol.ErrGarbled)
		}
	}
	_, err := protocol.ParseReply([]byte(strings.Repeat("x", 1<<20)))
	if n := len(err.Error()); n > 200 {
		t.Errorf("a long line: got an error of %d bytes; want it cut", n)
	}
}

// FuzzParseReply holds that every line is an answer, a refusal or garbled, and that
// what our own trackers write is read back as it was meant.
func FuzzParseReply(f *testing.F) {
	for _, line := range []string{"OK \r\n", "OK a=1&b=%zz", "ERR no_key no_key 7", "HTTP/1.1 400", "OK 1 a", "&&=%"} {
		f.Add([]byte(line), "name", "va lue")
	}
	f.Fuzz(func(t *testing.T, line []byte, name, value string) {
		values, err := protocol.ParseReply(line)
		var refused *protocol.Error
		switch {
		case err == nil && values != nil:
		case values == nil && (errors.As(err, &refused) && refused.Code != "" || errors.Is(err, protocol.ErrGarbled)):
		default:
			t.Errorf("%q: got %v, %v; want one of the two", line, values, err)
		}

		var resp protocol.Response
		resp.Pairs.Add("fid", "1") // no name begins with a digit, not even an empty one
		resp.Pairs.Add("x"+name, value)
		values, err = protocol.ParseReply(resp.Append(nil, protocol.Request{}))
		if err != nil || values["x"+name] != value || values["fid"] != "1" {
			t.Errorf("%q=%q: got %v, %v back", name, value, values, err)
		}
		_, err = protocol.ParseReply(protocol.Response{Err: protocol.Failf(protocol.DB, "%s", "x"+value)}.Append(nil, protocol.Request{}))
		if !errors.As(err, &refused) || *refused != (protocol.Error{Code: protocol.DB, Text: "x" + value}) {
			t.Errorf("refusal with %q: got %v back", value, err)
		}
	})
}
