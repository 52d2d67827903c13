package rooms

import (
	"strings"
	"testing"
	"testing/fstest"
)

// ours shortens the samples.
const ours = `"github.com/mogilefs/caddy-mogilefs/`

// A sample is one file of an otherwise empty tree. Its name says in which room the
// text stands; want is part of the breach it must cause, empty for none.
type sample struct{ name, text, want string }

func TestEveryRuleCatchesItsBreachAndNothingElse(t *testing.T) {
	for check, samples := range map[string][]sample{
		"doors": {
			{"mogile/a.go", `package mogile; import _ ` + ours + `cache"`, "vocabulary"},
			{"edge/a.go", `package edge; import _ ` + ours + `tracker/client"`, "let caddymodule join them"},
			{"storage/a.go", `package storage; import _ ` + ours + `edge"`, "let caddymodule join them"},
			{"tracker/job/a.go", `package job; import _ ` + ours + `storage/disk"`, "let caddymodule join them"},
			{"tracker/job/a.go", `package job; import _ ` + ours + `tracker/command"`, "does not list that"},
			{"tracker/job/a.go", `package job; import _ ` + ours + `tracker/policy"`, ""},
			{"tracker/policy/a.go", `package policy; import _ ` + ours + `tracker/store"`, "facts"},
			{"tracker/fsck/a.go", `package fsck; import _ ` + ours + `tracker/store"`, "gets facts"},
			{"tracker/rebalance/a.go", `package rebalance; import _ ` + ours + `tracker/topology"`, "gets facts"},
			{"tracker/protocol/a.go", `package protocol; import _ ` + ours + `tracker/store"`, "knowing nobody"},
			{"tracker/a.go", `package tracker; import _ ` + ours + `tracker/store/sqlstore"`, "let caddymodule open"},
			{"tracker/a_test.go", `package tracker; import _ ` + ours + `tracker/store/sqlstore"`, ""},
			{"tracker/a_test.go", `package tracker; import _ ` + ours + `tests/database"`, ""},
			{"tracker/a.go", `package tracker; import _ ` + ours + `tests/database"`, "for tests only"},
			{"tracker/job/a_test.go", `package job_test; import _ ` + ours + `tracker/job"`, ""},
			{"tracker/job/a_test.go", `package job_test; import _ ` + ours + `storage"`, "let caddymodule join them"},
			{"edge/a.go", `package edge; import _ ` + ours + `caddymodule"`, "outermost room"},
			{"cache/a.go", `package cache; import _ "github.com/mogilefs/caddy-mogilefs"`, "outermost room"},
			{"caddymodule/a.go", `package caddymodule; import _ ` + ours + `tests/process"`, "for tests only"},
			{"caddymodule/a.go", `package caddymodule; import _ ` + ours + `tracker/store/sqlstore"`, ""},
			{"tests/crash/a_test.go", `package crash; import _ ` + ours + `caddymodule"`, ""},
			{"edge/a.go", `package edge; import _ "github.com/caddyserver/caddy/v2"`, "only caddymodule knows Caddy"},
			{"cache/a.go", `package cache; import _ "github.com/prometheus/client_golang/prometheus"`, "only caddymodule knows"},
			{"cache/a.go", `package cache; import _ "github.com/dgraph-io/ristretto/v2"`, ""},
			{"edge/a.go", `package edge; import _ "github.com/dgraph-io/ristretto/v2"`, "does not name that library"},
			{"edge/a_test.go", `package edge; import _ "pgregory.net/rapid"`, ""},
			{"edge/a.go", `package edge; import _ "pgregory.net/rapid"`, "does not name that library"},
			{"queue/a.go", `package queue`, "not in the table"},
		},
		"words": {
			{"edge/a_test.go", `package edge; import "time"; func f() { time.Sleep(1) }`, "wait on a channel"},
			{"edge/a.go", `package edge; import "time"; func f() { time.Now() }`, ""},
			{"edge/a.go", `package edge; import x "time"; func f() { x.Sleep(1) }`, "wait on a channel"},
			{"edge/a.go", `package edge; type c struct{}; func (c) Sleep() {}; func f(time c) { time.Sleep() }`, ""},
			{"edge/a.go", `package edge; import "net/http"; var c = http.DefaultClient`, "shared by the whole process"},
			{"edge/a_test.go", `package edge; import "net/http"; var c = http.DefaultClient`, ""},
			{"edge/a.go", `package edge; import "net/http"; func f() { http.Get("") }`, "handed in"},
			{"edge/a_test.go", `package edge; import "net/http"; func f() { http.Get("") }`, ""},
			{"cache/a.go", `package cache; import _ "log"`, "*zap.Logger"},
			{"caddymodule/a.go", `package caddymodule; import "os"; func f() { os.Exit(1) }`, "return an error"},
			{"cmd/caddy/a.go", `package main; import "os"; func f() { os.Exit(1) }`, ""},
			{"edge/a.go", `package edge; import "os"; func f() { os.Getenv("") }`, "from the config only"},
			{"storage/sidechannel/a.go", `package sidechannel; import "os"; func f() { os.Rename("", "") }`, "durable"},
			{"storage/disk/a.go", `package disk; import "os"; func f() { os.Rename("", "") }`, ""},
			{"storage/a.go", `package storage; import "os"; func f() { os.Open("") }`, "storage/disk's work"},
			{"storage/a.go", `package storage; import "os"; func f(*os.File) {}`, ""},
			{"tracker/job/a.go", `package job; import _ "database/sql"`, "only sqlstore speaks SQL"},
			{"tracker/policy/a.go", `package policy; import _ "time"`, "no clock"},
			{"tracker/fsck/a.go", `package fsck; import _ "time"`, "no clock"},
			{"tracker/rebalance/a.go", `package rebalance; import _ "math/rand/v2"`, "predictable"},
			{"tracker/protocol/a.go", `package protocol; import _ "context"`, "pure"},
			{"tracker/protocol/a_test.go", `package protocol; import _ "context"`, ""},
			{"mogile/a.go", `package mogile; import _ "net"`, ""},
			{"tracker/command/a.go", `package command; import _ "net/http"`, "tracker/node's work"},
			{"storage/disk/a.go", `package disk; import _ "net/http"`, "bytes, not requests"},
		},
		"text": {
			{"tracker/job/a.go", `package job; const q = "SELECT fid FROM file"`, "must not speak SQL"},
			{"tracker/job/a.go", "package job; const q = `SELECT fid\n FROM file`", "must not speak SQL"},
			{"caddymodule/a.go", `package caddymodule; const q = "INSERT INTO file VALUES (1)"`, "must not speak SQL"},
			{"tracker/store/sqlstore/a.go", `package sqlstore; const q = "SELECT fid FROM file"`, ""},
			{"tests/crash/a_test.go", `package crash; const q = "SELECT fid FROM file"`, ""},
			{"tracker/job/a.go", `package job; const q = "choose one from these"`, ""},
		},
		"calls": {
			{"cache/a.go", `package cache; func f() { go f() }`, "nobody waits for"},
			{"cache/a_test.go", `package cache; func f() { go f() }`, ""},
			{"cache/a.go", `package cache; func f() { panic("no") }`, "return an error"},
			{"edge/a.go", `package edge; import "net/http"; func f() { panic(http.ErrAbortHandler) }`, ""},
			{"tests/database/a.go", `package database; import "testing"; func f(t testing.TB) { t.Skip() }`, ""},
			{"cache/a_test.go", `package cache; import "testing"; func TestF(t *testing.T) { t.Skip() }`, "proves nothing"},
			{"tests/crash/a.go", `package crash; import "testing"; func f(t testing.TB) { t.SkipNow() }`, "proves nothing"},
		},
		"state": {
			{"cache/a.go", `package cache; var n int`, "keeps state"},
			{"cache/a.go", `package cache; import "sync"; var m = &sync.Mutex{}`, "keeps state"},
			{"cache/a.go", `package cache; var c = make(chan int)`, "keeps state"},
			{"cache/a.go", `package cache; var m = map[string]int{}; func f() { m["a"] = 1 }`, "changes the package variable"},
			{"cache/a.go", `package cache; var m = map[string]int{}; func f() { delete(m, "a") }`, "changes the package variable"},
			{"cache/a.go", `package cache; var n = 1; func f() { n++ }`, "changes the package variable"},
			{"cache/a.go", `package cache; var n = 1; func f() *int { return &n }`, "changes the package variable"},
			{"cache/a.go", `package cache; var n = 1; func f() { n := 2; n++ }`, ""},
			{"cache/a.go", `package cache; import "errors"; var ErrNo = errors.New("no")`, ""},
			{"cache/a.go", `package cache; import "io"; type c struct{ io.Reader }; var _ io.Reader = c{}; func f() { _ = 1 }`, ""},
			{"cache/a.go", `package cache; func init() {}`, "must not have an init"},
			{"caddymodule/a.go", `package caddymodule; func init() {}`, ""},
			{"caddymodule/pool.go", `package caddymodule; import "sync"; var pool = new(sync.Map)`, ""},
			{"caddymodule/a.go", `package caddymodule; import "sync"; var pool = new(sync.Map)`, "keeps state"},
		},
		"sizes": {
			{"cache/a.go", "package cache\nfunc f() {" + strings.Repeat("\n", maxFuncLines) + "}", "name its parts"},
			{"cache/a.go", "package cache\nfunc f() {" + strings.Repeat("\n", maxFuncLines-1) + "}", ""},
			{"cache/a_test.go", "package cache\nfunc f() {" + strings.Repeat("\n", maxFuncLines) + "}", ""},
			{"cache/a.go", "package cache" + strings.Repeat("\n", maxFileLines+1), "split it by noun or verb"},
			{"cache/a_test.go", "package cache" + strings.Repeat("\n", maxFileLines+1), ""},
			{"cache/a_test.go", "package cache" + strings.Repeat("\n", maxTestFileLines+1), "split it by noun or verb"},
			{"cache/a.go", "package cache" + strings.Repeat("\n", maxRoomLines+1), "has grown beyond"},
		},
		"names": {
			{"edge/util/a.go", `package util`, "says nothing"},
			{"edge/util/a_test.go", `package wire_test`, "says nothing"},
			{"cache/a_test.go", `package helpers_test`, "says nothing"},
			{"cache/a.go", `package cache`, ""},
		},
		"package comments": {
			{"cache/a.go", "package cache", "has 0 package comments"},
			{"tests/crash/a_test.go", "package crash", "has 0 package comments"},
			{"tests/crash/a_test.go", "// Package crash is nice.\npackage crash", ""},
			{"cache/a_test.go", "package cache_test", "has 0 package comments"},
			{"cache/a.go", "// Cache is nice.\npackage cache", `must begin with "Package cache "`},
			{"cmd/caddy/a.go", "// Package main is nice.\npackage main", `must begin with "Command caddy "`},
			{"cmd/caddy/a.go", "// Command caddy is nice.\npackage main", ""},
			{"cache/a.go", "// Package cache is nice.\npackage cache", ""},
		},
		"tests of pages": {
			{"docs/a.md", "held by `TestNowhere`", "there is no such test"},
			{"docs/spec/a.md", "held by `TestNowhere`", ""},
			{"docs/a.md", "`Testing` is no test, nor is TestNowhere", ""},
		},
		"links": {
			{"README.md", "see [there](docs/no.md)", "there is no such file"},
			{"docs/a.md", "see [itself](a.md)", ""},
			{"docs/a.md", "see [up](../docs/a.md) and [docs](../docs)", ""},
			{"docs/a.md", "see [far](https://example.com/no.md)", ""},
			{"docs/a.md", "## What it does, in short\nsee [above](#what-it-does-in-short)", ""},
			{"docs/a.md", "## What it does\nsee [above](#what-it-did)", "no such heading"},
		},
	} {
		for _, s := range samples {
			expect(t, check, s, fstest.MapFS{s.name: {Data: []byte(s.text)}})
		}
	}
}

