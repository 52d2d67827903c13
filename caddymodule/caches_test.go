package caddymodule

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

// telling is the base with a content cache, whose answers say how they came to be.
var telling = changed("methods GET PUT DELETE", `methods GET PUT DELETE PURGE
			content_cache 8MiB
			cache_status
			server_timing
		}
		header {
			>X-Cache {http.mogilefs.cache}
			>X-File  {http.mogilefs.key}:{http.mogilefs.fid}:{http.mogilefs.copy}`)

// awaitInMemory reads a file until all that is needed for it is in memory.
func (r *rig) awaitInMemory(path string) reply {
	r.t.Helper()
	var got reply
	eventually(r.t, path+" from memory", func() bool {
		got = r.want(http.StatusOK, http.MethodGet, path, "")
		return got.header.Get("X-Cache") == "content" && strings.HasPrefix(got.header.Get("Cache-Status"), "mogilefs; hit")
	})
	return got
}

func TestContentsOutliveAReload(t *testing.T) {
	r := newRig(t)
	r.run(telling)
	r.want(http.StatusCreated, http.MethodPut, "/images/a.jpg", "picture")
	r.awaitInMemory("/images/a.jpg")
	r.run(strings.Replace(telling, "listen TRACKER", "listen TRACKER\n workers replicate 2", 1))
	if got := r.want(http.StatusOK, http.MethodGet, "/images/a.jpg", ""); got.header.Get("X-Cache") != "content" || got.body != "picture" {
		t.Errorf("got %q %q; want the picture from memory", got.header.Get("X-Cache"), got.body)
	}
	if got := pooled()[contentKind]; got != 1 {
		t.Errorf("got %d references to content caches; want 1", got)
	}
	r.want(http.StatusCreated, http.MethodPut, "/images/a.jpg", "another")
	r.wantBody("/images/a.jpg", "another")
	r.run(base)
	r.wantBody("/images/a.jpg", "another")
	if got := pooled()[contentKind]; got != 0 {
		t.Errorf("got %d references to content caches; want none", got)
	}
}

func TestPlaceholdersAndHeadersTellWhatBecameOfARequest(t *testing.T) {
	r := newRig(t)
	r.run(strings.Replace(telling, "http://PUBLIC {", `http://PUBLIC {
	handle_path /two/* {
		route {
			header >X-File {http.mogilefs.key}:{http.mogilefs.cache}
			mogilefs images {
				key first/{path}
				pass_thru
			}
			mogilefs images
		}
	}
	handle_errors {
		respond "{http.mogilefs.key} {http.mogilefs.cache}" {err.status_code}
	}`, 1))
	put := r.want(http.StatusCreated, http.MethodPut, "/images/a.jpg", "picture")
	file := strings.Split(put.header.Get("X-File"), ":")
	if len(file) != 3 || file[0] != "a.jpg" || `"`+file[1]+`"` != put.header.Get("Etag") || file[2] != "1" && file[2] != "2" {
		t.Errorf("PUT: got %q; want the key, fid %s, and device 1 or 2", file, put.header.Get("Etag"))
	}
	if got := put.header.Get("Server-Timing"); !strings.Contains(got, "close;dur=") {
		t.Errorf("PUT: got Server-Timing %q; want the close", got)
	}
	first := r.want(http.StatusOK, http.MethodGet, "/images/a.jpg", "")
	if got := first.header.Get("X-Cache"); got != "miss" || first.header.Get("Cache-Status") != "mogilefs; fwd=uri-miss; detail=miss" {
		t.Errorf("first GET: got %q, Cache-Status %q; want a miss", got, first.header.Get("Cache-Status"))
	}
	hit := r.awaitInMemory("/images/a.jpg")
	if got, want := hit.header.Get("X-File"), "a.jpg:"+file[1]+":"; got != want {
		t.Errorf("from memory: got %q; want %q", got, want)
	}
	if got := hit.header.Get("Cache-Status"); !strings.HasPrefix(got, "mogilefs; hit; ttl=") {
		t.Errorf("from memory: got Cache-Status %q; want a hit", got)
	}
	if got := r.want(http.StatusNotFound, http.MethodGet, "/images/none", "").body; got != "none miss" {
		t.Errorf("error page: got %q; want %q", got, "none miss")
	}
	// The handler that answers is the one that tells.
	if got := r.want(http.StatusOK, http.MethodGet, "/two/a.jpg", "").header.Get("X-File"); !strings.HasPrefix(got, "a.jpg:") {
		t.Errorf("after pass_thru: got %q; want the key of the second handler", got)
	}
}

