package tracker

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mogilefs/caddy-mogilefs/tracker/protocol"
)

// FuzzLine holds that every line has exactly one answer of the right shape, and
// that none makes a command panic. Its seeds are the requests of the sessions.
func FuzzLine(f *testing.F) {
	files, err := filepath.Glob("testdata/*.session")
	if err != nil || len(files) == 0 {
		f.Fatalf("got %d sessions, %v; want some", len(files), err)
	}
	for _, name := range files {
		script, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		for line := range strings.Lines(string(script)) {
			if request, ok := strings.CutPrefix(line, "> "); ok {
				f.Add([]byte(strings.TrimSuffix(request, "\n")))
			}
		}
	}
	c := newCluster(f, limits{})
	c.node.filler = []byte("hello") // nobody waits for what never comes
	f.Fuzz(func(t *testing.T, line []byte) {
		if len(line) == 0 || bytes.ContainsRune(line, '\n') || protocol.Parse(line).Command == "sleep" {
			return
		}
		answer, _ := c.server.conversation().answer(nil, line)
		c.server.gate.resize(1) // should the line have closed it
		if panics := c.logs.FilterMessage("command panicked").Len(); panics > 0 {
			t.Fatalf("%q: the command panicked", line)
		}
		c.logs.TakeAll()
		body, ok := bytes.CutSuffix(answer, []byte("\r\n"))
		switch {
		case !ok:
			t.Errorf("%q: got %q; want it to end in CR LF", line, answer)
		case protocol.IsAdmin(line):
			if !bytes.HasSuffix(append([]byte("\n"), answer...), []byte("\n.\r\n")) {
				t.Errorf("%q: got %q; want it to end in a line with a point", line, answer)
			}
		case bytes.ContainsAny(body, "\r\n"):
			t.Errorf("%q: got %q; want one line", line, answer)
		case !bytes.HasPrefix(body, []byte("OK ")) && !bytes.HasPrefix(body, []byte("ERR ")):
			t.Errorf("%q: got %q; want OK or ERR", line, answer)
		}
	})
}
