package dashboard

import (
	"bufio"
	"encoding/base64"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mogilefs/caddy-mogilefs/tests/process"
)

func portText(port int) string { return strconv.Itoa(port) }

// header is what the dashboard's page sends with changes.
const header = "X-Mogilefs-Dashboard"

func TestTheDashboardIsServedToItsOwnMachineOrToWhomCaddyKnows(t *testing.T) {
	s := newSite(t)
	// All that a test can be is on this machine, so the headers of a proxy make a stranger;
	// console/fence has the addresses.
	local, afar := s.page, "http://127.0.0.3:"+portText(s.port)+"/"
	for _, c := range []struct {
		url     string
		headers []string
		status  int
		want    string
	}{
		{local, nil, 200, "<title>MogileFS</title>"},
		{afar, nil, 200, "<title>MogileFS</title>"},
		{local, []string{"X-Forwarded-For", "192.0.2.1"}, 403, "basic_auth"},
		{local, []string{"Host", "evil.example"}, 403, "hosts"},
		{local + "api/status", []string{"Host", "evil.example"}, 403, "hosts"},
		{local + "events", []string{"X-Real-IP", "192.0.2.1"}, 403, "ssh -L"},
		{local + "none", nil, 404, "no such page"},
		{local + "../../go.mod", nil, 404, "no such page"},
	} {
		if got := s.ask("GET", c.url, "", c.headers...); got.status != c.status || !strings.Contains(got.body, c.want) {
			t.Errorf("%s %v: got %d %.200q; want %d with %q", c.url, c.headers, got.status, got.body, c.status, c.want)
		}
	}
	// Of the word secret, and weak, as a strong one takes a race build minutes.
	const hash = "$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW"
	s.Reload(s.caddyfile("basic_auth {\n operator "+hash+"\n}", ""))
	if got := s.ask("GET", s.page, "", "X-Forwarded-For", "192.0.2.1"); got.status != 401 {
		t.Errorf("without a password: got %d; want 401", got.status)
	}
	known := "Basic " + base64.StdEncoding.EncodeToString([]byte("operator:secret"))
	if got := s.ask("GET", s.page, "", "X-Forwarded-For", "192.0.2.1", "Host", "any.example", "Authorization", known); got.status != 200 {
		t.Errorf("with a password, from afar: got %d; want 200", got.status)
	}
	s.Reload(s.caddyfile("", "{\n hosts console.example\n}"))
	if got := s.ask("GET", s.page, "", "Host", "console.example"); got.status != 200 {
		t.Errorf("a listed name: got %d; want 200", got.status)
	}
	s.Reload(s.caddyfile("", "{\n insecure_without_auth\n}"))
	if got := s.ask("GET", s.page, "", "X-Forwarded-For", "192.0.2.1"); got.status != 200 {
		t.Errorf("without authentication on purpose: got %d; want 200", got.status)
	}
	if !strings.Contains(s.Tail(), "everybody who reaches it") {
		t.Error("the log does not warn of a dashboard without authentication")
	}
}

func TestChangesComeFromTheDashboardsOwnPage(t *testing.T) {
	s := newSite(t)
	url := s.page + "api/fsck/reset"
	for _, c := range []struct {
		headers []string
		status  int
	}{
		{[]string{header, "1", "Sec-Fetch-Site", "same-origin"}, 200},
		{[]string{header, "1", "Sec-Fetch-Site", "cross-site"}, 403},
		{[]string{header, "1", "Origin", "http://evil.example"}, 403},
		{[]string{"Content-Type", "application/x-www-form-urlencoded"}, 403},
	} {
		if got := s.ask("POST", url, "{}", c.headers...); got.status != c.status {
			t.Errorf("%v: got %d %s; want %d", c.headers, got.status, got.body, c.status)
		}
	}
	if got := s.ask("GET", url, ""); got.status != 405 || got.header.Get("Allow") != "POST" {
		t.Errorf("GET: got %d; want 405", got.status)
	}
	if got := s.ask("POST", s.page, "", header, "1"); got.status != 405 {
		t.Errorf("POST to the page: got %d; want 405", got.status)
	}
}

