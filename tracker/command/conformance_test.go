package command

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/mogilefs/caddy-mogilefs/tracker/protocol"
)

// conformance is one row of docs/conformance.md.
type conformance struct {
	command string // or any
	// tokens are what stands in backquotes: name= is an argument, a code an error.
	tokens []string
	tests  []string
	line   string
}

var quoted = regexp.MustCompile("`([^`]+)`")

func conformanceTable(t *testing.T) (rows []conformance) {
	t.Helper()
	page, err := os.ReadFile("../../docs/conformance.md")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(page)) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "|") || strings.HasPrefix(line, "|---") || strings.HasPrefix(line, "| command |") {
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		if len(cells) != 4 || slices.ContainsFunc(cells, func(c string) bool { return strings.TrimSpace(c) == "" }) {
			t.Errorf("row %q: want four cells, none of them empty", line)
			continue
		}
		rows = append(rows, conformance{
			command: strings.Trim(cells[0], " `"), tokens: backquoted(cells[1]), tests: backquoted(cells[3]), line: line,
		})
	}
	if len(rows) < 300 {
		t.Fatalf("got %d rows out of docs/conformance.md; want them all", len(rows))
	}
	return rows
}

func backquoted(cell string) (words []string) {
	for _, m := range quoted.FindAllStringSubmatch(cell, -1) {
		words = append(words, m[1])
	}
	return words
}

func TestEveryCommandStandsInTheConformanceTable(t *testing.T) {
	seen := map[string]bool{}
	for _, row := range conformanceTable(t) {
		seen[row.command] = true
		_, known := table[row.command]
		if !known && row.command != "any" && row.command != "plugin_*" && row.command[0] != '!' {
			t.Errorf("row %q: there is no such command", row.line)
		}
	}
	operators := []string{
		"!version", "!stats", "!jobs", "!want", "!to", "!queue", "!recent", "!watch", "!help", "!shutdown",
	}
	for _, name := range slices.AppendSeq(operators, maps.Keys(table)) {
		if !seen[name] {
			t.Errorf("docs/conformance.md has no row for %s", name)
		}
	}
}

// TestEveryCodeStandsInTheConformanceTable reads the codes out of the source.
func TestEveryCodeStandsInTheConformanceTable(t *testing.T) {
	seen := map[string]bool{}
	for _, row := range conformanceTable(t) {
		for _, token := range row.tokens {
			seen[token] = true
		}
	}
	for code := range knownCodes(t) {
		if !seen[string(code)] {
			t.Errorf("docs/conformance.md has no row for the code %s", code)
		}
	}
}

func knownCodes(t *testing.T) map[protocol.Code]bool {
	t.Helper()
	source, err := os.ReadFile("../protocol/code.go")
	if err != nil {
		t.Fatal(err)
	}
	codes := map[protocol.Code]bool{}
	for _, m := range regexp.MustCompile(`Code += "([a-z_]+)"`).FindAllStringSubmatch(string(source), -1) {
		codes[protocol.Code(m[1])] = true
	}
	if len(codes) < 60 {
		t.Fatalf("got %d codes; want them all", len(codes))
	}
	return codes
}

func TestEveryTestOfTheConformanceTableExists(t *testing.T) {
	tests := allTests(t)
	for _, row := range conformanceTable(t) {
		if len(row.tests) == 0 {
			t.Errorf("row %q names no test", row.line)
		}
		for _, test := range row.tests {
			_, err := os.Stat("../testdata/" + test)
			if session := strings.HasSuffix(test, ".session"); session && err != nil || !session && !tests[test] {
				t.Errorf("row %q: there is no %s", row.line, test)
			}
		}
	}
}

// allTests is the names of all tests and fuzz tests of the repository.
func allTests(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	declared := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	err := filepath.WalkDir("../..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		for _, m := range declared.FindAllSubmatch(source, -1) {
			names[string(m[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// exchange is a request of a session with its answer.
type exchange struct{ command, args, answer string }

func exchanges(t *testing.T, session string) (all []exchange) {
	t.Helper()
	text, err := os.ReadFile("../testdata/" + session)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		switch {
		case strings.HasPrefix(line, "> "):
			name, args, _ := strings.Cut(strings.Trim(line[2:], `" `), " ")
			all = append(all, exchange{command: strings.ToLower(name), args: "&" + args})
		case strings.HasPrefix(line, "< ") && len(all) > 0 && all[len(all)-1].answer == "": // not what an act showed
			all[len(all)-1].answer = line[2:]
		}
	}
	return all
}

// A row that says that an argument or an error is held by a session has one that has it.
func TestSessionsHoldWhatTheConformanceTableSays(t *testing.T) {
	codes := knownCodes(t)
	for _, row := range conformanceTable(t) {
		var said []exchange
		for _, test := range row.tests {
			if strings.HasSuffix(test, ".session") {
				said = append(said, exchanges(t, test)...)
			}
		}
		if len(said) == 0 {
			continue
		}
		said = slices.DeleteFunc(said, func(e exchange) bool { return !row.about(e.command) })
		if len(said) == 0 {
			t.Errorf("row %q: none of its sessions has the command", row.line)
		}
		for _, token := range row.tokens {
			if !slices.ContainsFunc(said, func(e exchange) bool { return e.has(token, codes) }) {
				t.Errorf("row %q: none of its sessions has %s", row.line, token)
			}
		}
	}
}

func (c conformance) about(command string) bool {
	prefix, family := strings.CutSuffix(c.command, "*")
	return c.command == "any" || command == c.command || family && strings.HasPrefix(command, prefix)
}

func (e exchange) has(token string, codes map[protocol.Code]bool) bool {
	switch {
	case strings.HasSuffix(token, "="):
		return strings.Contains(e.args, "&"+token)
	case codes[protocol.Code(token)]:
		return strings.HasPrefix(e.answer, "ERR "+token+" ")
	default:
		return strings.Contains(e.args+e.answer, token)
	}
}
