package caddymodule_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	_ "github.com/caddyserver/caddy/v2/modules/standard"
	"github.com/google/go-cmp/cmp"

	_ "github.com/mogilefs/caddy-mogilefs/caddymodule"
)

var update = flag.Bool("update", false, "rewrite the golden files with what came out")

// separator stands between a Caddyfile and what it becomes: JSON, or a line that
// the error must contain.
const separator = "----------\n"

func TestCaddyfilesBecomeTheirGoldenJSON(t *testing.T) {
	files, err := filepath.Glob("testdata/adapt/*.caddyfiletest")
	if err != nil || len(files) == 0 {
		t.Fatalf("got %d golden files (%v); want some", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".caddyfiletest"), func(t *testing.T) {
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			caddyfile, want, _ := strings.Cut(string(content), separator)
			got := adapt(t, caddyfile)
			if *update && strings.HasPrefix(got, "{") {
				if err := os.WriteFile(file, []byte(caddyfile+separator+got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if strings.HasPrefix(want, "{") {
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("adapted JSON (-want +got):\n%s", diff)
				}
				return
			}
			if want = strings.TrimSpace(want); want == "" || !strings.Contains(got, want) {
				t.Errorf("got %q; want an error with %q", got, want)
			}
		})
	}
}

// adapt returns indented JSON, or the error's text.
func adapt(t *testing.T, caddyfile string) string {
	t.Helper()
	raw, warnings, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(caddyfile), nil)
	if err != nil {
		return err.Error()
	}
	for _, w := range warnings {
		t.Errorf("warning for line %d: %s", w.Line, w.Message)
	}
	var out bytes.Buffer
	if err := json.Indent(&out, raw, "", "\t"); err != nil {
		t.Fatal(err)
	}
	return out.String() + "\n"
}
