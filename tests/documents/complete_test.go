package documents

import (
	"regexp"
	"strings"
	"testing"
)

// site is the address of the site that parts are completed with.
const site = "http://localhost:8080"

var (
	address = regexp.MustCompile(`^(https?://|:\d|localhost|[\w*-]+\.[\w.-]+)\S*( \S+)* \{$`)
	// registers is a node that enters itself in the tracker of its process.
	registers   = regexp.MustCompile(`(?m)^\s*register$`)
	globalBlock = regexp.MustCompile(`^(tracker|storage \S+|domain \S+) \{$`)
)

// complete makes a Caddyfile of a part of one, by how it begins.
func complete(part string) string {
	first := ""
	for _, line := range strings.Split(part, "\n") {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			first = line
			break
		}
	}
	switch {
	case first == "{", address.MatchString(first), strings.HasPrefix(first, "("), strings.HasPrefix(first, "import "):
		return part
	case strings.HasPrefix(first, "database "):
		return "{\n\tmogilefs {\n\t\ttracker {\n" + part + "\t\t}\n\t}\n}\n"
	case globalBlock.MatchString(first):
		if registers.MatchString(part) {
			part += "tracker {\n}\n"
		}
		return "{\n\tmogilefs {\n" + part + "\t}\n}\n"
	}
	return site + " {\n" + part + "}\n"
}

func TestPartsAreCompletedByHowTheyBegin(t *testing.T) {
	for part, want := range map[string]string{
		"# a comment\n{\n}\n":                        "# a comment\n{\n}\n",
		"images.example.com {\n}\n":                  "images.example.com {\n}\n",
		"https://a.example b.example {\n}\n":         "https://a.example b.example {\n}\n",
		"database sqlite x\n":                        "{\n\tmogilefs {\n\t\ttracker {\ndatabase sqlite x\n\t\t}\n\t}\n}\n",
		"storage node1 {\n}\n":                       "{\n\tmogilefs {\nstorage node1 {\n}\n\t}\n}\n",
		"mogilefs images {\n\ttracker 10.0.0.1\n}\n": site + " {\nmogilefs images {\n\ttracker 10.0.0.1\n}\n}\n",
		"@write method PUT\n":                        site + " {\n@write method PUT\n}\n",
	} {
		if got := complete(part); got != want {
			t.Errorf("%q: got %q; want %q", part, got, want)
		}
	}
}
