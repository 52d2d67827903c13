package rooms

import (
	"go/ast"
	"path"
	"strings"
)

// rowOf finds the row of a room; test packages beside the code share their room's.
func rowOf(room string) (row, bool) {
	if r, ok := table[room]; ok {
		return r, true
	}
	for dir := room; dir != "."; dir = path.Dir(dir) {
		if r, ok := table[dir+"/..."]; ok {
			return r, true
		}
	}
	return row{}, false
}

// checkDoors holds every import against the table. Test files may import their
// own room, [testLibs] and the rooms in the row's tests beside what the room may.
func checkDoors(h *house) []string {
	var breaches []string
	for _, f := range h.files {
		r, ok := rowOf(f.room)
		if !ok {
			breaches = append(breaches, h.breach(f.ast.Package,
				"room %s is not in the table: add it to tests/rooms/table.go with what it may import", f.room))
			continue
		}
		for _, spec := range f.ast.Imports {
			if why := shut(f, r, spec); why != "" {
				breaches = append(breaches, h.breach(spec.Pos(), "%s must not import %s: %s", f.room, importPath(spec), why))
			}
		}
	}
	return breaches
}

// shut says why an import is forbidden; empty when it is not.
func shut(f *file, r row, spec *ast.ImportSpec) string {
	p := importPath(spec)
	if room, ours := roomOf(p); ours {
		if within(room, r.ours...) || f.test && (room == f.room || within(room, r.tests...)) {
			return ""
		}
		return whyShut(f.room, room)
	}
	if first, _, _ := strings.Cut(p, "/"); !strings.Contains(first, ".") {
		return "" // the standard library; see words.go
	}
	if isLib(p, r.libs) || f.test && isLib(p, testLibs) {
		return ""
	}
	if isLib(p, []string{caddyLib, "github.com/prometheus"}) {
		return "only caddymodule knows Caddy and Prometheus; take a *zap.Logger, a plain struct or an interface of your own"
	}
	return "its row in tests/rooms/table.go does not name that library; use what the row names, or add it there with a reason"
}

// roomOf is the room an import path of ours names.
func roomOf(importPath string) (string, bool) {
	if importPath == module {
		return ".", true
	}
	return strings.CutPrefix(importPath, module+"/")
}

func isLib(p string, libs []string) bool {
	for _, lib := range libs {
		if lib == everything || p == lib || strings.HasPrefix(p, lib+"/") {
			return true
		}
	}
	return false
}

func whyShut(from, to string) string {
	for _, d := range shutDoors {
		if within(from, d.from...) && within(to, d.to...) {
			return d.why
		}
	}
	return ""
}
