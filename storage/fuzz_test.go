package storage_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/storage"
)

// FuzzPath sends any path with every method, and looks whether something outside the
// devices was read or changed.
func FuzzPath(f *testing.F) {
	for _, path := range []string{
		fidPath, "/", "//dev1/x", "/dev1/../secret", "/dev1/..", "/secret", "/dev1/out/secret", "/dev1/usage",
		"/dev1/a\x00/../x", "/dev1/./x", "/dev1/a.c0123456789abcdef.tmp", "dev1/x", "", "*", "/dev01/x", "/dev1//x",
	} {
		f.Add(path)
	}
	base := f.TempDir()
	secret := filepath.Join(base, "secret")
	if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
		f.Fatal(err)
	}
	root := filepath.Join(base, "root")
	n, err := storage.Open(storage.Config{Root: root, Devices: []mogile.DevID{1}, Fast: true})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { n.Close() })
	if err := os.Symlink(base, filepath.Join(root, "dev1", "out")); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, path string) {
		for _, method := range []string{"PUT", "GET", "HEAD", "MKCOL", "DELETE"} {
			w := httptest.NewRecorder()
			r := httptest.NewRequest(method, "/", strings.NewReader("body"))
			r.URL = &url.URL{Path: path}
			n.ServeHTTP(w, r)
			if strings.Contains(w.Body.String(), "secret\x00") || w.Body.String() == "secret" {
				t.Errorf("%s %q read the secret", method, path)
			}
			if w.Code >= http.StatusInternalServerError {
				t.Errorf("%s %q: got %d", method, path, w.Code)
			}
			checkOutside(t, base, method+" "+path)
		}
	})
}

// checkOutside looks at everything that must never change.
func checkOutside(t *testing.T, base, what string) {
	t.Helper()
	if b, err := os.ReadFile(filepath.Join(base, "secret")); string(b) != "secret" {
		t.Fatalf("%q: the secret is %q, %v", what, b, err)
	}
	if _, err := os.Stat(filepath.Join(base, "root", "dev1", "usage")); err != nil {
		t.Fatalf("%q: usage: %v", what, err)
	}
	for dir, want := range map[string]string{base: "root secret", filepath.Join(base, "root"): "dev1"} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, e := range entries {
			names = append(names, e.Name())
		}
		if got := strings.Join(names, " "); got != want {
			t.Fatalf("%q: %s holds %s; want %s", what, dir, got, want)
		}
	}
}