func TestPurgedFilesAreAskedForAgain(t *testing.T) {
	admin := listenLoopback(t)
	admin.Close()
	addr := admin.Addr().String()
	r := newRig(t)
	r.run(strings.Replace(telling, "admin off", "admin "+addr, 1))
	post := func(body string, status int) string {
		t.Helper()
		resp, err := http.Post("http://"+addr+"/mogilefs/purge", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != status {
			t.Fatalf("purge %s: got %s %s; want %d", body, resp.Status, text, status)
		}
		return strings.TrimSpace(string(text))
	}
	for _, key := range []string{"a/1", "a/2", "b/1"} {
		r.want(http.StatusCreated, http.MethodPut, "/images/"+key, key)
	}
	for name, c := range map[string]struct {
		purge      func() string
		gone, left []string
		want       string
	}{
		"method": {
			func() string { return r.want(http.StatusNoContent, "PURGE", "/images/a/1", "").body },
			[]string{"a/1"},
			[]string{"a/2", "b/1"}, "",
		},
		"key": {
			func() string { return post(`{"domain": "images", "key": "a/2"}`, 200) },
			[]string{"a/2"},
			[]string{"a/1", "b/1"}, `{"locations":1,"contents":1}`,
		},
		"prefix": {
			func() string { return post(`{"domain": "images", "prefix": "a/"}`, 200) },
			[]string{"a/1", "a/2"},
			[]string{"b/1"}, `{"locations":2,"contents":2}`,
		},
		"domain": {
			func() string { return post(`{"domain": "images", "all": true}`, 200) },
			[]string{"a/1", "a/2", "b/1"},
			nil, `{"locations":3,"contents":3}`,
		},
		"another domain": {
			func() string { return post(`{"domain": "texts", "all": true}`, 200) },
			nil,
			[]string{"a/1", "a/2", "b/1"}, `{"locations":0,"contents":0}`,
		},
		"all": {
			func() string { return post(`{"all": true}`, 200) },
			[]string{"a/1", "a/2", "b/1"},
			nil, `{"locations":3,"contents":3}`,
		},
	} {
		for _, key := range append(c.gone, c.left...) {
			r.awaitInMemory("/images/" + key)
		}
		if got := c.purge(); got != c.want {
			t.Errorf("%s: got %q; want %q", name, got, c.want)
		}
		for _, key := range c.left {
			if got := r.want(http.StatusOK, http.MethodGet, "/images/"+key, "").header.Get("X-Cache"); got != "content" {
				t.Errorf("%s: %s: got %q; want it left in memory", name, key, got)
			}
		}
		for _, key := range c.gone {
			if got := r.want(http.StatusOK, http.MethodGet, "/images/"+key, "").header.Get("X-Cache"); got != "miss" {
				t.Errorf("%s: %s: got %q; want nothing remembered", name, key, got)
			}
		}
	}
	if got := post(`{"domain": "images"}`, 400); !strings.Contains(got, "key, prefix, and all") {
		t.Errorf("got %q; want the error to say what is missing", got)
	}
	r.want(http.StatusBadRequest, "PURGE", "/images/", "")
}

func TestPurgesThatSayTooLittleOrTooMuchAreRefused(t *testing.T) {
	if _, err := caddy.GetModule("admin.api.mogilefs"); err != nil {
		t.Fatal(err)
	}
	route := new(Admin).Routes()[0]
	for body, want := range map[string]string{
		``:                "one of key, prefix, and all",
		`{}`:              "one of key, prefix, and all",
		`{"domain": "d"}`: "one of key, prefix, and all",
		`{"key": "k"}`:    "domain",
		`{"prefix": "k"}`: "domain",
		`{"domain": "d", "key": "k", "all": true}`:       "one of key, prefix, and all",
		`{"domain": "d", "keys": ["k"]}`:                 "keys",
		`{"key": "` + strings.Repeat("k", 64<<10) + `"}`: "too large",
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/mogilefs/purge", strings.NewReader(body))
		err := route.Handler.ServeHTTP(httptest.NewRecorder(), r)
		failed, ok := err.(caddy.APIError)
		if !ok || failed.HTTPStatus != http.StatusBadRequest || !strings.Contains(failed.Error(), want) {
			t.Errorf("%.40s: got %v; want 400 with %q", body, err, want)
		}
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/mogilefs/purge", nil)
	if failed, ok := route.Handler.ServeHTTP(httptest.NewRecorder(), r).(caddy.APIError); !ok || failed.HTTPStatus != http.StatusMethodNotAllowed {
		t.Errorf("GET: got %v; want 405", failed)
	}
}

func TestContentCachesThatCantBeAreRefused(t *testing.T) {
	for word, want := range map[string]string{
		"content_cache 1KiB":                         "want at least",
		"content_cache 8MiB {\n max_object 2MiB\n }": "an eighth",
	} {
		r := newRig(t)
		if err := r.load(changed("methods GET", word+"\n methods GET")); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v; want an error with %q", word, err, want)
		}
	}
}
