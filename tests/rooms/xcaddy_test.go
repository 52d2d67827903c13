package rooms

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// build is xcaddy.json: what xcaddy's Builder reads.
type build struct {
	CaddyVersion string    `json:"caddy_version"`
	Plugins      []plugin  `json:"plugins"`
	Replacements []replace `json:"replacements"`
}

type plugin struct {
	ModulePath string `json:"module_path"`
}

type replace struct {
	Old string `json:"old"`
	New string `json:"new"`
}

// goMod is the part of go.mod that a build of the plugin depends on, as go mod
// edit -json prints it.
type goMod struct {
	Module  struct{ Path string }
	Require []struct{ Path, Version string }
	Replace []struct {
		Old, New struct{ Path, Version string }
	}
}

func TestXcaddyBuildsWhatGoModSays(t *testing.T) {
	text, err := os.ReadFile("../../xcaddy.json")
	if err != nil {
		t.Fatal(err)
	}
	var got build
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&got); err != nil {
		t.Fatalf("decode xcaddy.json: %v", err)
	}
	if diff := cmp.Diff(buildOf(t), got); diff != "" {
		t.Errorf("xcaddy.json differs from go.mod (-go.mod +xcaddy.json):\n%s", diff)
	}
}

// buildOf derives from go.mod what xcaddy.json must say.
func buildOf(t *testing.T) build {
	text, err := exec.CommandContext(t.Context(), "go", "mod", "edit", "-json", "../../go.mod").Output()
	if err != nil {
		t.Fatalf("read go.mod: %v", err)
	}
	var mod goMod
	if err := json.Unmarshal(text, &mod); err != nil {
		t.Fatalf("decode go.mod: %v", err)
	}
	b := build{Plugins: []plugin{{ModulePath: mod.Module.Path}}, Replacements: []replace{}}
	for _, r := range mod.Require {
		if r.Path == caddyLib {
			b.CaddyVersion = r.Version
		}
	}
	for _, r := range mod.Replace {
		b.Replacements = append(b.Replacements, replace{Old: r.Old.Path, New: r.New.Path})
	}
	return b
}
