package documents

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/mogilefs/caddy-mogilefs/cli"
	"github.com/mogilefs/caddy-mogilefs/tests/process"
)

// oldTools are commands of MogileFS, and what they are here.
var oldTools = map[string]string{
	"mogadm": "", "mogupload": "upload", "mogfetch": "fetch", "mogdelete": "rm", "mogrename": "mv", "moglistkeys": "ls",
	"moglistfids": "fids", "mogfileinfo": "info", "mogfiledebug": "debug", "mogstats": "stats",
}

// strangers are programs of others that pages may name. What they do is not looked at, but
// for files of the repository among their arguments.
var strangers = []string{
	"alias", "cat", "cd", "chmod", "chown", "cmp", "cp", "createdb", "createuser", "curl", "date", "df", "docker", "echo", "export", "find", "git",
	"install", "ip", "kubectl", "ln", "ls", "mariadb", "mariadb-dump", "mkdir", "mkfs.ext4", "mkfs.xfs", "mount", "mv", "nft", "nginx",
	"openssl", "pg_dump", "pg_restore", "printf", "psql", "rm", "rsync", "sha256sum", "sqlite3", "ss", "sudo", "systemctl",
	"systemd-analyze", "tar", "test", "timedatectl", "tr", "useradd", "umount", "xcaddy", "zcat", "gzip", "head", "journalctl", "su", "exec", "nc",
	"pg_basebackup", "blkid", "wg", "sleep", "runuser", "sort", "tail",
}

func TestEveryCommandOfThePagesExists(t *testing.T) {
	caddy := process.PlainBinary(t)
	n := 0
	for _, b := range all(t, "sh") {
		if b.excuse != "" {
			continue
		}
		for _, words := range commands(b.text) {
			n++
			if why := wrong(t, caddy, words); why != "" {
				t.Errorf("%s: %s: %s", b, strings.Join(words, " "), why)
			}
		}
	}
	if n < 20 {
		t.Errorf("got %d commands; want those of all pages", n)
	}
}

// inline is a command in the middle of a sentence.
var inline = regexp.MustCompile("`((?:caddy|mogadm|make|go) [^`\n]+)`")

func TestEveryCommandInTheTextExists(t *testing.T) {
	caddy := process.PlainBinary(t)
	n := 0
	for _, page := range pages(t) {
		text, err := os.ReadFile(filepath.Join(root, page))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range inline.FindAllStringSubmatch(string(text), -1) {
			for _, words := range commands(m[1]) {
				n++
				if why := wrong(t, caddy, words); why != "" {
					t.Errorf("%s: %s: %s", page, m[1], why)
				}
			}
		}
	}
	if n < 10 {
		t.Errorf("got %d commands; want those of all pages", n)
	}
}

// commands takes a script apart into simple commands. It knows as much of the shell as the
// pages need: comments, quotes, lines that go on, pipes, lists, variables set in front,
// and here-documents.
func commands(script string) [][]string {
	var all [][]string
	script = strings.ReplaceAll(script, "\\\n", " ")
	end := ""
	for _, line := range strings.Split(script, "\n") {
		if end != "" {
			if strings.TrimSpace(line) == end {
				end = ""
			}
			continue
		}
		var words []string
		flush := func() {
			for len(words) > 0 && assignment.MatchString(words[0]) {
				words = words[1:]
			}
			if len(words) > 0 {
				all = append(all, words)
			}
			words = nil
		}
		for _, word := range split(line) {
			switch {
			case slices.Contains([]string{"|", "&&", "||", ";"}, word):
				flush()
			case strings.HasPrefix(word, "<<"):
				end = strings.Trim(strings.TrimPrefix(word, "<<"), `'"-`)
			default:
				words = append(words, word)
			}
		}
		flush()
	}
	return all
}