func TestEveryAnswerKeepsOtherSitesOut(t *testing.T) {
	s := newSite(t)
	for _, path := range []string{"", "app.js", "style.css", "icon.svg", "api/status", "api/none", "preview?fid=9"} {
		got := s.ask("GET", s.page+path, "")
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Cross-Origin-Resource-Policy": "same-origin",
		} {
			if got.header.Get(name) != want {
				t.Errorf("%s: got %s %q; want %q", path, name, got.header.Get(name), want)
			}
		}
	}
	page := s.ask("GET", s.page, "")
	policy := page.header.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"} {
		if !strings.Contains(policy, want) || strings.Contains(policy, "unsafe") {
			t.Errorf("got the policy %q; want %q in it, and nothing unsafe", policy, want)
		}
	}
	if got := s.ask("GET", s.page, "", "If-None-Match", page.header.Get("Etag")); got.status != 304 || got.body != "" {
		t.Errorf("the page again: got %d; want 304", got.status)
	}
}

func TestOnlyImagesAreShown(t *testing.T) {
	s := newSite(t)
	s.store("page.png", []byte("<!doctype html><script>alert(1)</script>"))
	s.store("drawing.svg", []byte(`<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>`))
	s.store("image.html", picture(t))
	for key, status := range map[string]int{"page.png": 415, "drawing.svg": 415, "image.html": 200, "none": 404} {
		got := s.ask("GET", s.page+"preview?domain=images&key="+key, "")
		if got.status != status {
			t.Errorf("%s: got %d %.100q; want %d", key, got.status, got.body, status)
		}
		if status == 200 && (got.header.Get("Content-Type") != "image/png" || got.body != string(picture(t)) ||
			!strings.Contains(got.header.Get("Content-Security-Policy"), "sandbox")) {
			t.Errorf("%s: got %v; want the image, in a sandbox", key, got.header)
		}
		if status != 200 && got.header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: got %q; want an error", key, got.header.Get("Content-Type"))
		}
	}
}

// reloadWithin is far below the time after which anything else ends a stream.
const reloadWithin = 30 * time.Second

func TestWatchersHoldUpNeitherAReloadNorTheEnd(t *testing.T) {
	s := newSite(t)
	streams := []*bufio.Reader{s.stream(), s.stream()}
	begin := time.Now()
	s.Reload(s.caddyfile("header X-New yes", ""))
	for _, stream := range streams {
		if _, err := io.Copy(io.Discard, stream); err != nil {
			t.Errorf("the stream ended with %v; want an end", err)
		}
	}
	if took := time.Since(begin); took > reloadWithin {
		t.Errorf("streams ended %v after the reload began; want at most %v", took, reloadWithin)
	}
	line, err := s.stream().ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "retry:") {
		t.Errorf("a new stream: got %q, %v; want it to begin", line, err)
	}
	s.stream()
	s.Stop() // fails when it takes long
}

// stream opens a stream of events.
func (s *site) stream() *bufio.Reader {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.page+"events", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	resp, err := s.http.Do(req)
	if err != nil || resp.StatusCode != 200 {
		s.t.Fatalf("open a stream: got %v, %v; want 200", resp, err)
	}
	s.t.Cleanup(func() { resp.Body.Close() })
	return bufio.NewReader(resp.Body)
}

func TestSamplesOutliveAReload(t *testing.T) {
	s := newSite(t)
	first := sampleOf(t, s.stream())
	s.Reload(s.caddyfile("header X-New yes", ""))
	process.Eventually(t, within, "the same samples", func() bool { return strings.HasPrefix(sampleOf(t, s.stream()), first) })
}

// sampleOf is the first sample of a stream.
func sampleOf(t *testing.T, stream *bufio.Reader) string {
	t.Helper()
	for {
		line, err := stream.ReadString('\n')
		if err != nil {
			t.Fatalf("the stream ended before a sample: %v", err)
		}
		if text, ok := strings.CutPrefix(line, "data: ["); ok {
			one, _, _ := strings.Cut(text, "}")
			return one
		}
	}
}
