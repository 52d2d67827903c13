package protocol_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/mogilefs/caddy-mogilefs/tracker/protocol"
)

// specSection is the text of a section of docs/spec/tracker-protocol.md.
func specSection(t *testing.T, number string) string {
	t.Helper()
	page, err := os.ReadFile("../../docs/spec/tracker-protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, found := strings.Cut(string(page), "\n### "+number+" ")
	if !found {
		t.Fatalf("docs/spec/tracker-protocol.md has no section %s", number)
	}
	text, _, _ = strings.Cut(text, "\n##")
	return text
}

// specTexts is the table of the codes with a fixed text.
func specTexts(t *testing.T) map[protocol.Code]string {
	t.Helper()
	fixed := map[protocol.Code]string{}
	for _, row := range regexp.MustCompile(`(?m)^\| ([a-z_]+) \| (.*) \|$`).FindAllStringSubmatch(specSection(t, "4.1"), -1) {
		fixed[protocol.Code(row[1])] = strings.TrimSuffix(row[2], " (never emitted)")
	}
	delete(fixed, "code") // the heading
	fixed["invalid_checker_level"] = "invalid_checker_level"
	return fixed
}

// specCodes is the codes that a section lists.
func specCodes(t *testing.T, number string) []protocol.Code {
	t.Helper()
	var listed []protocol.Code
	for _, word := range regexp.MustCompile("`([a-z_]+)`").FindAllStringSubmatch(specSection(t, number), -1) {
		listed = append(listed, protocol.Code(word[1]))
	}
	return listed
}

func TestFixedTextsAreThoseOfTheSpecification(t *testing.T) {
	fixed := specTexts(t)
	if len(fixed) < 35 {
		t.Fatalf("got %d codes out of section 4.1; want them all", len(fixed))
	}
	known := codes(t)
	for code, text := range fixed {
		if !slices.Contains(known, code) {
			t.Errorf("code.go does not have %s", code)
		}
		if got := code.Text(); got != text {
			t.Errorf("text of %s: got %q; want %q", code, got, text)
		}
	}
}

func TestCodesWithoutATextAreTheirOwn(t *testing.T) {
	known := codes(t)
	for _, section := range []string{"4.2", "4.3"} {
		listed := specCodes(t, section)
		if len(listed) < 10 {
			t.Fatalf("got %d codes out of section %s; want them all", len(listed), section)
		}
		for _, code := range listed {
			if !slices.Contains(known, code) {
				t.Errorf("code.go does not have %s of section %s", code, section)
			}
			// plugin_aborted and failure have a fixed text, too.
			if _, fixed := specTexts(t)[code]; !fixed && code.Text() != string(code) {
				t.Errorf("text of %s: got %q; want the code", code, code.Text())
			}
		}
	}
}

// ours is the codes that the peer does not have, since it does not have what they say.
var ours = []protocol.Code{protocol.NotAllowed}

func TestThereAreNoOtherCodes(t *testing.T) {
	fixed := specTexts(t)
	listed := slices.Concat(ours, specCodes(t, "4.2"), specCodes(t, "4.3"))
	for _, code := range codes(t) {
		if _, ok := fixed[code]; !ok && !slices.Contains(listed, code) {
			t.Errorf("%s is no code of the specification", code)
		}
	}
}