var assignment = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*=`)

// split splits a line into words, without its comment and the prompt.
func split(line string) []string {
	var words []string
	var word strings.Builder
	in, quote := false, rune(0)
	end := func() {
		if in {
			words = append(words, word.String())
		}
		word.Reset()
		in = false
	}
	line = strings.TrimPrefix(strings.TrimSpace(line), "$ ")
	for i, r := range line {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '\'' || r == '"':
			quote, in = r, true
		case r == '#' && !in:
			return words
		case r == ';', r == ')', r == '(', r == '$' && strings.HasPrefix(line[i:], "$("):
			end()
			words = append(words, ";")
		case r == ' ' || r == '\t':
			end()
		default:
			in = true
			word.WriteRune(r)
		}
	}
	end()
	return words
}

// wrong says what is wrong with a command; empty when nothing is.
func wrong(t *testing.T, caddy string, words []string) string {
	t.Helper()
	for i, word := range words[1:] {
		if why := missingFile(word); why != "" && words[i] != ">" { // what is written there need not exist
			return why
		}
	}
	switch name := filepath.Base(words[0]); {
	case name == "sudo" || name == "runuser" || name == "exec":
		rest := slices.Clone(words[1:])
		for len(rest) > 0 && strings.HasPrefix(rest[0], "-") {
			if rest[0] == "-u" {
				rest = rest[1:]
			}
			rest = rest[1:]
		}
		if len(rest) == 0 {
			return "nothing is run"
		}
		return wrong(t, caddy, rest)
	case name == "caddy" && len(words) > 1 && words[1] == "mogilefs":
		return wrongCommand(words[2:])
	case name == "caddy":
		return wrongCaddy(t, caddy, words[1:])
	case oldTools[name] != "":
		return wrongCommand(append([]string{oldTools[name]}, words[1:]...))
	case name == "mogadm":
		return wrongCommand(words[1:])
	case name == "make":
		return wrongTarget(t, words[1:])
	case name == "go":
		return wrongGo(words[1:])
	case slices.Contains(strangers, name), strings.HasPrefix(words[0], "scripts/"), strings.HasPrefix(words[0], "packaging/"):
		return missingFile(words[0])
	}
	return "nobody knows this command: correct it, or name it in tests/documents"
}

// repositoryFile is a word that names a file of the repository.
var repositoryFile = regexp.MustCompile(`^(\./)?(cmd|docs|packaging|scripts|tests|storage|tracker|edge|cache|cli|caddymodule)/|^Caddyfile\.example$`)

func missingFile(word string) string {
	if !repositoryFile.MatchString(word) {
		return ""
	}
	name := strings.TrimSuffix(word, "/...")
	if _, err := os.Stat(filepath.Join(root, name)); err != nil {
		return fmt.Sprintf("there is no %s", name)
	}
	return ""
}

// wrongCommand looks a command up in the tree of caddy mogilefs.
func wrongCommand(words []string) string {
	at, known := cli.Root(nil), cli.Global()
	args, value := 0, false
	for _, word := range words {
		name, isOption := strings.CutPrefix(word, "--")
		switch {
		case value:
			value = false
		case isOption:
			name, _, given := strings.Cut(name, "=")
			i := slices.IndexFunc(append(known, below(at)...), func(o cli.Option) bool { return o.Name == name || o.Alias == name && name != "" })
			if i < 0 {
				return "there is no option --" + name
			}
			value = !given && !append(known, below(at)...)[i].IsSwitch()
		case len(at.Sub) > 0:
			i := slices.IndexFunc(at.Sub, func(sub *cli.Command) bool { return sub.Name == word })
			if i < 0 {
				return "there is no command " + word
			}
			at = at.Sub[i]
			known = append(known, at.Options...)
		default:
			args++
		}
	}
	if many := len(at.Args) > 0 && strings.Contains(at.Args[len(at.Args)-1], "..."); args > len(at.Args) && !many {
		return fmt.Sprintf("it takes %d arguments at most", len(at.Args))
	}
	return ""
}

// below are the options of commands in a group: they may stand before its word.
func below(c *cli.Command) []cli.Option {
	var all []cli.Option
	for _, sub := range c.Sub {
		all = append(append(all, sub.Options...), below(sub)...)
	}
	return all
}

// wrongCaddy asks the real command.
func wrongCaddy(t *testing.T, caddy string, words []string) string {
	t.Helper()
	if len(words) == 0 {
		return ""
	}
	help, err := exec.CommandContext(t.Context(), caddy, words[0], "--help").CombinedOutput()
	if err != nil || !strings.Contains(string(help), "caddy "+words[0]) {
		return "caddy has no command " + words[0]
	}
	for _, word := range words[1:] {
		name, _, _ := strings.Cut(word, "=")
		if strings.HasPrefix(name, "--") && !strings.Contains(string(help), name+" ") {
			return fmt.Sprintf("caddy %s has no option %s", words[0], name)
		}
	}
	return ""
}

func wrongTarget(t *testing.T, words []string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range words {
		if assignment.MatchString(word) {
			continue
		}
		if !regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(word) + `:`).Match(text) {
			return "the Makefile has no target " + word
		}
	}
	return ""
}

// wrongGo looks at what go is asked to do; files were looked up before.
func wrongGo(words []string) string {
	if len(words) == 0 || !slices.Contains([]string{"run", "test", "build", "install", "tool", "vet", "version", "mod"}, words[0]) {
		return "go has no such command"
	}
	return ""
}

func TestWhatIsWrongWithACommandIsFound(t *testing.T) {
	caddy := process.PlainBinary(t)
	for script, want := range map[string]string{
		"caddy mogilefs host add store1 --ip=10.0.0.1 --port 7500": "",
		"A=b caddy mogilefs host frobnicate":                       "no command frobnicate",
		"mogadm --trackers=a,b host list # comment":                "",
		"mogadm host add store1 --colour=red":                      "no option --colour",
		"mogadm host delete a b":                                   "1 arguments",
		"mogupload --key=a --file='b c' --domain=d":                "",
		"sudo -u caddy caddy mogilefs doctor --config=/etc/caddy":  "",
		"sudo -u caddy caddy mogilefs docktor":                     "no command docktor",
		"caddy reload --config /etc/caddy/Caddyfile":               "",
		"caddy reload --configuration x":                           "no option --configuration",
		"caddy relaod":                                             "no command relaod",
		"make build && make wonders":                               "no target wonders",
		"go run ./tests/bench -parts tracker":                      "",
		"go run ./tests/bunch":                                     "no ./tests/bunch",
		"cat <<EOF | caddy adapt\nnot a command\nEOF\nmake lint":   "",
		"curl -T a http://localhost/x \\\n  -o b":                  "",
		"a=$(printf x | mogadm bogus) b=2":                         "no command bogus",
		"blorb":                                                    "nobody knows",
	} {
		why := ""
		for _, words := range commands(script) {
			why += wrong(t, caddy, words)
		}
		if want == "" && why != "" || !strings.Contains(why, want) {
			t.Errorf("%s: got %q; want %q", script, why, want)
		}
	}
}
