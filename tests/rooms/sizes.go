package rooms

import (
	"fmt"
	"go/ast"
	"go/token"
	"path"
	"slices"
	"strings"
)

// The sizes beyond which code needs to be taken apart. What is aimed at is far
// below: functions of 12 lines, files of 80 to 300.
const (
	maxFuncLines     = 100
	maxFileLines     = 800
	maxTestFileLines = 1200
	maxRoomLines     = 2500
	maxLargeLines    = 7000
)

// largeRooms may be up to maxLargeLines long, for the reason that stands here.
var largeRooms = map[string]string{
	"tracker/store/sqlstore": "three dialects share each statement; a door between statements and dialects " +
		"would make public what only they may touch: transactions, conflicts, sequences",
	"caddymodule": "every module of Caddy's is one type with its Caddyfile words, and all of them share the pool " +
		"that outlives a reload; what knows no Caddy belongs elsewhere already",
}

// checkSizes finds functions, files and packages that have grown too long. Tests
// may have long functions, as tables of cases are.
func checkSizes(h *house) []string {
	var breaches []string
	rooms := map[string]int{}
	for _, f := range h.files {
		lines := h.lines(f.ast.FileStart, f.ast.FileEnd)
		limit := maxTestFileLines
		if f.product() {
			limit = maxFileLines
			rooms[f.room] += lines
			breaches = append(breaches, h.longFuncs(f)...)
		}
		if lines > limit {
			breaches = append(breaches, h.breach(f.ast.Package, "the file has %d lines, at most %d are bearable (aim at 80 to 300): split it by noun or verb", lines, limit))
		}
	}
	for room, lines := range rooms {
		limit := maxRoomLines
		if largeRooms[room] != "" {
			limit = maxLargeLines
		}
		if lines > limit {
			breaches = append(breaches, fmt.Sprintf("%s has grown beyond %d lines without tests (aim at 150 to 600): split it by noun", room, limit))
		}
	}
	return breaches
}

func (h *house) longFuncs(f *file) []string {
	var breaches []string
	for _, d := range f.ast.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok {
			continue
		}
		if lines := h.lines(fn.Pos(), fn.End()); lines > maxFuncLines {
			breaches = append(breaches, h.breach(fn.Pos(), "%s has %d lines, at most %d are bearable (aim at 12, look again at 45): name its parts", fn.Name.Name, lines, maxFuncLines))
		}
	}
	return breaches
}

func (h *house) lines(from, to token.Pos) int {
	return h.fset.Position(to).Line - h.fset.Position(from).Line + 1
}

// badNames are package names that say nothing about what is inside.
var badNames = []string{
	"base", "common", "helper", "helpers", "manager", "misc", "shared", "types", "util", "utils",
}

// checkNames finds packages named for nothing.
func checkNames(h *house) []string {
	var breaches []string
	for _, f := range h.files {
		for _, name := range []string{strings.TrimSuffix(f.ast.Name.Name, "_test"), path.Base(f.room)} {
			if slices.Contains(badNames, name) {
				breaches = append(breaches, h.breach(f.ast.Package, "package %s says nothing: name it for its noun, or put the code where it is used", name))
				break
			}
		}
	}
	return breaches
}
