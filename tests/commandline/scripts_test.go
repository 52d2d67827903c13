package commandline

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mogilefs/caddy-mogilefs/tests/process"
)

// station is a machine of an operator: a home, and mogadm in the path.
type station struct {
	t       *testing.T
	home    string
	cluster *process.Cluster
	noColor string // the variable in terminals
}

// tools are the old commands, and what they are now.
var tools = map[string]string{
	"mogadm": "", "mogupload": "upload", "mogfetch": "fetch", "mogdelete": "rm", "mogrename": "mv", "moglistkeys": "ls",
	"moglistfids": "fids", "mogfileinfo": "info", "mogfiledebug": "debug",
}

func newStation(t *testing.T) *station {
	t.Helper()
	s := &station{t: t, home: t.TempDir(), cluster: process.NewCluster(t, process.ClusterOptions{})}
	// The race detector would make each of the many commands a second slower; it looks at the
	// cluster, and at what commands do in the tests of the package cli.
	binary := process.PlainBinary(t)
	for tool, command := range tools {
		script := fmt.Sprintf("#!/bin/sh\nexec '%s' mogilefs %s \"$@\"\n", binary, command)
		if err := os.WriteFile(filepath.Join(s.home, tool), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	s.write(".mogilefs.conf", "# the trackers\ntrackers = "+s.cluster.TrackerAddr+"\ndomain = "+process.Domain+"\n")
	return s
}

func (s *station) write(name, text string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.home, name), []byte(text), 0o644); err != nil {
		s.t.Fatal(err)
	}
}

