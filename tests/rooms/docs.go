package rooms

import (
	"fmt"
	"go/ast"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
)

// checkPackageDocs wants one package comment in each package, which begins with
// the package's name. A package of tests only may have it in a _test.go file.
func checkPackageDocs(h *house) []string {
	count := map[string]int{}
	var breaches []string
	for _, f := range h.files {
		doc := f.ast.Doc.Text()
		if doc == "" || strings.HasSuffix(f.ast.Name.Name, "_test") {
			count[f.room] += 0 // the room is there
			continue
		}
		count[f.room]++
		want := "Package " + f.ast.Name.Name + " "
		if f.ast.Name.Name == "main" {
			want = "Command " + path.Base(f.room) + " "
		}
		if !strings.HasPrefix(doc, want) {
			breaches = append(breaches, h.breach(f.ast.Package, "the package comment must begin with %q", want))
		}
	}
	for _, room := range slices.Sorted(maps.Keys(count)) {
		if n := count[room]; n != 1 {
			breaches = append(breaches, fmt.Sprintf("%s has %d package comments: write one, in doc.go when it is longer than a screen", room, n))
		}
	}
	return breaches
}

// link is a Markdown link; its first group is the target without title.
var link = regexp.MustCompile(`\]\(([^)\s]+)[^)]*\)`)

// checkLinks follows the relative links of the README, CONTRIBUTING and docs.
func checkLinks(h *house) []string {
	return h.eachPage(func(name, text string) (breaches []string) {
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			if why := h.dead(name, m[1]); why != "" {
				breaches = append(breaches, fmt.Sprintf("%s: link %s: %s", name, m[1], why))
			}
		}
		return breaches
	})
}

// namedTest is the name of a test in backquotes. TestX stands for any.
var namedTest = regexp.MustCompile("`((?:Test|Fuzz)[A-Z]\\w+)`")

// checkNamedTests looks up the tests that pages name, but for those of docs/spec, which
// are of other programs.
func checkNamedTests(h *house) []string {
	there := map[string]bool{}
	for _, f := range h.files {
		for _, decl := range f.ast.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok && f.test && fn.Recv == nil {
				there[fn.Name.Name] = true
			}
		}
	}
	return h.eachPage(func(name, text string) (breaches []string) {
		if strings.HasPrefix(name, "docs/spec/") {
			return nil
		}
		for _, m := range namedTest.FindAllStringSubmatch(text, -1) {
			if !there[m[1]] {
				breaches = append(breaches, fmt.Sprintf("%s: there is no such test as %s: name the one that holds it", name, m[1]))
			}
		}
		return breaches
	})
}

// eachPage has every Markdown page checked.
func (h *house) eachPage(check func(name, text string) []string) []string {
	var breaches []string
	err := fs.WalkDir(h.root, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && ignored(name):
			return fs.SkipDir
		case entry.IsDir() || path.Ext(name) != ".md":
			return nil
		}
		text, err := fs.ReadFile(h.root, name)
		if err != nil {
			return err
		}
		breaches = append(breaches, check(name, string(text))...)
		return nil
	})
	if err != nil {
		breaches = append(breaches, err.Error())
	}
	return breaches
}

// dead says why a link from a page leads nowhere; empty when it does not, or when
// it leaves the tree.
func (h *house) dead(page, target string) string {
	if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
		return ""
	}
	to, fragment, _ := strings.Cut(target, "#")
	if to == "" {
		to = path.Base(page)
	}
	to = path.Join(path.Dir(page), to)
	text, err := fs.ReadFile(h.root, to)
	if info, statErr := fs.Stat(h.root, to); statErr == nil && info.IsDir() && fragment == "" {
		return ""
	}
	if err != nil {
		return "there is no such file: correct it, or remove the link"
	}
	if fragment != "" && !slices.Contains(anchors(string(text)), fragment) {
		return "the page has no such heading: correct it, or remove the fragment"
	}
	return ""
}

var heading = regexp.MustCompile(`(?m)^#+ +(.*)$`)

// anchors is the fragments that the headings of a page can be reached by.
func anchors(page string) []string {
	var names []string
	for _, m := range heading.FindAllStringSubmatch(page, -1) {
		name := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-' || r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r > 0x7f:
				return r
			}
			return -1
		}, strings.ToLower(m[1]))
		names = append(names, name)
	}
	return names
}

// specRef is a mention of a page of docs/spec with the sections named after it,
// as in docs/spec/schema.md §5.7 and §7.1.
var (
	specRef = regexp.MustCompile(`docs/spec/([\w.-]+\.md)((?:,? (?:and )?§[\d.]*\d)*)`)
	section = regexp.MustCompile(`§([\d.]*\d)`)
)

// checkSpecRefs looks up the pages and sections of docs/spec that Go comments
// mention.
func checkSpecRefs(h *house) []string {
	var breaches []string
	for _, f := range h.files {
		for _, group := range f.ast.Comments {
			text := strings.Join(strings.Fields(group.Text()), " ")
			for _, ref := range specRef.FindAllStringSubmatch(text, -1) {
				if why := h.missing(ref[1], ref[2]); why != "" {
					breaches = append(breaches, h.breach(group.Pos(), "%s", why))
				}
			}
		}
	}
	return breaches
}

// missing says what of a mention does not exist; empty when all does.
func (h *house) missing(page, sections string) string {
	text, err := fs.ReadFile(h.root, "docs/spec/"+page)
	if err != nil {
		return fmt.Sprintf("docs/spec/%s does not exist: name the page that has the fact", page)
	}
	for _, m := range section.FindAllStringSubmatch(sections, -1) {
		if !hasSection(string(text), m[1]) {
			return fmt.Sprintf("docs/spec/%s has no §%s: name the section that has the fact", page, m[1])
		}
	}
	return ""
}

// hasSection reports whether a page has a heading with the number, or an item
// with its last part in the section before: §1.11 is item 11 of section 1.
func hasSection(page, number string) bool {
	if _, ok := sectionText(page, number); ok {
		return true
	}
	i := strings.LastIndexByte(number, '.')
	if i < 0 {
		return false
	}
	text, ok := sectionText(page, number[:i])
	return ok && strings.Contains(text, "\n"+number[i+1:]+". ")
}

// sectionText is what follows the heading with a number, up to the next heading.
func sectionText(page, number string) (string, bool) {
	start := regexp.MustCompile(`(?m)^#+ ` + regexp.QuoteMeta(number) + `\.? .*$`).FindStringIndex(page)
	if start == nil {
		return "", false
	}
	text := page[start[1]:]
	if end := heading.FindStringIndex(text); end != nil {
		text = text[:end[0]]
	}
	return text, true
}
