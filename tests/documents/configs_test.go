package documents

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mogilefs/caddy-mogilefs/tests/database"
	"github.com/mogilefs/caddy-mogilefs/tests/process"
)

func TestMain(m *testing.M) { database.Main(m) }

// answerWithin bounds how long a site that has just been started may take to answer.
const answerWithin = time.Minute

// TestEveryCaddyfileOfThePagesRuns adapts each with the real command, makes it private, runs
// it, and asks what it serves.
func TestEveryCaddyfileOfThePagesRuns(t *testing.T) {
	binary := process.PlainBinary(t)
	others := process.NewCluster(t, process.ClusterOptions{Binary: binary})
	app := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(app.Close)
	n := 0
	for _, c := range caddyfiles(t) {
		n++
		t.Run(strings.ReplaceAll(c.name, "/", "_"), func(t *testing.T) {
			p := &private{t: t, dir: t.TempDir(), ports: map[string]int{}, tracker: others.TrackerAddr, app: app.Listener.Addr().String()}
			config := adapt(t, binary, c.text)
			p.config(config)
			caddy := process.Start(t, process.Options{Dir: p.dir, Binary: binary, JSON: true, Caddyfile: toJSON(t, config), Ready: p.connect})
			for _, u := range p.ask {
				answered(t, u)
			}
			caddy.Stop()
		})
	}
	if n < 20 {
		t.Errorf("got %d Caddyfiles; want those of all pages", n)
	}
}

// caddyfile is a whole one, with the place where it stands.
type caddyfile struct{ name, text string }

// caddyfiles are those of the pages, and the files of the repository that are one.
func caddyfiles(t *testing.T) []caddyfile {
	t.Helper()
	var found []caddyfile
	for _, b := range all(t, "caddyfile") {
		if b.excuse == "" {
			found = append(found, caddyfile{b.String(), complete(b.text)})
		}
	}
	files := []string{"Caddyfile.example"}
	more, err := filepath.Glob(filepath.Join(root, "packaging", "*", "Caddyfile*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range more {
		rel, err := filepath.Rel(root, name)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, rel)
	}
	for _, name := range files {
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, caddyfile{name, string(text)})
	}
	return found
}

func adapt(t *testing.T, binary, text string) object {
	t.Helper()
	file := filepath.Join(t.TempDir(), "Caddyfile")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), binary, "adapt", "--config", file, "--adapter", "caddyfile")
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("adapt: %v\n%s\n%s", err, errs.String(), text)
	}
	config := object{}
	if err := json.Unmarshal(out.Bytes(), &config); err != nil {
		t.Fatalf("adapt: %v\n%s", err, out.String())
	}
	return config
}

// answered asks for a URL whose user is the name of the host that is asked for.
func answered(t *testing.T, raw string) {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	addr, host := u.Host, u.User.Username()
	u.User, u.Host = nil, host
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true, ServerName: host},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, addr)
		},
	}
	defer transport.CloseIdleConnections()
	client := http.Client{Transport: transport, Timeout: answerWithin, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	last := ""
	process.Eventually(t, answerWithin, fmt.Sprintf("answer of %s; the last was the one logged", raw), func() bool {
		resp, err := client.Get(u.String())
		if err != nil {
			last = err.Error() // a certificate may still be made
			return false
		}
		resp.Body.Close()
		last = resp.Status
		return true
	})
	if strings.HasPrefix(last, "500") || strings.HasPrefix(last, "502") || strings.HasPrefix(last, "501") {
		t.Errorf("%s: got %s; want an answer", raw, last)
	}
}
