package rooms

import (
	"os"
	"strings"
	"testing"
)

// checks is all rules by the name of what they hold.
var checks = map[string]func(*house) []string{
	"doors":            checkDoors,
	"words":            checkWords,
	"text":             checkText,
	"calls":            checkCalls,
	"state":            checkState,
	"sizes":            checkSizes,
	"names":            checkNames,
	"package comments": checkPackageDocs,
	"links":            checkLinks,
	"tests of pages":   checkNamedTests,
	"mentions of spec": checkSpecRefs,
}

func TestEveryRoomKeepsItsDoorsAndHabits(t *testing.T) {
	h, err := load(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	if len(h.files) == 0 {
		t.Fatal("got no Go files; want those of the repository")
	}
	for name, check := range checks {
		t.Run(name, func(t *testing.T) {
			for _, breach := range check(h) {
				t.Error(breach)
			}
		})
	}
}

func TestTheTableHasNoRowsForRoomsThatAreGone(t *testing.T) {
	h, err := load(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	for room := range table {
		used := false
		for _, f := range h.files {
			used = used || within(f.room, room)
		}
		if !used {
			t.Errorf("the table has a row for %s, which is no room; remove the row", room)
		}
	}
}

func TestTheREADMENamesEveryRoom(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for room := range table {
		name := strings.TrimSuffix(room, "/...")
		if room != "." && !strings.Contains(string(text), "`"+name+"`") {
			t.Errorf("README.md does not name the room %s; add it to the table there", name)
		}
	}
}
