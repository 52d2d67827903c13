package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mogilefs/caddy-mogilefs/cli"
	"github.com/mogilefs/caddy-mogilefs/cli/doctor"
	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tests/installation"
	"github.com/mogilefs/caddy-mogilefs/tests/process"
	"github.com/mogilefs/caddy-mogilefs/tracker"
)

// examined is what doctor says of a running cluster.
type examined struct {
	OK       bool             `json:"ok"`
	Findings []doctor.Finding `json:"findings"`
	code     int
}

func examine(t *testing.T, in *installation.Installation, words ...string) examined {
	t.Helper()
	line := append([]string{"doctor", "--json", "--timeout=20", "--management=" + itoa(in.Management)}, words...)
	if len(words) == 0 {
		line = append(line, "--trackers="+in.Tracker)
	}
	stdout, stderr, code := run(t, cli.Env{}, line...)
	got := examined{code: code}
	if err := json.Unmarshal([]byte(stdout), &got); err != nil {
		t.Fatalf("got %q and %q; want JSON: %v", stdout, stderr, err)
	}
	return got
}

func (e examined) want(t *testing.T, level doctor.Level, about, words string) {
	t.Helper()
	for _, f := range e.Findings {
		if f.About == about && f.Level == level && strings.Contains(f.Found, words) {
			return
		}
	}
	t.Errorf("got %v; want %s about %q with %q", e.Findings, level, about, words)
}

// fresh are two hosts whose devices say just now that they have room.
func fresh(t *testing.T) *installation.Installation {
	t.Helper()
	in := installation.New(t,
		installation.Host{Name: "store1", IP: "127.0.1.5", Devices: []mogile.DevID{1}, Usage: &disk},
		installation.Host{Name: "store2", IP: "127.0.1.6", Devices: []mogile.DevID{2}, Usage: &disk},
	)
	in.Declare(tracker.Declaration{Domains: []tracker.DeclaredDomain{{Name: "images"}}})
	for _, n := range in.Nodes {
		n.SayUsage(usageFile(time.Now(), disk))
	}
	return in
}

func usageFile(at time.Time, u installation.Usage) string {
	return fmt.Sprintf("available: %d\ndevice: /dev/vda\ntime: %d\ntotal: %d\nused: %d\n", u.Available, at.Unix(), u.Total, u.Used)
}

func TestDoctorIsContentWithAClusterThatIsWell(t *testing.T) {
	in := fresh(t)
	got := examine(t, in)
	if !got.OK || got.code != 0 {
		t.Errorf("got %+v; want all well, and 0", got)
	}
	for _, about := range []string{"host store1", "clock of store2", "dev1", "weights", "class images/default", "room"} {
		got.want(t, doctor.OK, about, "")
	}
	got.want(t, doctor.OK, "tracker "+in.Tracker, "2.73")
}

func TestDoctorFindsWhatIsWrongWithACluster(t *testing.T) {
	in := fresh(t)
	in.Nodes[0].SayUsage(usageFile(time.Now().Add(-time.Hour), disk))
	in.Nodes[1].SayUsage(usageFile(time.Now(), installation.Usage{Total: 1 << 20, Used: 1<<20 - 1<<10, Available: 1 << 10}))
	if _, stderr, code := run(t, cli.Env{}, "class", "modify", "images", "default", "--mindevcount=3", "--trackers="+in.Tracker); code != 0 {
		t.Fatal(stderr)
	}
	if _, stderr, code := run(t, cli.Env{}, "device", "modify", "store2", "2", "--weight=1", "--trackers="+in.Tracker); code != 0 {
		t.Fatal(stderr)
	}
	got := examine(t, in)
	if got.OK || got.code != 2 {
		t.Errorf("got %+v; want failures, and 2", got)
	}
	got.want(t, doctor.Warn, "dev1", "old")
	got.want(t, doctor.Fail, "dev2", "no new files")
	got.want(t, doctor.Fail, "class images/default", "wants 3 copies")
	got.want(t, doctor.Warn, "weights", "100 times")
}

func TestDoctorFindsNodesAndTrackersThatDoNotAnswer(t *testing.T) {
	in, other := fresh(t), fresh(t)
	in.Nodes[1].Break(true)
	got := examine(t, in, "--trackers=127.0.0.1:1,"+in.Tracker+","+other.Tracker)
	got.want(t, doctor.Fail, "tracker 127.0.0.1:1", "refused")
	got.want(t, doctor.Fail, "host store2", "500")
	got.want(t, doctor.Fail, "tracker "+other.Tracker, "knows other hosts or devices than "+in.Tracker)
	if got.code != 2 {
		t.Errorf("got exit code %d; want 2", got.code)
	}
	if got := examine(t, in, "--trackers=127.0.0.1:1"); got.code != 2 || len(got.Findings) != 1 {
		t.Errorf("without any tracker: got %+v; want that alone, and 2", got)
	}
}

func TestDoctorWarnsOfASideChannelThatIsShut(t *testing.T) {
	in := fresh(t)
	shut := process.FreePorts(t, 1)[0]
	got := examine(t, in, "--trackers="+in.Tracker, fmt.Sprintf("--management=%d", shut))
	got.want(t, doctor.Warn, "host store1", "side channel")
	if got.code != 1 {
		t.Errorf("got exit code %d; want 1", got.code)
	}
}

func TestDoctorSeesAClockThatIsWrong(t *testing.T) {
	in := fresh(t)
	in.Nodes[0].SayDate(time.Now().Add(time.Hour))
	examine(t, in).want(t, doctor.Fail, "clock of store1", "ahead")
	in.Nodes[0].SayDate(time.Now().Add(-20 * time.Second))
	examine(t, in).want(t, doctor.Warn, "clock of store1", "behind")
}

func TestDoctorWritesALineForEachFinding(t *testing.T) {
	in := fresh(t)
	in.Nodes[1].Break(true)
	stdout, stderr, code := run(t, cli.Env{}, "doctor", "--trackers="+in.Tracker, "--management="+itoa(in.Management))
	for _, want := range []string{"ok    host store1: answers on port", "fail  host store2: http://", " – see that its node runs"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("got %q; want %q in it", stdout, want)
		}
	}
	if stderr != "" || code != 2 {
		t.Errorf("got %q and %d on stderr; want nothing, and 2", stderr, code)
	}
}

func TestDoctorReadsItsConfigurationAndNotOurs(t *testing.T) {
	file := filepath.Join(t.TempDir(), "Caddyfile")
	asked := ""
	read := func(_ context.Context, name, _ string) (*doctor.Plan, error) {
		asked = name
		return &doctor.Plan{Refused: errors.New("no such directive")}, nil
	}
	var out bytes.Buffer
	env := cli.Env{Stdout: &out, Stderr: &out, Program: "caddy mogilefs"}
	code := cli.Run(t.Context(), env, cli.Root(read), []string{"doctor", "--config=" + file})
	stdout := out.String()
	if asked != file || code != 2 || !strings.Contains(stdout, "fail  configuration: refused: no such directive") {
		t.Errorf("got %q, %q and %d; want that %s is refused, and 2", stdout, asked, code, file)
	}
	_, stderr, code := run(t, cli.Env{}, "doctor", "--config="+file)
	if code != 2 || !strings.Contains(stderr, "can't read configurations") {
		t.Errorf("without a reader: got %q and %d; want an error, and 2", stderr, code)
	}
}
