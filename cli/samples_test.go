package cli_test

import (
	"bytes"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mogilefs/caddy-mogilefs/cli"
	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tests/installation"
	"github.com/mogilefs/caddy-mogilefs/tracker"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

// samples are the outputs of mogadm that docs/spec/cli.md §2 shows, by their commands.
func samples(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("../docs/spec/cli.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "Output samples")
	part, _, _ := strings.Cut(rest, "Typical scripts:")
	all := map[string]string{}
	for i, block := range strings.Split(part, "```") {
		if i%2 == 0 {
			continue
		}
		for _, sample := range strings.Split("\n"+strings.TrimPrefix(block, "\n"), "\n$ mogadm ")[1:] {
			command, output, _ := strings.Cut(sample, "\n")
			all[command] = strings.TrimRight(output, "\n") + "\n"
		}
	}
	return all
}

// run is one call, without a terminal.
func run(t *testing.T, env cli.Env, words ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	env.Stdin, env.Stdout, env.Stderr = strings.NewReader(""), &out, &errs
	if env.Program == "" {
		env.Program = "mogadm"
	}
	code = cli.Run(t.Context(), env, cli.Root(nil), words)
	return out.String(), errs.String(), code
}

func itoa(port uint16) string { return strconv.Itoa(int(port)) }

// disk is what the samples' devices say in check, and diskBefore what they had said when the
// others were made.
var (
	disk       = installation.Usage{Total: 95501264, Used: 17559900, Available: 77941283}
	diskBefore = installation.Usage{Total: 93262 << 10, Used: 17149 << 10, Available: 76113 << 10}
)

func TestOutputIsByteForByteThatOfTheSamples(t *testing.T) {
	want := samples(t)
	one := installation.New(t, installation.Host{Name: "hostA", IP: "127.0.1.1", Devices: []mogile.DevID{1}, Usage: &diskBefore})
	one.Declare(tracker.Declaration{Domains: []tracker.DeclaredDomain{{Name: "testdom", Classes: []tracker.DeclaredClass{{Name: "1copy", MinDevCount: 1}}}}})
	one.Set("fsck_highest_fid_checked", "4", "fsck_fid_at_end", "4", "fsck_start_time", "1795345757", "fsck_stop_time", "1795345762",
		"fsck_sum_evcount_POVI", "0", "fsck_sum_evcount_REPL", "1")
	if err := one.Store.LogFsck(t.Context(), store.FsckEvent{Code: "POVI", FID: 4}); err != nil {
		t.Fatal(err)
	}
	two := installation.New(t,
		installation.Host{Name: "hostA", IP: "127.0.1.1", Devices: []mogile.DevID{1}, Usage: &disk},
		installation.Host{Name: "hostB", IP: "127.0.1.2", Devices: []mogile.DevID{2}, Usage: &disk})

	for command, sample := range want {
		t.Run(command, func(t *testing.T) {
			in := one
			if command == "check" {
				in = two
			}
			got, stderr, code := run(t, cli.Env{}, append([]string{"--trackers=" + in.Tracker}, strings.Fields(command)...)...)
			if code != 0 || stderr != "" {
				t.Errorf("got exit code %d, stderr %q; want 0 and nothing", code, stderr)
			}
			if diff := cmp.Diff(sample, adapt(got, in, command)); diff != "" {
				t.Errorf("differs from docs/spec/cli.md (-spec +got):\n%s", diff)
			}
		})
	}
	if len(want) != 8 {
		t.Errorf("got %d samples in docs/spec/cli.md; want 8", len(want))
	}
}

// adapt writes the samples' addresses and times in place of ours, and what the samples'
// author put in and left out.
func adapt(got string, in *installation.Installation, command string) string {
	got = strings.ReplaceAll(got, in.Tracker, "127.0.0.1:7001")
	for _, n := range in.Nodes {
		got = strings.ReplaceAll(got, ":"+itoa(n.Port), ":7500")
	}
	switch command {
	case "host list":
		got = strings.TrimSuffix(got, "\n") + "  (then, if set:  Alt IP:, Alt Mask:, GET Port:)\n"
	case "device list", "domain list": // a blank line after each host and domain
		got = strings.TrimSuffix(got, "\n")
	case "fsck printlog":
		got = regexp.MustCompile(`(?m)^\d{10}\b`).ReplaceAllString(got, "1795345762")
	}
	return got
}
