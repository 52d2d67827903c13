package takeover

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/mogilefs/caddy-mogilefs/tests/legacy"
)

var (
	// question is SQL of the page about taking over, answer a row of the table below it.
	question = regexp.MustCompile("(?s)```sql\n(SELECT (CHARSET|encode).*?;)\n```")
	answer   = regexp.MustCompile("(?m)^\\| (`.*`) \\| `([0-9A-F]+)` \\| `(\\w+)` \\|$")
)

// umlautFID is the file with the key that has an ü; all installations have it.
const umlautFID = 23

// TestThePageTellsTheCharsetOfTheOldTracker asks databases what docs/takeover.md tells
// operators to ask, and looks the answer up in its table.
func TestThePageTellsTheCharsetOfTheOldTracker(t *testing.T) {
	page, err := os.ReadFile("../../docs/takeover.md")
	if err != nil {
		t.Fatal(err)
	}
	questions := map[string]string{}
	for _, m := range question.FindAllStringSubmatch(string(page), -1) {
		questions[m[2]] = m[1]
	}
	for name, v := range map[string]legacy.Variant{
		"utf8mb4": {Kind: legacy.MySQL}, "latin1 connections": {Kind: legacy.MySQL, Session: "latin1"},
		"latin1 tables": {Kind: legacy.MySQL, How: legacy.Latin1}, "latin1": {Kind: legacy.MySQL, How: legacy.Latin1, Session: "latin1"},
	} {
		charset, stored := ask(t, v, questions["CHARSET"])
		var told string
		for _, row := range answer.FindAllStringSubmatch(string(page), -1) {
			if strings.Contains(row[1], "`"+charset+"`") && bytes.Contains(decoded(t, stored), decoded(t, row[2])) {
				told += row[3]
			}
		}
		if want := cmp.Or(v.Session, "utf8mb4"); told != want {
			t.Errorf("%s: %s of %s: got %q out of the table; want %s", name, stored, charset, told, want)
		}
	}
	if stored, _ := ask(t, legacy.Variant{Kind: legacy.Postgres}, questions["encode"]); !strings.Contains(stored, "c383c2bc") {
		t.Errorf("PostgreSQL: got %q; want an ü in it that became two characters", stored)
	}
}

func decoded(t *testing.T, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// ask is a question about one file, and the columns of the answer before its fid.
func ask(t *testing.T, v legacy.Variant, text string) (first, second string) {
	t.Helper()
	text = strings.Replace(text, "WHERE", fmt.Sprintf("WHERE fid = %d AND", umlautFID), 1)
	var fid int
	into := []any{&first, &second, &fid}
	if v.Kind == legacy.Postgres {
		into = []any{&first, &fid}
	}
	if err := legacy.New(t, v).SQL.QueryRowContext(t.Context(), text).Scan(into...); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return first, second
}
