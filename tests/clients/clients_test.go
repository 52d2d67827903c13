// Package clients replays what real MogileFS clients sent, and holds the answers
// against those the clients were content with.
//
// The sessions in testdata were recorded between the clients, unchanged, and a
// tracker of ours: perl.session from MogileFS::Client and MogileFS::Admin 1.16,
// python.session from pymogilefs 0.1.1. Each created, read, listed, renamed and
// deleted files, and each found its bytes unharmed.
package clients

import (
	"bytes"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mogilefs/caddy-mogilefs/tests/process"
)

// recordedPort is where the recorded tracker's storage node was, on loopback.
const recordedPort = "7500"

// settleWithin bounds the wait for replication, which some answers tell of.
const settleWithin = 20 * time.Second

type exchange struct{ request, reply string }

func TestRecordedClientSessionsAreAnsweredAlike(t *testing.T) {
	c := process.NewCluster(t, process.ClusterOptions{})
	// In this order, on one tracker: the fids go on counting.
	for _, name := range []string{"perl", "python"} {
		s := c.Dial()
		for _, ex := range load(t, name, c.StorageAddr) {
			if strings.HasPrefix(ex.request, "create_close ") {
				store(t, ex.request)
			}
			replay(t, s, ex)
		}
		s.Close()
	}
}

func load(t *testing.T, name, storage string) []exchange {
	t.Helper()
	content, err := os.ReadFile("testdata/" + name + ".session")
	if err != nil {
		t.Fatal(err)
	}
	// 7500 stands in the sessions as the port of URLs, escaped or not, and of the host.
	_, port, _ := strings.Cut(storage, ":")
	text := strings.ReplaceAll(string(content), recordedPort, port)
	var all []exchange
	for lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n"); len(lines) > 1; lines = lines[2:] {
		all = append(all, exchange{strings.TrimPrefix(lines[0], "> "), strings.TrimPrefix(lines[1], "< ")})
	}
	if len(all) == 0 {
		t.Fatalf("%s.session: got no exchange; want some", name)
	}
	return all
}

// store uploads as many bytes as the client did, to where it did.
func store(t *testing.T, request string) {
	t.Helper()
	args, err := url.ParseQuery(strings.TrimPrefix(request, "create_close "))
	if err != nil {
		t.Fatal(err)
	}
	size, err := strconv.Atoi(args.Get("size"))
	if err != nil {
		t.Fatalf("%s: %v", request, err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, args.Get("path"), bytes.NewReader(make([]byte, size)))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusCreated {
		t.Fatalf("PUT %s: got %s; want 201", req.URL, resp.Status)
	}
}

// replay sends a request and wants an answer like the recorded one. Only requests
// that change nothing are repeated, until replication has come as far as it had then.
func replay(t *testing.T, s *process.Session, ex exchange) {
	t.Helper()
	want := masked(t, ex.reply)
	got := masked(t, s.Say(ex.request))
	if name, _, _ := strings.Cut(ex.request, " "); readOnly[name] && !cmp.Equal(want, got) {
		process.Eventually(t, settleWithin, fmt.Sprintf("%s to be answered %s", ex.request, ex.reply), func() bool {
			got = masked(t, s.Say(ex.request))
			return cmp.Equal(want, got)
		})
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-recorded +got):\n%s", ex.request, diff)
	}
}

var readOnly = map[string]bool{
	"get_paths": true, "file_info": true, "file_debug": true, "list_keys": true,
	"get_domains": true, "get_hosts": true, "get_devices": true,
}

var (
	measured = regexp.MustCompile(`^dev\d+_mb_\w+$`)
	device   = regexp.MustCompile(`/dev\d+/`)
	counted  = regexp.MustCompile(`\d+$`)
)

// masked is an answer without what chance, the disk and the pace of replication
// decide: which device comes first, how full it is, how many copies there are yet.
func masked(t *testing.T, reply string) []string {
	t.Helper()
	status, rest, _ := strings.Cut(reply, " ")
	if status != "OK" {
		return []string{reply}
	}
	pairs, err := url.ParseQuery(rest)
	if err != nil {
		t.Fatalf("%s: %v", reply, err)
	}
	seen := map[string]bool{}
	for name, values := range pairs {
		value := device.ReplaceAllString(values[0], "/devN/")
		switch {
		case measured.MatchString(name):
			value = "measured"
		case name == "paths", strings.HasPrefix(name, "path"), strings.HasPrefix(name, "devid_"):
			name = counted.ReplaceAllString(name, "N")
			value = counted.ReplaceAllString(value, "N")
		}
		seen[name+"="+value] = true
	}
	return slices.Sorted(maps.Keys(seen))
}
