package edge

import (
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// rows are the rows of a page's tables, from a heading to the next, as cells.
func rows(t *testing.T, page, heading string) (all [][]string) {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	_, part, ok := strings.Cut(string(text), heading+"\n")
	if !ok {
		t.Fatalf("%s has no heading %q", page, heading)
	}
	part, _, _ = strings.Cut(part, "\n#")
	for line := range strings.Lines(part) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "|") && !strings.HasPrefix(line, "|---") {
			cells := strings.Split(strings.Trim(line, "|"), "|")
			for i := range cells {
				cells[i] = strings.TrimSpace(cells[i])
			}
			all = append(all, cells)
		}
	}
	return all
}

// TestErrorsAreThoseOfThePage holds docs/edge.md against the mapping and against the
// errors that the source declares. Whether the tests exist that it names, tests/rooms looks.
func TestErrorsAreThoseOfThePage(t *testing.T) {
	reasons := map[string]error{
		"ErrUnknownKey": ErrUnknownKey, "ErrUnknownDomain": ErrUnknownDomain, "ErrBadRequest": ErrBadRequest,
		"ErrTooLarge": ErrTooLarge, "ErrPrecondition": ErrPrecondition, "ErrNoSpace": ErrNoSpace,
		"ErrNoDevices": ErrNoDevices, "ErrNoCopy": ErrNoCopy, "ErrNotStored": ErrNotStored,
		"ErrForm": ErrForm, "ErrUnavailable": ErrUnavailable, "ErrClientGone": ErrClientGone,
	}
	onPage := map[error]int{}
	for _, cells := range rows(t, "../docs/edge.md", "## Errors") {
		status, err := strconv.Atoi(cells[0])
		if err != nil || len(cells) != 4 {
			continue // the heading, or another table
		}
		if name := strings.Trim(cells[1], "`"); name != "" {
			if reasons[name] == nil {
				t.Errorf("docs/edge.md: there is no error %s", name)
			}
			onPage[reasons[name]] = status
		}
		if !strings.Contains(cells[3], "`Test") {
			t.Errorf("docs/edge.md: no test is named for %q", cells)
		}
	}
	want := map[error]int{ErrUnavailable: 503, ErrClientGone: statusClientGone}
	for _, s := range statuses {
		want[s.reason] = s.status
	}
	for reason, status := range want {
		if onPage[reason] != status {
			t.Errorf("docs/edge.md: got status %d for %q; want %d", onPage[reason], reason, status)
		}
	}
	for name := range declaredErrors(t) {
		if name == "ErrOneCopy" { // no client ever sees it
			continue
		}
		if reasons[name] == nil {
			t.Errorf("%s is declared and is not in this test, so that docs/edge.md may lack it", name)
		}
	}
}

func declaredErrors(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	for _, file := range []string{"errors.go", "tracker.go", "disks.go"} {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(Err[A-Z]\w*) += errors.New`).FindAllStringSubmatch(string(source), -1) {
			names[m[1]] = true
		}
	}
	return names
}

func TestEveryDirectiveOfTheNginxModuleHasItsRow(t *testing.T) {
	ours := map[string]bool{}
	for _, cells := range rows(t, "../docs/from-nginx.md", "## Directives") {
		ours[strings.Trim(cells[0], "`")] = true
	}
	spec := rows(t, "../docs/spec/edge.md", "### 1.1 Directives")
	if len(spec) < 7 {
		t.Fatalf("got %d directives out of docs/spec/edge.md; want them all", len(spec))
	}
	directive := regexp.MustCompile("`([a-z_]+)")
	for _, cells := range spec[1:] {
		for _, m := range directive.FindAllStringSubmatch(cells[0], -1) {
			name := m[1]
			if strings.HasPrefix(name, "_") { // the end of one whose beginning the first has
				name = "mogilefs" + name
			}
			if !ours[name] {
				t.Errorf("docs/from-nginx.md has no row for %s", name)
			}
		}
	}
}

func TestEveryWeaknessOfTheNginxModuleHasItsTest(t *testing.T) {
	tested := map[string]bool{}
	for _, cells := range rows(t, "../docs/from-nginx.md", "## What the module could not do") {
		tested[cells[0]] = len(cells) == 3 && strings.Contains(cells[2], "`Test")
	}
	const weaknesses = 14 // of docs/spec/edge.md §1.6
	for n := range weaknesses {
		if number := strconv.Itoa(n + 1); !tested[number] {
			t.Errorf("docs/from-nginx.md has no row with a test for weakness %s", number)
		}
	}
}
