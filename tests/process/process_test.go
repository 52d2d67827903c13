package process_test

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/mogilefs/caddy-mogilefs/tests/process"
)

// site starts a Caddy that answers everything with a word, and returns its URL.
func site(t *testing.T, word string) (*process.Caddy, string, func(word string) string) {
	addr := "127.0.0.1:" + strconv.Itoa(process.FreePorts(t, 1)[0])
	config := func(word string) string { return fmt.Sprintf("http://%s {\n\trespond %s\n}\n", addr, word) }
	c := process.Start(t, process.Options{Caddyfile: config(word), Ready: []string{addr}})
	return c, "http://" + addr, config
}

func TestAProcessAnswersWithItsConfigUntilItIsReloaded(t *testing.T) {
	c, url, config := site(t, "first")
	wantAnswer(t, url, "first")
	c.Reload(config("second"))
	wantAnswer(t, url, "second")
	c.Stop()
	if c.Alive() {
		t.Error("got a live process after Stop; want none")
	}
	wantAnswer(t, url, "")
}

func TestKillAndRestartKeepTheAddresses(t *testing.T) {
	c, url, _ := site(t, "here")
	first := c.PID()
	c.Kill()
	wantAnswer(t, url, "")
	c.Restart()
	wantAnswer(t, url, "here")
	if c.PID() == first {
		t.Errorf("got pid %d again; want another process", first)
	}
}

func TestAProcessCanBeLookedInto(t *testing.T) {
	c, _, _ := site(t, "here")
	if rss, peak := c.RSS(), c.PeakRSS(); rss < 1<<20 || peak < rss {
		t.Errorf("got resident %d bytes, peak %d; want megabytes, and the peak no less", rss, peak)
	}
	if n := c.Descriptors(); n < 5 {
		t.Errorf("got %d descriptors; want the standard three and two listeners at least", n)
	}
	if n := c.Goroutines(); n < 2 {
		t.Errorf("got %d goroutines; want several", n)
	}
}

func TestFreePortsAreDifferent(t *testing.T) {
	ports := process.FreePorts(t, 50)
	slices.Sort(ports)
	if got := len(slices.Compact(ports)); got != 50 {
		t.Errorf("got %d different ports; want 50", got)
	}
}

func TestEventuallyFailsWhenNothingHappens(t *testing.T) {
	probe := &fatalProbe{TB: t}
	process.Eventually(probe, time.Millisecond, "miracle", func() bool { return false })
	if !probe.failed {
		t.Error("got success without the condition; want a failed test")
	}
	process.Eventually(t, 0, "what is so already", func() bool { return true })
}

// fatalProbe is a test that may fail without failing the one around it.
type fatalProbe struct {
	testing.TB
	failed bool
}

func (p *fatalProbe) Fatalf(string, ...any) { p.failed = true }

// wantAnswer asks a URL and compares the body; empty means that nobody listens.
func wantAnswer(t *testing.T, url, want string) {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	var body []byte
	resp, err := client.Get(url)
	if err == nil {
		defer resp.Body.Close()
		body, err = io.ReadAll(resp.Body)
	}
	if (err != nil) != (want == "") || string(body) != want {
		t.Errorf("GET %s: got %q and %v; want %q", url, body, err, want)
	}
}
