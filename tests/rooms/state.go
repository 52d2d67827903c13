package rooms

import (
	"go/ast"
	"go/token"
)

// A reload runs two instances of everything side by side, so nothing may live in
// the package: no variables that change, no init.

// sharedOnPurpose is the variables that may hold what outlives a reload.
var sharedOnPurpose = map[string]string{
	"caddymodule/pool.go":  "the one caddy.UsagePool",
	"console/page/page.go": "files that are embedded, which nothing can change",
}

// checkState finds package variables that change or can, and init functions
// other than those that register Caddy's modules.
func checkState(h *house) []string {
	var breaches []string
	vars := packageVars{names: map[string]bool{}, specs: map[*ast.ValueSpec]bool{}}
	for _, f := range h.files {
		if !f.product() {
			continue
		}
		for _, d := range f.ast.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Name.Name == "init" && d.Recv == nil && f.room != "caddymodule" {
					breaches = append(breaches, h.breach(d.Pos(), "%s must not have an init: do it in New or Open", f.room))
				}
			case *ast.GenDecl:
				breaches = append(breaches, h.checkVars(f, d, vars)...)
			}
		}
	}
	h.inspect((*file).product, func(f *file, n ast.Node) {
		for _, target := range changed(n) {
			if id := root(target); id != nil && vars.has(f.room, id) {
				breaches = append(breaches, h.breach(n.Pos(), "%s changes the package variable %s: make it a field of what a config owns", f.room, id.Name))
			}
		}
	})
	return breaches
}

// packageVars is all package variables: their names with the room before them,
// and their declarations.
type packageVars struct {
	names map[string]bool
	specs map[*ast.ValueSpec]bool
}

func (v packageVars) add(room string, spec *ast.ValueSpec) {
	v.specs[spec] = true
	for _, name := range spec.Names {
		v.names[room+" "+name.Name] = name.Name != "_"
	}
}

// has reports whether an identifier means a package variable of the room. The
// parser resolves what the same file declares; the rest must be of another file.
func (v packageVars) has(room string, id *ast.Ident) bool {
	if id.Obj != nil {
		spec, ok := id.Obj.Decl.(*ast.ValueSpec)
		return ok && v.specs[spec]
	}
	return v.names[room+" "+id.Name]
}

// checkVars remembers the package variables of a declaration in vars, and finds
// those whose kind says that they change.
func (h *house) checkVars(f *file, d *ast.GenDecl, vars packageVars) []string {
	if d.Tok != token.VAR || sharedOnPurpose[f.path] != "" {
		return nil
	}
	var breaches []string
	for _, s := range d.Specs {
		spec := s.(*ast.ValueSpec)
		vars.add(f.room, spec)
		for _, name := range spec.Names {
			if name.Name == "_" {
				continue
			}
			if len(spec.Values) == 0 || mutableKind(f, spec) {
				breaches = append(breaches, h.breach(name.Pos(), "%s keeps state in the package variable %s: make it a field of what a config owns", f.room, name.Name))
			}
		}
	}
	return breaches
}

// mutableKind reports whether a variable is there to change: a channel, or of a
// type of sync or sync/atomic.
func mutableKind(f *file, spec *ast.ValueSpec) bool {
	found := false
	look := func(n ast.Node) bool {
		pkg, _, ok := f.selector(n)
		_, isChan := n.(*ast.ChanType)
		found = found || isChan || ok && (pkg == "sync" || pkg == "sync/atomic")
		_, isFunc := n.(*ast.FuncLit)
		return !isFunc
	}
	if spec.Type != nil {
		ast.Inspect(spec.Type, look)
	}
	for _, v := range spec.Values {
		ast.Inspect(v, look)
	}
	return found
}

// changed lists the expressions that a statement changes.
func changed(n ast.Node) []ast.Expr {
	switch n := n.(type) {
	case *ast.AssignStmt:
		if n.Tok != token.DEFINE {
			return n.Lhs
		}
	case *ast.IncDecStmt:
		return []ast.Expr{n.X}
	case *ast.UnaryExpr:
		if n.Op == token.AND { // whoever gets the address may change it
			return []ast.Expr{n.X}
		}
	case *ast.CallExpr:
		if id, ok := n.Fun.(*ast.Ident); ok && (id.Name == "delete" || id.Name == "clear") && len(n.Args) > 0 {
			return n.Args[:1]
		}
	}
	return nil
}

// root is the identifier that x, x.field or x[i] begins with, or nil.
func root(x ast.Expr) *ast.Ident {
	for {
		switch e := x.(type) {
		case *ast.Ident:
			return e
		case *ast.SelectorExpr:
			x = e.X
		case *ast.IndexExpr:
			x = e.X
		case *ast.StarExpr:
			x = e.X
		case *ast.ParenExpr:
			x = e.X
		default:
			return nil
		}
	}
}
