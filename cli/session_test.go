package cli_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
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
			hosts := []installation.Host{
				{Name: "store1", IP: "127.0.1.3", Devices: []mogile.DevID{1, 2}, Usage: &diskBefore},
				{Name: "store2", IP: "127.0.1.4", Devices: []mogile.DevID{3}, Usage: &diskBefore},
			}
			if strings.HasPrefix(string(text), "# One device") {
				hosts[0].Devices, hosts = hosts[0].Devices[:1], hosts[:1]
			}
			play(t, installation.New(t, hosts...), file, string(text))
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
	dir := localFiles(t)
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
		if command, ok := tools[words[0]]; ok {
			words = append([]string{"", command}, words[1:]...)
		}
		if !strings.Contains(command, "--trackers") {
			env.SystemConfig = filepath.Join(t.TempDir(), "mogilefs.conf")
			if err := os.WriteFile(env.SystemConfig, []byte("trackers = "+tracker+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		for i := range words {
			words[i] = strings.NewReplacer("TRACKER", tracker, "DIR", dir).Replace(words[i])
		}
		if slices.Contains(words, "debug") {
			in.AwaitJobs() // it shows the rows of queues
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
	got := strings.NewReplacer(tracker, "TRACKER", dir, "DIR").Replace(b.String())
	got = modified.ReplaceAllString(got, "Last-Modified: WHEN")
	for i, n := range in.Nodes {
		got = strings.ReplaceAll(got, fmt.Sprint(n.Port), fmt.Sprintf("PORT%d", i+1))
	}
	return strings.TrimSuffix(got, "\n")
}

var modified = regexp.MustCompile(`Last-Modified: .*`)

// tools are the old commands, and what they are now.
var tools = map[string]string{
	"mogupload": "upload", "mogfetch": "fetch", "mogdelete": "rm", "mogrename": "mv", "moglistkeys": "ls",
	"moglistfids": "fids", "mogfileinfo": "info", "mogfiledebug": "debug",
}

// localFiles is a directory with files to upload.
func localFiles(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"hello.txt": "hello\n", "empty": "", "photos/a.jpg": "a photo", "photos/2024/b.jpg": "another photo",
	} {
		writeFile(t, filepath.Join(dir, filepath.FromSlash(name)), text)
	}
	return dir
}

func writeFile(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
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
