package protocol_test

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
	"testing"

	"github.com/mogilefs/caddy-mogilefs/tracker/protocol"
)

// codes reads every constant of type Code out of the source, so that a new one
// can't be forgotten here.
func codes(t *testing.T) []protocol.Code {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), "code.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var all []protocol.Code
	ast.Inspect(parsed, func(n ast.Node) bool {
		spec, isSpec := n.(*ast.ValueSpec)
		if !isSpec || len(spec.Values) != 1 {
			return true
		}
		if lit, isLit := spec.Values[0].(*ast.BasicLit); isLit && lit.Kind == token.STRING {
			s, err := strconv.Unquote(lit.Value)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, protocol.Code(s))
		}
		return true
	})
	if len(all) < 50 {
		t.Fatalf("got %d codes out of code.go; want them all", len(all))
	}
	return all
}

func TestNoTextContainsACodeThatClientsLookForAnywhere(t *testing.T) {
	looked := []string{"unknown_key", "unknown_command", "key_exists", "unreg_class", "class_not_found", "none_match"}
	for _, c := range codes(t) {
		line := "ERR " + string(c) + " " + c.Text()
		for _, word := range looked {
			if string(c) != word && strings.Contains(line, word) {
				t.Errorf("the line %q contains the code %s", line, word)
			}
		}
	}
}

func TestCodesAreLowerCaseWords(t *testing.T) {
	seen := map[protocol.Code]bool{}
	for _, c := range codes(t) {
		if strings.Trim(string(c), "abcdefghijklmnopqrstuvwxyz_") != "" {
			t.Errorf("code %q: want lower-case letters and _", c)
		}
		if seen[c] {
			t.Errorf("code %q stands there twice", c)
		}
		seen[c] = true
	}
}

func TestErrorsAreFoundByTheirCode(t *testing.T) {
	err := fmt.Errorf("outer: %w", protocol.Fail(protocol.UnknownKey))
	if !errors.Is(err, protocol.UnknownKey) {
		t.Errorf("errors.Is(%v, UnknownKey): got false; want true", err)
	}
	if errors.Is(err, protocol.NoKey) {
		t.Errorf("errors.Is(%v, NoKey): got true; want false", err)
	}
	var e *protocol.Error
	if !errors.As(err, &e) || e.Code != protocol.UnknownKey {
		t.Errorf("errors.As(%v): got %v; want the error with code unknown_key", err, e)
	}
	if got := protocol.DB.Error(); got != "db" {
		t.Errorf("DB.Error(): got %q; want db", got)
	}
	if got, want := protocol.Fail(protocol.DB).Error(), "db: Database error"; got != want {
		t.Errorf("Error(): got %q; want %q", got, want)
	}
}
