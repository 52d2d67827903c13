package rooms

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// module is the path of the root package.
const module = "github.com/mogilefs/caddy-mogilefs"

// house is the parsed tree.
type house struct {
	root  fs.FS
	fset  *token.FileSet
	files []*file
}

// file is one Go file.
type file struct {
	path string // from the root, with slashes
	room string // its directory; "." is the root
	test bool   // _test.go
	ast  *ast.File
	// imports is the import paths by the name the file calls them.
	imports map[string]string
}

// load parses all Go files but those in directories that go ignores.
func load(root fs.FS) (*house, error) {
	h := &house{root: root, fset: token.NewFileSet()}
	err := fs.WalkDir(root, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && ignored(name):
			return fs.SkipDir
		case entry.IsDir() || path.Ext(name) != ".go":
			return nil
		}
		return h.parse(name)
	})
	if err != nil {
		return nil, fmt.Errorf("load the tree: %w", err)
	}
	return h, nil
}

// ignored reports whether a directory has no packages: testdata, what begins with
// a dot, and what .gitignore names.
func ignored(dir string) bool {
	base := path.Base(dir)
	return base == "testdata" || dir == "bin" || dir == "data" || base != "." && base[0] == '.'
}

func (h *house) parse(name string) error {
	text, err := fs.ReadFile(h.root, name)
	if err != nil {
		return err
	}
	parsed, err := parser.ParseFile(h.fset, name, text, parser.ParseComments)
	if err != nil {
		return err
	}
	f := &file{
		path: name, room: path.Dir(name), test: strings.HasSuffix(name, "_test.go"),
		ast: parsed, imports: map[string]string{},
	}
	for _, spec := range parsed.Imports {
		f.imports[importName(spec)] = importPath(spec)
	}
	h.files = append(h.files, f)
	return nil
}

func importPath(spec *ast.ImportSpec) string {
	p, err := strconv.Unquote(spec.Path.Value)
	if err != nil { // the parser has seen to it
		return spec.Path.Value
	}
	return p
}

// importName is what a file calls an import: its alias, or else the last element
// of the path that is not a major version.
func importName(spec *ast.ImportSpec) string {
	if spec.Name != nil {
		return spec.Name.Name
	}
	p := importPath(spec)
	base := path.Base(p)
	if len(base) > 1 && base[0] == 'v' && strings.Trim(base[1:], "0123456789") == "" {
		return path.Base(path.Dir(p))
	}
	return base
}

// breach words a breach at a place in the tree.
func (h *house) breach(at token.Pos, format string, args ...any) string {
	p := h.fset.Position(at)
	return fmt.Sprintf("%s:%d: %s", p.Filename, p.Line, fmt.Sprintf(format, args...))
}

// selector resolves pkg.Name to the import path and the name; ok is false for
// fields and methods, also of a variable that hides the import.
func (f *file) selector(n ast.Node) (pkg, name string, ok bool) {
	sel, isSelector := n.(*ast.SelectorExpr)
	if !isSelector {
		return "", "", false
	}
	x, isIdent := sel.X.(*ast.Ident)
	if !isIdent || x.Obj != nil {
		return "", "", false
	}
	pkg, ok = f.imports[x.Name]
	return pkg, sel.Sel.Name, ok
}

// inspect calls visit for every node of every file that want accepts.
func (h *house) inspect(want func(*file) bool, visit func(*file, ast.Node)) {
	for _, f := range h.files {
		if !want(f) {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			if n != nil {
				visit(f, n)
			}
			return true
		})
	}
}

// product reports whether the file is part of what users run.
func (f *file) product() bool {
	return !f.test && !within(f.room, "tests/...", "tracker/store/storetest", "storage/disk/disktest")
}

// within reports whether room is one of the given rooms; a name that ends in /...
// means what is below it too.
func within(room string, rooms ...string) bool {
	for _, r := range rooms {
		top, below := strings.CutSuffix(r, "/...")
		if r == everything || room == top || below && strings.HasPrefix(room, top+"/") {
			return true
		}
	}
	return false
}
