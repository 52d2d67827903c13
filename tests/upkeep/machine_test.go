package upkeep

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// onMachine is a command that runs a binary as if on a machine with a name of its own: a
// check and a rebalance belong to a machine. Where that is not allowed, the binary runs as it
// is, and both trackers have one name, which has to do as well.
func onMachine(t *testing.T, name, binary string) string {
	t.Helper()
	if err := exec.Command("unshare", "--uts", "hostname", name).Run(); err != nil {
		t.Logf("both trackers have the name of this machine: unshare: %v", err)
		return binary
	}
	script := filepath.Join(t.TempDir(), name)
	text := fmt.Sprintf("#!/bin/sh\nexec unshare --uts sh -c 'hostname %s && exec \"$0\" \"$@\"' '%s' \"$@\"\n", name, binary)
	if err := os.WriteFile(script, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return script
}