// sh runs a script in the home and returns what it wrote and how it ended.
func (s *station) sh(script string) (stdout, stderr string, code int) {
	s.t.Helper()
	cmd := exec.CommandContext(s.t.Context(), "sh", "-c", script)
	cmd.Dir = s.home
	cmd.Env = s.environment()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		s.t.Fatalf("%s: %v", script, err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

func (s *station) environment() []string {
	return append(os.Environ(), "HOME="+s.home, "PATH="+s.home+":"+os.Getenv("PATH"), "MOGUTILSCONF=")
}

// must is sh for scripts that must succeed.
func (s *station) must(script string) string {
	s.t.Helper()
	stdout, stderr, code := s.sh(script)
	if code != 0 || stderr != "" {
		s.t.Errorf("%s: got exit code %d, stdout %q, stderr %q; want 0 and nothing on stderr", script, code, stdout, stderr)
	}
	return stdout
}

// typicalScripts are those of docs/spec/cli.md, the block behind a heading.
func typicalScripts(t *testing.T, heading string) []string {
	t.Helper()
	text, err := os.ReadFile("../../docs/spec/cli.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(text), heading+"\n```\n")
	block, _, closed := strings.Cut(rest, "\n```")
	if !ok || !closed {
		t.Fatalf("docs/spec/cli.md has no block behind %q", heading)
	}
	return strings.Split(block, "\n")
}

// TestTypicalScriptsRunUnchanged runs those of docs/spec/cli.md §2 in their order. Only the
// addresses are others: the second tracker is dead, and store3 is on this machine.
func TestTypicalScriptsRunUnchanged(t *testing.T) {
	s := newStation(t)
	dead := process.FreePorts(t, 1)[0]
	addresses := strings.NewReplacer("tr1:7001", fmt.Sprintf("127.0.0.1:%d", dead), "tr2:7001", s.cluster.TrackerAddr, "10.0.0.3", "127.0.0.3")
	s.must("mogadm domain add mydom")
	s.must("mogadm settings set zone_near 127.0.0.0/16 && mogadm settings set zone_far 127.1.0.0/16 && mogadm settings set network_zones near,far")
	var last string
	scripts := typicalScripts(t, "Typical scripts:")
	for _, script := range scripts {
		if strings.HasPrefix(script, "mogadm device add store3") {
			// The script marks the device 17 dead, so 17 is what is next.
			s.must("mogadm device add store3 16 --status=down")
		}
		if strings.HasPrefix(script, "mogadm check") {
			// store3 has no node here.
			s.must("mogadm host mark store3 down")
		}
		last = s.must(addresses.Replace(script))
	}
	if len(scripts) != 6 || last != "2\n" {
		t.Errorf("got %d scripts, the last of which wrote %q; want 6, and 2 writeable devices", len(scripts), last)
	}
	if got := s.must("mogadm device list --all | grep dev17"); !strings.HasPrefix(got, "  dev17:    dead ") {
		t.Errorf("got %q; want dev17 dead", got)
	}
	if got := s.must("mogadm class list | grep thumbs"); strings.Join(strings.Fields(got), " ") != "mydom thumbs 3 HostsPerNetwork(near=2,far=1) NONE" {
		t.Errorf("got %q; want the class", got)
	}
	if got := s.must("mogadm fsck status | grep Running"); !strings.Contains(got, "Yes (on ") && !strings.Contains(got, "No") {
		t.Errorf("got %q; want whether it runs", got)
	}
	if got := s.must("mogadm settings list | grep queue_rate_for_fsck"); strings.TrimSpace(got) != "queue_rate_for_fsck = 2000" {
		t.Errorf("got %q; want it set", got)
	}
}

// TestTypicalScriptsOfFileToolsRunUnchanged runs those of docs/spec/cli.md §4.
func TestTypicalScriptsOfFileToolsRunUnchanged(t *testing.T) {
	s := newStation(t)
	text, err := os.ReadFile("../../docs/spec/cli.md")
	if err != nil {
		t.Fatal(err)
	}
	_, line, _ := strings.Cut(string(text), "\nTypical: `")
	line, _, _ = strings.Cut(line, "`.\n")
	copies, deletes, ok := strings.Cut(line, "`; `")
	if !ok {
		t.Fatalf("docs/spec/cli.md §4 has no two typical scripts: %q", line)
	}
	s.must("mogadm class add " + process.Domain + " x")
	s.must("echo hello | mogupload --key=/a --file=-")
	s.must(copies)
	if got := s.must("mogfetch --key=/b --file=-"); got != "hello\n" {
		t.Errorf("%s: got %q; want hello", copies, got)
	}
	if got := s.must("mogfileinfo --key=/b | grep class:"); strings.TrimSpace(got) != "class:                    x" {
		t.Errorf("%s: got %q; want the class x", copies, got)
	}
	s.must("for k in img/1 'img/two words' other; do mogupload --key=\"$k\" --file=mogadm; done")
	s.must(deletes)
	if got := s.must("moglistkeys"); got != "/a\n/b\nother\n" {
		t.Errorf("%s: got %q; want the others only", deletes, got)
	}
}

// TestExitCodesReachTheShell has those that scripts ask for.
func TestExitCodesReachTheShell(t *testing.T) {
	s := newStation(t)
	for script, want := range map[string]int{
		"mogadm host list": 0, "mogadm host": 1, "mogadm": 1, "mogadm host list --help": 1,
		"mogadm domain add " + process.Domain: 1, "mogadm --trackers=127.0.0.1:1 host list": 1,
		"mogadm host list --colour": 1, "mogadm check": 0,
		"mogupload": 0, "mogfetch --help": 0, "mogdelete --key=unknown": 255, "mogfiledebug --fid=99999": 0,
		"mogfetch --key=unknown --file=-": 255, "moglistkeys --key_prefix=unknown": 255,
	} {
		if stdout, stderr, code := s.sh(script); code != want {
			t.Errorf("%s: got exit code %d, stdout %q, stderr %q; want %d", script, code, stdout, stderr, want)
		}
	}
	if stdout, stderr, _ := s.sh("mogadm domain add " + process.Domain); stdout != "" || strings.Contains(stderr, "exiting with") ||
		!strings.HasPrefix(stderr, "Error creating domain: domain_exists That domain already exists\n") {
		t.Errorf("got stdout %q, stderr %q; want mogadm's error and nothing of Caddy's", stdout, stderr)
	}
}

// TestConfigFilesHaveTheirOrder: the file at home wins over the one that was named, and the
// command line over both (docs/spec/cli.md §1).
func TestConfigFilesHaveTheirOrder(t *testing.T) {
	s := newStation(t)
	s.write("other.conf", "trackers = 127.0.0.1:1\n")
	s.must("mogadm --config=other.conf host list")
	if _, stderr, code := s.sh("mogadm --trackers=127.0.0.1:1 host list"); code != 1 || !strings.Contains(stderr, "127.0.0.1:1") {
		t.Errorf("command line: got %d, %q; want it to win", code, stderr)
	}
	s.write(".mogilefs.conf", "timeout = 20 # patience\n")
	if _, stderr, code := s.sh("mogadm --config=other.conf host list"); code != 1 || !strings.Contains(stderr, "127.0.0.1:1") {
		t.Errorf("nothing at home: got %d, %q; want the file that was named", code, stderr)
	}
	s.write("utils.conf", "trackers = "+s.cluster.TrackerAddr+"\n")
	s.must("MOGUTILSCONF=utils.conf mogadm host list")
}

// TestCaddyDescribesTheCommands has the manual pages and the completion of Caddy know ours.
func TestCaddyDescribesTheCommands(t *testing.T) {
	s := newStation(t)
	caddy := process.PlainBinary(t)
	s.must(caddy + " manpage --directory man 2>manpage.log")
	page, err := os.ReadFile(filepath.Join(s.home, "man", "caddy-mogilefs-host-add.8"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"HOSTNAME", "altmask", "Enter a host", "trackers"} {
		if !strings.Contains(string(page), want) {
			t.Errorf("the page of host add lacks %q:\n%s", want, page)
		}
	}
	for words, want := range map[string]string{
		"mogilefs ''": "fsck\t", "mogilefs device ''": "summary\t", "mogilefs host add --al": "--altmask\t",
		"mogilefs --trackers=x host list --js": "--json\t",
	} {
		if got, _, _ := s.sh(caddy + " __complete " + words); !strings.Contains(got, "\n"+want) && !strings.HasPrefix(got, want) {
			t.Errorf("complete %s: got\n%s\nwant %s", words, got, want)
		}
	}
	if got := s.must(caddy + " completion bash | head -1"); !strings.Contains(got, "bash completion") {
		t.Errorf("got %q; want a script for bash", got)
	}
}
