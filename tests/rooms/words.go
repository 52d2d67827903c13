package rooms

import (
	"go/ast"
	"go/token"
	"regexp"
	"slices"
	"strings"
)

// ban is words of the standard library or of the language that a room does not
// speak.
type ban struct {
	// pkg is an import path; names are what must not be taken from it, nil means
	// that it must not be imported at all, nor what is below it.
	pkg   string
	names []string
	// in is the rooms that it holds for, but not those in except.
	in, except []string
	// tests says that it holds for _test.go files and for tests/... too.
	tests bool
	why   string
}

var (
	all    = []string{everything}
	pure   = []string{"mogile", "tracker/protocol", "tracker/policy", "tracker/fsck", "tracker/rebalance"}
	writes = []string{
		"Chmod", "Create", "CreateTemp", "Link", "Mkdir", "MkdirAll", "MkdirTemp", "OpenFile",
		"Remove", "RemoveAll", "Symlink", "Truncate", "WriteFile",
	}
)

var bans = []ban{
	// For everybody, in tests too.
	{pkg: "time", names: []string{"Sleep"}, in: all, tests: true,
		why: "it guesses how long something takes; wait on a channel, a context or a timer, in tests on process.Eventually"},

	// For everything that runs inside a user's Caddy.
	{pkg: "net/http", names: []string{"DefaultServeMux", "DefaultClient", "DefaultTransport"}, in: all,
		why: "it is shared by the whole process; make one of your own and hand it in"},
	{pkg: "net/http", names: []string{"Get", "Head", "Post", "PostForm", "Handle", "HandleFunc", "ListenAndServe"}, in: all,
		why: "it uses the process-wide client or mux; use a client or mux that was handed in"},
	{pkg: "log", in: all, why: "it is process-wide and can exit; take a *zap.Logger"},
	{pkg: "log/slog", in: all, why: "logging everywhere is a *zap.Logger handed in"},
	{pkg: "os", names: []string{"Exit"}, in: all, except: []string{"cmd/..."},
		why: "it takes the user's whole server down; return an error"},
	{pkg: "os", names: []string{"Getenv", "LookupEnv", "Environ", "Setenv"}, in: all, except: []string{"cmd/...", "caddymodule"},
		why: "settings come from the config only; take a field of your Config"},
	{pkg: "os", names: []string{"Rename"}, in: all, except: []string{"storage/disk"},
		why: "a rename is durable only with the syncs around it; use storage/disk"},
	{pkg: "database/sql", in: all, except: []string{"tracker/store/sqlstore/..."},
		why: "only sqlstore speaks SQL; take a role of tracker/store"},
	{pkg: "testing", in: all,
		why: "it belongs into _test.go files or below tests"},

	// For rooms.
	{pkg: "context", in: pure, why: "the room is pure: it waits for nothing; let the caller keep the context"},
	{pkg: "os", in: pure, why: "the room is pure: no files, no environment; let the caller read"},
	{pkg: "io/fs", in: pure, why: "the room is pure: no files; let the caller read"},
	{pkg: "time", in: pure, why: "the room has no clock; take the time as an argument"},
	{pkg: "sync", in: pure, why: "the room keeps no state; let the caller lock"},
	{pkg: "net/http", in: pure, why: "the room does no I/O; tracker/node and edge speak HTTP"},
	{pkg: "net", in: pure[1:], why: "the room does no I/O; take bytes or facts"},
	{pkg: "math/rand", in: pure, why: "the room is predictable; take random numbers as an argument"},
	{pkg: "math/rand/v2", in: pure, why: "the room is predictable; take random numbers as an argument"},

	{pkg: "net/http", in: []string{"tracker/command", "tracker/crew", "tracker/job", "tracker/monitor", "tracker/store/...", "tracker/topology"},
		why: "talking to storage nodes is tracker/node's work; take an interface that it fulfils"},
	{pkg: "net/http", in: []string{"storage/disk", "storage/sidechannel", "cache"},
		why: "the room knows bytes, not requests; storage and edge speak HTTP"},
	{pkg: "os", names: append([]string{"Open", "ReadFile", "ReadDir", "Stat", "Lstat"}, writes...), in: []string{"storage", "edge"},
		why: "files are storage/disk's work, where they are crash-safe; take what it gives"},
	{pkg: "os", names: writes, in: []string{"tracker", "tracker/command", "tracker/crew", "tracker/job", "tracker/monitor", "tracker/node", "cache"},
		why: "a tracker keeps everything in its store; take a role of tracker/store"},
}

