package cli_test

import (
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mogilefs/caddy-mogilefs/cli"
)

func secretFile(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// The page's example, which openssl made as well.
func TestSignMakesTheURLOfThePage(t *testing.T) {
	const want = "/images/a.jpg?mogile-key=2026&mogile-expires=1800000000&mogile-signature="
	page, err := os.ReadFile("../docs/signed-urls.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(page), want)
	sum, _, _ := strings.Cut(rest, "\n")
	if !found {
		t.Fatalf("docs/signed-urls.md has no %q", want)
	}
	name := secretFile(t, "0123456789abcdef\n")
	stdout, stderr, code := run(t, cli.Env{}, "sign", "--key=2026", "--secret="+name, "--expires=1800000000", "/images/a.jpg", "https://b.example/c")
	lines := strings.Split(stdout, "\n")
	if code != 0 || stderr != "" || lines[0] != want+sum || !strings.HasPrefix(lines[1], "https://b.example/c?mogile-key=") {
		t.Errorf("got %d, %q, %q; want 0 and %q", code, stdout, stderr, want+sum)
	}
}

func TestSignedURLsAreGoodForAnHour(t *testing.T) {
	for words, span := range map[string]time.Duration{"--method=PUT": time.Hour, "--for=10m": 10 * time.Minute} {
		stdout, _, _ := run(t, cli.Env{}, "sign", "--key=a", "--secret="+secretFile(t, "0123456789abcdef"), words, "/a")
		u, err := url.Parse(strings.TrimSpace(stdout))
		if err != nil {
			t.Fatal(err)
		}
		at, err := strconv.ParseInt(u.Query().Get("mogile-expires"), 10, 64)
		if left := time.Until(time.Unix(at, 0)); err != nil || left > span || left < span-time.Minute {
			t.Errorf("%s: got %q, good for %v; want %v", words, stdout, left, span)
		}
	}
}

func TestWhatCannotBeSignedIsRefused(t *testing.T) {
	name := secretFile(t, "0123456789abcdef\r\n")
	for words, want := range map[string]string{
		"sign /a":                                                    "want a key and its secret",
		"sign --key=a --secret=/nonexistent /a":                      "read secret",
		"sign --key=a/b --secret=" + name + " /a":                    "want letters, digits",
		"sign --key=a --secret=- /a":                                 "its secret has 0 bytes",
		"sign --key=a --secret=" + name + " a.jpg":                   "begins with a slash",
		"sign --key=a --for=soon --secret=" + name + " /a":           "want a time such as",
		"sign --key=a --expires=soon --secret=" + name + " /a":       "want seconds since 1970",
		"sign --key=a --for=1h --expires=1 --secret=" + name + " /a": "say the same",
		"sign --key=a --method=HEAD --secret=" + name + " /a":        "GET for HEAD",
	} {
		stdout, stderr, code := run(t, cli.Env{}, strings.Fields(words)...)
		if code != 1 || stdout != "" || !strings.Contains(stderr, want) {
			t.Errorf("%s: got %d, %q, %q; want 1 and %q", words, code, stdout, stderr, want)
		}
	}
}
