package cli_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/mogilefs/caddy-mogilefs/cli"
	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tests/installation"
	"github.com/mogilefs/caddy-mogilefs/tracker/client"
)

func twoHosts(t *testing.T) *installation.Installation {
	t.Helper()
	t.Parallel()
	return installation.New(t,
		installation.Host{Name: "hostA", IP: "127.0.1.5", Devices: []mogile.DevID{1}, Usage: &disk},
		installation.Host{Name: "hostB", IP: "127.0.1.6", Devices: []mogile.DevID{2}, Usage: &disk})
}

// TestACheckFailsWhenSomethingDoesNotAnswer is where mogadm misleads: it exits with 0.
func TestACheckFailsWhenSomethingDoesNotAnswer(t *testing.T) {
	in := twoHosts(t)
	if stdout, _, code := run(t, cli.Env{}, "check", "--trackers="+in.Tracker); code != 0 || strings.Count(stdout, "writeable") != 2 {
		t.Errorf("all is well: got %d and\n%s\nwant 0 and two writeable devices", code, stdout)
	}

	in.Nodes[1].Break(true)
	stdout, _, code := run(t, cli.Env{}, "check", "--trackers="+in.Tracker)
	url := "http://127.0.1.6:" + itoa(in.Nodes[1].Port) + "/"
	if code != 1 || !strings.Contains(stdout, "  [ 2] hostB ... REQUEST FAILURE FETCHING: "+url+"\n") {
		t.Errorf("a host does not answer: got %d and\n%s\nwant 1 and its failure", code, stdout)
	}
	if !strings.Contains(stdout, "dev1") || strings.Contains(stdout, "dev2") {
		t.Errorf("a host does not answer: got\n%s\nwant the devices of the other only", stdout)
	}

	// An operator who knows that it is down is not told again.
	if _, stderr, code := run(t, cli.Env{}, "host", "mark", "hostB", "down", "--trackers="+in.Tracker); code != 0 {
		t.Fatal(stderr)
	}
	stdout, _, code = run(t, cli.Env{}, "check", "--trackers="+in.Tracker)
	if code != 0 || !strings.Contains(stdout, "  [ 2] hostB ... skipping; status = down\n") {
		t.Errorf("a host is down: got %d and\n%s\nwant 0 and that it is skipped", code, stdout)
	}
}

func TestACheckNamesWhatIsWrongWithAUsageFile(t *testing.T) {
	in := twoHosts(t)
	for text, want := range map[string]string{
		"":            "USAGE FILE BROKEN OR EMPTY: ",
		"nonsense\n":  "USAGE FILE BROKEN OR EMPTY: ",
		"total: 10\n": "MISSING FIELD (available) FROM USAGE FILE: ",
		"available: 0\ndevice: d\ndisk: d\ntime: 1\ntotal: 0\nused: 0\n": "USAGE FILE BROKEN OR EMPTY: ",
	} {
		in.Nodes[1].SayUsage(text)
		stdout, _, code := run(t, cli.Env{}, "check", "--trackers="+in.Tracker)
		if code != 1 || !strings.Contains(stdout, "  [ 2] dev2         "+want) || !strings.Contains(stdout, "  [ 1] dev1    ") {
			t.Errorf("usage %q: got %d and\n%s\nwant 1 and %s", text, code, stdout, want)
		}
	}
}

func TestACheckGoesOnWithTheTrackersThatAnswer(t *testing.T) {
	in := twoHosts(t)
	silent := startSilent(t)
	stdout, _, code := run(t, cli.Env{}, "check", "--trackers=127.0.0.1:1,"+silent+","+in.Tracker, "--timeout=5")
	for _, want := range []string{
		"  127.0.0.1:1 ... REQUEST FAILURE (is the tracker up?)\n",
		"  " + silent + " ... REQUEST FAILURE (is the tracker up?)\n",
		"  " + in.Tracker + " ... OK\n", "hostB ... OK\n",
	} {
		if !strings.Contains(stdout, want) {
			t.Errorf("got\n%s\nwant %s", stdout, want)
		}
	}
	if code != 1 {
		t.Errorf("two trackers are dead: got exit code %d; want 1", code)
	}
	stdout, stderr, code := run(t, cli.Env{}, "check", "--trackers=127.0.0.1:1")
	if code != 1 || !strings.Contains(stdout, "REQUEST FAILURE") || !strings.Contains(stderr, "no tracker answered\n  asked 127.0.0.1:1: ") {
		t.Errorf("no tracker: got %d, %q, %q; want 1 and what to do", code, stdout, stderr)
	}
}

func TestACheckInJSONSaysWhatIsWrong(t *testing.T) {
	in := twoHosts(t)
	in.Nodes[0].Break(true)
	stdout, _, code := run(t, cli.Env{}, "check", "--json", "--trackers="+in.Tracker)
	var found struct {
		OK    bool
		Hosts []struct {
			Name, Trouble string
			OK            bool
		}
		Devices []struct{ DevID, KB_Total int64 }
	}
	if err := json.Unmarshal([]byte(stdout), &found); err != nil {
		t.Fatalf("%v:\n%s", err, stdout)
	}
	if code != 1 || found.OK || len(found.Hosts) != 2 || found.Hosts[0].OK || !found.Hosts[1].OK ||
		!strings.Contains(found.Hosts[0].Trouble, "REQUEST FAILURE") || len(found.Devices) != 1 || found.Devices[0].KB_Total != disk.Total {
		t.Errorf("got %d and %+v; want 1, the first host in trouble, and the device of the other", code, found)
	}
}

// TestWithOneOfSeveralTrackersDeadAllGoesOn has one that is down and one that hangs.
func TestWithOneOfSeveralTrackersDeadAllGoesOn(t *testing.T) {
	in := twoHosts(t)
	silent := startSilent(t)
	for dead, list := range map[string][]string{
		"127.0.0.1:1": {"device next", "host list", "domain add first", "fsck status"},
		silent:        {"host list", "domain add second"},
	} {
		for _, words := range list {
			_, stderr, code := run(t, cli.Env{}, append(strings.Fields(words), "--trackers="+dead+","+in.Tracker, "--timeout=5")...)
			// A change that the silent one may have made is not asked of another.
			if dead == silent && strings.HasPrefix(words, "domain add") {
				if code != 1 || !strings.Contains(stderr, "look whether it happened before you try again") {
					t.Errorf("%s, %s hangs: got %d, %q; want 1 and to look", words, dead, code, stderr)
				}
				continue
			}
			if code != 0 || stderr != "" {
				t.Errorf("%s, %s is dead: got %d, %q; want 0", words, dead, code, stderr)
			}
		}
	}
}

func allWriteable(list []client.Device) bool {
	return !slices.ContainsFunc(list, func(d client.Device) bool { return d.Observed != "writeable" })
}
