package cli_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mogilefs/caddy-mogilefs/cli"
	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tests/installation"
)

// update rewrites testdata: go test ./cli -args -update
var update = flag.Bool("update", false, "rewrite the sessions with what is answered now")

// TestSessions holds testdata/*.session: what operators type behind a $, and what they
// read. Lines of Stderr begin with 2>, and an exit code that is not 0 stands in brackets.
func TestSessions(t *testing.T) {
	eachSession(t, func(t *testing.T, in *installation.Installation, file, want string) {
		got := replay(t, in, in.Tracker, want)
		if !*update {
			compare(t, file, want, got)
		} else if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	})
}

// TestSessionsWithAnOldTracker plays them with a tracker that knows no more than
// docs/spec/tracker-protocol.md has.
func TestSessionsWithAnOldTracker(t *testing.T) {
	eachSession(t, func(t *testing.T, in *installation.Installation, file, want string) {
		compare(t, file, want, replay(t, in, startOld(t, in.Tracker), want))
	})
}

func eachSession(t *testing.T, play func(t *testing.T, in *installation.Installation, file, want string)) {
	files, err := filepath.Glob("testdata/*.session")
	if err != nil || len(files) == 0 {
		t.Fatalf("got %d sessions, %v; want some", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".session"), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			play(t, installation.New(t,
				installation.Host{Name: "store1", IP: "127.0.1.3", Devices: []mogile.DevID{1, 2}, Usage: &diskBefore},
				installation.Host{Name: "store2", IP: "127.0.1.4", Devices: []mogile.DevID{3}, Usage: &diskBefore}), file, string(text))
		})
	}
}

func compare(t *testing.T, file, want, got string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("differs (-%s +got):\n%s", file, diff)
	}
}

// replay runs a session's commands, asking a tracker. Comments stay.
func replay(t *testing.T, in *installation.Installation, tracker, session string) string {
	t.Helper()
	var b strings.Builder
	for line := range strings.Lines(session) {
		if strings.HasPrefix(line, "# ") {
			b.WriteString(line)
		}
		command, ok := strings.CutPrefix(line, "$ ")
		if !ok {
			continue
		}
		words := split(t, strings.TrimSpace(command))
		env := cli.Env{Program: words[0]}
		if !strings.Contains(command, "--trackers") {
			env.SystemConfig = filepath.Join(t.TempDir(), "mogilefs.conf")
			if err := os.WriteFile(env.SystemConfig, []byte("trackers = "+tracker+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		for i := range words {
			words[i] = strings.ReplaceAll(words[i], "TRACKER", tracker)
		}
		stdout, stderr, code := run(t, env, words[1:]...)
		b.WriteString(line)
		b.WriteString(stdout)
		for line := range strings.Lines(stderr) {
			b.WriteString("2> " + line)
		}
		if code != 0 {
			fmt.Fprintf(&b, "[%d]\n", code)
		}
		b.WriteString("\n")
	}
	got := strings.ReplaceAll(b.String(), tracker, "TRACKER")
	for i, n := range in.Nodes {
		got = strings.ReplaceAll(got, fmt.Sprint(n.Port), fmt.Sprintf("PORT%d", i+1))
	}
	return strings.TrimSuffix(got, "\n")
}

// split splits words as a shell does, as far as sessions need it.
func split(t *testing.T, line string) []string {
	t.Helper()
	var words []string
	for rest := line; rest != ""; rest = strings.TrimLeft(rest, " ") {
		var word strings.Builder
		for rest != "" && rest[0] != ' ' {
			if rest[0] != '\'' {
				word.WriteByte(rest[0])
				rest = rest[1:]
				continue
			}
			quoted, after, ok := strings.Cut(rest[1:], "'")
			if !ok {
				t.Fatalf("no closing quote: %s", line)
			}
			word.WriteString(quoted)
			rest = after
		}
		words = append(words, word.String())
	}
	return words
}
