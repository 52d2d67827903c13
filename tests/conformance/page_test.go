package conformance

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/storage-conformance.md anew")

const (
	page = "../../docs/storage-conformance.md"
	spec = "../../docs/spec/storage-node.md"
)

// preface is the text of the page before its tables.
const preface = `# Conformance of the storage node

Every row of [storage-node.md](spec/storage-node.md), sections 2 to 4, and the test that holds it. The rows stand in
` + "`tests/conformance`, from which `go test ./tests/conformance -run TestThePage -update`" + ` writes this page.

A row with ` + "`TestNode`" + ` is asked of a node of ours, in a process of its own and over real connections, and can be asked of any other:

` + "```sh" + `
go test -v ./tests/conformance -run TestNode -node http://10.0.0.5:7500 -management 10.0.0.5:7501 -device 1
` + "```" + `

There, what differs from ours on purpose is told and does not fail. What is put is deleted again, and lies where no tracker's fids are:
the last thousand of those with ten digits. Empty directories stay. Rows that would end a node are left out. A tracker of the node
that has given out such fids would have files there, and those are left alone. nginx with its DAV module, for one, fails the rows about
Content-MD5, unknown devices, bad characters, MKCOL and the usage file.

The other tests are beside the code.
`

// titles of sections, as they are on the page.
var titles = map[string]string{
	"2.1": "2.1 General", "2.2": "2.2 GET, HEAD", "2.3": "2.3 PUT", "2.4": "2.4 DELETE", "2.5": "2.5 Other methods",
	"2.6": "2.6 What trackers send", "3": "3 The side channel", "3.1": "3.1 The stream of utilisation", "4": "4 The usage file",
}

func render() string {
	var b strings.Builder
	b.WriteString(preface)
	section := ""
	for _, r := range allRows() {
		if r.section != section {
			section = r.section
			fmt.Fprintf(&b, "\n## %s\n\n| item | what is held | where the references differ | test |\n|---|---|---|---|\n", titles[section])
		}
		tests := r.tests
		if r.ask != nil {
			tests = append([]string{"TestNode"}, tests...)
		}
		differs := r.differs
		if differs == "" {
			differs = "–"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | `%s` |\n", r.item, r.held, differs, strings.Join(tests, "`, `"))
	}
	return b.String()
}

func TestThePageHasTheRows(t *testing.T) {
	if *update {
		if err := os.WriteFile(page, []byte(render()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != render() {
		t.Errorf("docs/storage-conformance.md is not what the rows say: run go test ./tests/conformance -run TestThePage -update")
	}
}

// heading is that of a section with a number.
var heading = regexp.MustCompile(`^#+ ([\d.]*\d)\.? `)

// itemsOf is the first cells of the tables of a page, by section.
func itemsOf(t *testing.T, file string) map[string][]string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	items, section, header := map[string][]string{}, "", true
	for line := range strings.Lines(string(text)) {
		if m := heading.FindStringSubmatch(line); m != nil {
			section = m[1]
		}
		switch {
		case !strings.HasPrefix(line, "|"):
			header = true
		case strings.HasPrefix(line, "|---"):
			header = false
		case !header:
			cell, _, _ := strings.Cut(line[1:], "|")
			items[section] = append(items[section], strings.TrimSpace(cell))
		}
	}
	return items
}

func TestEveryRowOfTheSpecificationHasOneHere(t *testing.T) {
	count := 0
	for section, items := range itemsOf(t, spec) {
		if titles[section] == "" {
			continue
		}
		for _, item := range items {
			count++
			if !slices.ContainsFunc(allRows(), func(r row) bool { return r.section == section && r.item == item }) {
				t.Errorf("storage-node.md §%s has the row %q, which has none here", section, item)
			}
		}
	}
	if count < 65 {
		t.Errorf("got %d rows out of storage-node.md; want them all", count)
	}
}

func TestEveryRowIsHeldByATestThatExists(t *testing.T) {
	known, seen := allTests(t), map[string]bool{}
	for _, r := range allRows() {
		if seen[r.name()] {
			t.Errorf("%s stands twice", r.name())
		}
		seen[r.name()] = true
		if titles[r.section] == "" || r.held == "" || r.ask == nil && len(r.tests) == 0 {
			t.Errorf("%s: want a section, what is held and a test", r.name())
		}
		for _, test := range r.tests {
			if !known[test] {
				t.Errorf("%s: there is no %s", r.name(), test)
			}
		}
	}
}

// allTests is the names of all tests and fuzz tests of the repository.
func allTests(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	declared := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	err := filepath.WalkDir("../..", func(path string, entry os.DirEntry, err error) error {
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