// covers reports whether the ban holds for the file.
func (b ban) covers(f *file) bool {
	return (b.tests || f.product()) && within(f.room, b.in...) && !within(f.room, b.except...)
}

// checkWords holds imports and selectors against the bans.
func checkWords(h *house) []string {
	var breaches []string
	h.inspect(anyFile, func(f *file, n ast.Node) {
		for _, b := range bans {
			if b.covers(f) && b.names == nil && imports(n, b.pkg) {
				breaches = append(breaches, h.breach(n.Pos(), "%s must not import %s: %s", f.room, b.pkg, b.why))
			}
			pkg, name, ok := f.selector(n)
			if ok && b.covers(f) && pkg == b.pkg && slices.Contains(b.names, name) {
				breaches = append(breaches, h.breach(n.Pos(), "%s must not use %s.%s: %s", f.room, pkg, name, b.why))
			}
		}
	})
	return breaches
}

func anyFile(*file) bool { return true }

func imports(n ast.Node, pkg string) bool {
	spec, ok := n.(*ast.ImportSpec)
	return ok && importPath(spec) == pkg
}

// sqlText is the beginning of a statement as people write it.
var sqlText = regexp.MustCompile(`\b(SELECT\s.*\bFROM|INSERT\s+(OR\s+\w+\s+|IGNORE\s+)?INTO|DELETE\s+FROM|UPDATE\s+\w+\s+SET|REPLACE\s+INTO|(CREATE|ALTER|DROP)\s+TABLE)\b`)

// checkText holds string literals against what a room may say.
func checkText(h *house) []string {
	var breaches []string
	h.inspect((*file).product, func(f *file, n ast.Node) {
		lit, ok := n.(*ast.BasicLit)
		if !ok || lit.Kind != token.STRING || within(f.room, "tracker/store/sqlstore/...") {
			return
		}
		if sqlText.MatchString(strings.ReplaceAll(lit.Value, "\n", " ")) {
			breaches = append(breaches, h.breach(n.Pos(), "%s must not speak SQL: put the statement into tracker/store/sqlstore and a method into the role", f.room))
		}
	})
	return breaches
}

// checkCalls holds calls and go statements against the habits: who panics, who
// skips, who owns a goroutine.
func checkCalls(h *house) []string {
	var breaches []string
	h.inspect(anyFile, func(f *file, n ast.Node) {
		switch n := n.(type) {
		case *ast.GoStmt:
			if f.product() {
				breaches = append(breaches, h.breach(n.Pos(), "%s starts a goroutine nobody waits for: use the owner's sync.WaitGroup.Go or an errgroup", f.room))
			}
		case *ast.CallExpr:
			if why := badCall(f, n); why != "" {
				breaches = append(breaches, h.breach(n.Pos(), "%s", why))
			}
		}
	})
	return breaches
}

func badCall(f *file, call *ast.CallExpr) string {
	switch fun := call.Fun.(type) {
	case *ast.Ident:
		if fun.Name == "panic" && fun.Obj == nil && f.product() && !within(f.room, "cmd/...") && !abortsHandler(f, call) {
			return "panic takes other requests down with it: return an error (http.ErrAbortHandler may be panicked with)"
		}
	case *ast.SelectorExpr:
		// A database that is not installed fails the tests of the build machine, in
		// tests/database; only a developer may go without.
		if !f.product() && !within(f.room, "tests/database") && slices.Contains([]string{"Skip", "Skipf", "SkipNow"}, fun.Sel.Name) {
			return "a skipped test proves nothing: make it run everywhere, or remove it"
		}
	}
	return ""
}

func abortsHandler(f *file, call *ast.CallExpr) bool {
	if len(call.Args) != 1 {
		return false
	}
	pkg, name, ok := f.selector(call.Args[0])
	return ok && pkg == "net/http" && name == "ErrAbortHandler"
}
