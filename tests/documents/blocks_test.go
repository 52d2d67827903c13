package documents

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// root is the repository.
const root = "../.."

// block is a fenced block of a page.
type block struct {
	page     string
	line     int
	language string
	text     string
	// excuse is why it is not run, and grammar whether it is a summary.
	excuse  string
	grammar bool
}

func (b block) String() string { return fmt.Sprintf("%s:%d", b.page, b.line) }

var (
	fence = regexp.MustCompile("^( *)```([a-zA-Z]*) *$")
	mark  = regexp.MustCompile(`^<!-- (not run|grammar): .{10,} -->$`)
)

// pages are what people read.
func pages(t *testing.T) []string {
	t.Helper()
	all := []string{"README.md", "CONTRIBUTING.md"}
	for _, dir := range []string{"docs", "packaging"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(name string, entry fs.DirEntry, err error) error {
			switch {
			case os.IsNotExist(err):
				return nil
			case err != nil:
				return err
			case entry.IsDir() && entry.Name() == "spec":
				return fs.SkipDir
			case filepath.Ext(name) == ".md":
				page, err := filepath.Rel(root, name)
				all = append(all, page)
				return err
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// blocks are those of a page.
func blocks(t *testing.T, page string) []block {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, page))
	if err != nil {
		t.Fatal(err)
	}
	found, err := parse(page, string(text))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func parse(page, text string) ([]block, error) {
	var found []block
	var open *block
	before, indent := "", ""
	for i, line := range strings.Split(text, "\n") {
		m := fence.FindStringSubmatch(line)
		switch {
		case m != nil && open == nil:
			indent, open = m[1], &block{page: page, line: i + 1, language: m[2]}
			if e := mark.FindStringSubmatch(strings.TrimSpace(before)); e != nil {
				open.excuse, open.grammar = strings.TrimSpace(before), e[1] == "grammar"
			}
		case m != nil:
			found, open, before = append(found, *open), nil, ""
		case open != nil:
			open.text += strings.TrimPrefix(line, indent) + "\n"
		case strings.TrimSpace(line) != "":
			before = line
		}
	}
	if open != nil {
		return nil, fmt.Errorf("%s: the block has no end", open)
	}
	return found, nil
}

// all are the blocks of all pages in a language.
func all(t *testing.T, language string) []block {
	t.Helper()
	var found []block
	for _, page := range pages(t) {
		for _, b := range blocks(t, page) {
			if b.language == language {
				found = append(found, b)
			}
		}
	}
	return found
}

// languages are those that some test here checks, or that need no check.
var languages = map[string]bool{"caddyfile": true, "sh": true, "sql": true, "json": true, "yaml": true, "text": true, "mermaid": true}

func TestEveryBlockIsCheckedOrSaysWhyNot(t *testing.T) {
	n := 0
	for _, page := range pages(t) {
		for _, b := range blocks(t, page) {
			n++
			switch {
			case b.excuse != "" && b.language == "text":
				t.Errorf("%s: text needs no excuse; remove the comment", b)
			case b.excuse == "" && !languages[b.language]:
				t.Errorf("%s: nobody checks %q: name a language that tests/documents checks, or say why not in a comment before it", b, b.language)
			}
		}
	}
	if n < 30 {
		t.Errorf("got %d blocks; want those of all pages", n)
	}
}

func TestBlocksAreFoundWithTheirComments(t *testing.T) {
	got, err := parse("p", "a\n<!-- not run: needs another machine -->\n\n```sh\nx\n```\n\n* b\n\n  ```sql\n  SELECT 1\n  ```\n```\nplain\n```\n")
	if err != nil || len(got) != 3 {
		t.Fatalf("got %v, %v; want three blocks", got, err)
	}
	if got[0].excuse == "" || got[0].text != "x\n" || got[1].excuse != "" || got[1].text != "SELECT 1\n" || got[2].language != "" {
		t.Errorf("got %+v; want an excuse for the first alone", got)
	}
	if _, err := parse("p", "```sh\n"); err == nil {
		t.Error("a block without an end: got nil; want an error")
	}
}
