package caddymodule

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// application is one that decides who sees what, by the path.
func application(r *rig) *httptest.Server {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		h := w.Header()
		h.Set("Set-Cookie", "seen=1")
		h.Set("X-Secret", "of the application")
		h.Set("Content-Type", "image/x-special")
		switch q.URL.Path {
		case "/key":
			h.Set("X-Mogile-Key", "dir/picture.png")
		case "/no-key":
			h.Set("X-Mogile-Key", "none")
		case "/urls":
			h.Set("X-REPROXY-URL", "http://10.99.99.99:7500/dev9/0/000/000/0000000001.fid http://"+r.node+"/dev1/0/000/000/0000000001.fid")
		case "/foreign":
			h.Set("X-REPROXY-URL", "http://"+q.Host+"/page ftp://x/dev1/0/000/000/0000000001.fid :")
		case "/gone":
			h.Set("X-REPROXY-URL", "http://"+r.node+"/dev1/0/000/000/0000000099.fid")
		case "/other-domain":
			h.Set("X-REPROXY-URL", "http://"+r.node+"/dev1/0/000/000/0000000002.fid")
		case "/forbidden":
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, "not for you")
		default:
			_, _ = io.WriteString(w, "a page")
		}
	}))
	r.t.Cleanup(srv.Close)
	return srv
}

// pageCaddyfile is the site block of the page.
func pageCaddyfile(t *testing.T) string {
	t.Helper()
	page, err := os.ReadFile("../docs/behind-an-application.md")
	if err != nil {
		t.Fatal(err)
	}
	_, block, _ := strings.Cut(string(page), "```caddyfile\n")
	block, _, ok := strings.Cut(block, "```")
	if !ok || !strings.Contains(block, "http://localhost:8080 {") {
		t.Fatalf("got %q out of the page; want a site", block)
	}
	return block
}

// TestAnApplicationNamesTheFile runs the Caddyfile of docs/behind-an-application.md.
func TestAnApplicationNamesTheFile(t *testing.T) {
	for name, tracker := range map[string]string{"tracker of this process": "", "remote tracker": "tracker TRACKER\n"} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			app := application(r)
			site := strings.NewReplacer(
				"localhost:8080", r.public, "localhost:8000", strings.TrimPrefix(app.URL, "http://"),
				"mogilefs images {", "mogilefs images {\n"+tracker,
			).Replace(pageCaddyfile(t))
			own := listenLoopback(t)
			own.Close()
			const uploads = "http://UPLOADS {\n mogilefs {\n domain {header.X-Domain}\n methods PUT\n }\n}\n"
			public, _, _ := strings.Cut(base, "http://PUBLIC")
			r.run(strings.Replace(public, "domain images", "domain images\n domain other", 1) +
				strings.Replace(uploads, "UPLOADS", own.Addr().String(), 1) + site)
			put(t, "http://"+own.Addr().String()+"/dir/picture.png", "images", "content") // fid 1
			put(t, "http://"+own.Addr().String()+"/hidden", "other", "secret")

			got := r.want(http.StatusOK, http.MethodGet, "/key", "", "X-Mogile-Key", "none")
			if got.body != "content" || got.header.Get("Content-Type") != "image/png" || got.header.Get("Set-Cookie") != "seen=1" {
				t.Errorf("key: got %q, %v; want the file as image/png, with the cookie", got.body, got.header)
			}
			for _, leaked := range []string{"X-Secret", "X-Mogile-Key", "X-Reproxy-Url"} {
				if v := got.header.Get(leaked); v != "" {
					t.Errorf("key: got %s: %s; want it kept back", leaked, v)
				}
			}
			if part := r.want(http.StatusPartialContent, http.MethodGet, "/key", "", "Range", "bytes=-3"); part.body != "ent" {
				t.Errorf("key: got %q of the range; want its end", part.body)
			}
			r.want(http.StatusNotModified, http.MethodGet, "/key", "", "If-None-Match", got.header.Get("Etag"))
			r.want(http.StatusNotFound, http.MethodGet, "/no-key", "")

			got = r.want(http.StatusOK, http.MethodGet, "/urls", "")
			if got.body != "content" || got.header.Get("Content-Type") != "image/x-special" || got.header.Get("X-Reproxy-Url") != "" {
				t.Errorf("urls: got %q, %v; want the file as the application calls it", got.body, got.header)
			}
			r.want(http.StatusOK, http.MethodHead, "/urls", "")
			r.want(http.StatusBadGateway, http.MethodGet, "/foreign", "")
			r.want(http.StatusNotFound, http.MethodGet, "/gone", "")
			r.want(http.StatusNotFound, http.MethodGet, "/other-domain", "")
			r.want(http.StatusMethodNotAllowed, http.MethodPut, "/key", "x")
			r.want(http.StatusMethodNotAllowed, http.MethodDelete, "/urls", "")

			if got := r.want(http.StatusForbidden, http.MethodGet, "/forbidden", ""); got.body != "not for you" {
				t.Errorf("forbidden: got %q; want the application's words", got.body)
			}
			r.wantBody("/page", "a page")
		})
	}
}

func put(t *testing.T, url, domain, content string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, url, strings.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Domain", domain)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusCreated {
		t.Fatalf("PUT %s: got %d; want 201", url, resp.StatusCode)
	}
}

func TestURLsOfCopiesAreRecognised(t *testing.T) {
	const seven = "/dev1/0/000/000/0000000007.fid"
	for urls, want := range map[string][]mogile.FID{
		"":                        nil,
		"http://10.0.0.1" + seven: {7},
		"  http://a:7500" + seven + "\thttps://b/dev2/0/000/000/0000000007.fid  http://c/dev2/0/000/000/0000000008.fid ": {7, 8},
		"http://a" + seven + "?x=1": {7},
		seven:                       nil,
		"file://" + seven:           nil,
		"http://a/x" + seven:        nil,
		"http://a/dev1/0/000/000/0000000007.fid/..":                     nil,
		"http://a/dev1/0/000/001/0000000007.fid":                        nil,
		"http://a/dev1/0/000/000/0000000000.fid":                        nil,
		strings.Repeat("http://a/ ", maxReproxied) + "http://a" + seven: nil,
	} {
		if got := fidsOf(urls); !slices.Equal(got, want) {
			t.Errorf("%q: got %v; want %v", urls, got, want)
		}
	}
}
