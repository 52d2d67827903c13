package commandline

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mogilefs/caddy-mogilefs/cli/doctor"
	"github.com/mogilefs/caddy-mogilefs/tests/process"
)

// examine runs doctor where a cluster's configuration is.
func examine(t *testing.T, c *process.Cluster, words ...string) (findings []doctor.Finding, code int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), process.Binary(t), append([]string{"mogilefs", "doctor", "--json", "--config=Caddyfile"}, words...)...)
	cmd.Dir = c.Dir
	cmd.Env = append(os.Environ(), "HOME="+c.Dir, "MOGUTILSCONF=")
	out, err := cmd.Output()
	if _, exit := err.(*exec.ExitError); err != nil && !exit {
		t.Fatal(err)
	}
	result := struct{ Findings []doctor.Finding }{}
	if err := json.Unmarshal(out, &result); err != nil {
		t.Fatalf("got %q; want JSON: %v", out, err)
	}
	return result.Findings, cmd.ProcessState.ExitCode()
}

func wantFinding(t *testing.T, findings []doctor.Finding, level doctor.Level, about, words string) {
	t.Helper()
	for _, f := range findings {
		if f.Level == level && strings.Contains(f.About, about) && strings.Contains(f.Found, words) {
			return
		}
	}
	t.Errorf("got %v; want %s about %q with %q", findings, level, about, words)
}

func TestDoctorLooksAtAConfigurationAndAtWhatRuns(t *testing.T) {
	c := process.NewCluster(t, process.ClusterOptions{})
	_, side, _ := strings.Cut(c.ManagementAddr, ":")
	findings, code := examine(t, c, "--trackers="+c.TrackerAddr, "--management="+side)
	for about, words := range map[string]string{
		"configuration": "takes it", "database": "tables of version 17", "database journal_mode": "wal", "site of storage node1": "",
		"tracker on": "only this machine", "edge": "only this machine", "clock of node1": "within", "dead devices": "no copy",
	} {
		wantFinding(t, findings, doctor.OK, about, words)
	}
	wantFinding(t, findings, doctor.Warn, "devices of storage node1", "dev1, dev2")
	wantFinding(t, findings, doctor.Warn, "hosts", "all devices are on one")
	if code != 1 {
		t.Errorf("got exit code %d; want 1: %v", code, findings)
	}
	if left, err := filepath.Glob(filepath.Join(c.Root, "dev1", ".*")); err != nil || len(left) != 0 {
		t.Errorf("got %v, %v in dev1; want nothing of doctor's left", left, err)
	}
}

func TestDoctorFindsADiskThatIsMissingAndAConfigurationThatIsWrong(t *testing.T) {
	c := process.NewCluster(t, process.ClusterOptions{})
	if err := os.WriteFile(filepath.Join(c.Root, ".dev2.mounted"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	findings, code := examine(t, c)
	wantFinding(t, findings, doctor.Fail, "dev2", "not mounted")
	if code != 2 {
		t.Errorf("got exit code %d; want 2", code)
	}
	text, err := os.ReadFile(filepath.Join(c.Dir, "Caddyfile"))
	if err != nil {
		t.Fatal(err)
	}
	wrong := strings.Replace(string(text), "setting mogstored_stream_port", "setting mogstored_stream_pork", 1)
	if err := os.WriteFile(filepath.Join(c.Dir, "Caddyfile"), []byte(wrong), 0o644); err != nil {
		t.Fatal(err)
	}
	findings, code = examine(t, c)
	wantFinding(t, findings, doctor.Fail, "configuration", "mogstored_stream_pork")
	if code != 2 {
		t.Errorf("got exit code %d; want 2", code)
	}
}