func TestMentionsOfTheSpecNeedAPageAndASection(t *testing.T) {
	page := "# Jobs\n\n## 1. Monitor\n\n1. First.\n\n### 1.2 Rules\n\n## 2. Queues\n"
	for _, s := range []sample{
		{"a.go", "package a // docs/spec/jobs.md", ""},
		{"a.go", "package a // docs/spec/jobs.md §1.2 and §2", ""},
		{"a.go", "package a\n\n// As docs/spec/jobs.md\n// §1.1 says.\n", ""},
		{"a.go", "package a // docs/spec/jobs.md §2.1", "has no §2.1"},
		{"a.go", "package a // docs/spec/jobs.md §1, §3", "has no §3"},
		{"a.go", "package a // docs/spec/none.md", "does not exist"},
	} {
		tree := fstest.MapFS{s.name: {Data: []byte(s.text)}, "docs/spec/jobs.md": {Data: []byte(page)}}
		expect(t, "mentions of spec", s, tree)
	}
}

func TestTwoPackageCommentsAreOneTooMany(t *testing.T) {
	comment := &fstest.MapFile{Data: []byte("// Package cache is nice.\npackage cache")}
	for _, second := range []string{"cache/b.go", "cache/a_test.go"} {
		expect(t, "package comments", sample{second, "", "has 2 package comments"},
			fstest.MapFS{"cache/a.go": comment, second: comment})
	}
}

func TestAVariableOfAnotherFileIsKnown(t *testing.T) {
	expect(t, "state", sample{"cache", "", "changes the package variable n"}, fstest.MapFS{
		"cache/a.go": {Data: []byte("package cache; var n = 1")},
		"cache/b.go": {Data: []byte("package cache; func f() { n++ }")},
	})
}

// expect runs one check over a tree and wants the sample's breach, or none.
func expect(t *testing.T, check string, s sample, tree fstest.MapFS) {
	t.Helper()
	h, err := load(tree)
	if err != nil {
		t.Fatalf("load %s: %v", s.name, err)
	}
	got := checks[check](h)
	switch {
	case s.want == "" && len(got) > 0:
		t.Errorf("%s: %s %q: got %q; want none", check, s.name, s.text, got)
	case s.want != "" && !strings.Contains(strings.Join(got, "\n"), s.want):
		t.Errorf("%s: %s %.200q: got %q; want %q in it", check, s.name, s.text, got, s.want)
	}
}
