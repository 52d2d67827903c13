package endtoend

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/mogilefs/caddy-mogilefs/tests/process"
)

const example = "../../Caddyfile.example"

func TestTheExampleIsAccepted(t *testing.T) {
	path, err := filepath.Abs(example)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), process.Binary(t), "validate", "--adapter", "caddyfile", "--config", path)
	cmd.Dir = t.TempDir()
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("validate %s: %v\n%s", example, err, text)
	}
	if left, err := os.ReadDir(cmd.Dir); err != nil || len(left) > 0 {
		t.Errorf("validate left %v (%v) behind; want nothing touched", left, err)
	}
}

func TestTheExampleIsFormatted(t *testing.T) {
	want, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	got, err := exec.CommandContext(t.Context(), process.Binary(t), "fmt", example).Output()
	if _, differs := err.(*exec.ExitError); err != nil && !differs {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("caddy fmt makes another file of %s:\n%s", example, got)
	}
}
