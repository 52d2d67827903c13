package command

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"strings"
	"testing"

	"github.com/mogilefs/caddy-mogilefs/tracker/protocol"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

// sentinels is all of store/errors.go; see TestSentinelsAreAllHere.
var sentinels = map[string]error{
	"ErrNotFound": store.ErrNotFound, "ErrDup": store.ErrDup, "ErrNoDomain": store.ErrNoDomain,
	"ErrHasFiles": store.ErrHasFiles, "ErrHasClasses": store.ErrHasClasses, "ErrHasDevices": store.ErrHasDevices,
	"ErrLocked": store.ErrLocked, "ErrSchema": store.ErrSchema,
}

func TestSentinelsAreAllHere(t *testing.T) {
	parsed, err := parser.ParseFile(token.NewFileSet(), "../store/errors.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	ast.Inspect(parsed, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok && strings.HasPrefix(spec.Names[0].Name, "Err") {
			seen++
			if _, ok := sentinels[spec.Names[0].Name]; !ok {
				t.Errorf("store.%s is not in the test's list", spec.Names[0].Name)
			}
		}
		return true
	})
	if seen != len(sentinels) {
		t.Errorf("got %d sentinels in store/errors.go; want %d", seen, len(sentinels))
	}
}

func TestEverySentinelHasACodeForEverySubject(t *testing.T) {
	for name, sentinel := range sentinels {
		general, ok := codes[onAnything][sentinel]
		if !ok {
			t.Errorf("store.%s has no code: add it to the row onAnything", name)
		}
		for s := onAnything; s <= onDevice; s++ {
			want, ok := codes[s][sentinel]
			if !ok {
				want = general
			}
			err := s.fail("do it", fmt.Errorf("outer: %w", sentinel))
			var answer *protocol.Error
			switch isAnswer := errors.As(err, &answer); {
			case want == protocol.Failure && isAnswer:
				t.Errorf("store.%s on subject %d: got the answer %v; want an internal error", name, s, err)
			case want == protocol.Failure && !errors.Is(err, sentinel):
				t.Errorf("store.%s on subject %d: got %v; want it to wrap the sentinel", name, s, err)
			case want != protocol.Failure && (!isAnswer || answer.Code != want):
				t.Errorf("store.%s on subject %d: got %v; want %s", name, s, err, want)
			}
		}
	}
}

func TestCodesAreOnlyForSentinels(t *testing.T) {
	known := map[error]bool{}
	for _, sentinel := range sentinels {
		known[sentinel] = true
	}
	for s, row := range codes {
		for sentinel, code := range row {
			if !known[sentinel] {
				t.Errorf("subject %d: %s is for %v; want a sentinel of the store", s, code, sentinel)
			}
		}
	}
}

func TestOtherErrorsKeepTheirCauseAndGetAVerb(t *testing.T) {
	cause := errors.New("disk on fire")
	err := onFile.fail("locate", cause)
	if !errors.Is(err, cause) || err.Error() != "locate: disk on fire" {
		t.Errorf("got %v; want %q", err, "locate: disk on fire")
	}
}
