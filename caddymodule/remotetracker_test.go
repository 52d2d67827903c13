package caddymodule

import (
	"context"
	"crypto/sha1"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/edge"
	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tests/process"
	"github.com/mogilefs/caddy-mogilefs/tracker"
	"github.com/mogilefs/caddy-mogilefs/tracker/client"
)

// remote is the base whose edge asks a dead tracker and the one of this process, over
// the wire.
func (r *rig) remote(more string) string {
	ln := listenLoopback(r.t)
	ln.Close()
	return changed("methods GET PUT DELETE", "methods GET PUT DELETE\n tracker "+ln.Addr().String()+" TRACKER\n"+more)
}

func TestTheEdgeServesFromRemoteTrackers(t *testing.T) {
	r := newRig(t)
	r.run(strings.Replace(r.remote("class {header.X-Class}"), "domain images", "domain images {\n class summed 1 {\n hashtype SHA-1\n }\n }", 1))

	etag := r.want(http.StatusCreated, http.MethodPut, "/images/key", "old content").header.Get("Etag")
	r.wantBody("/images/key", "old content")
	if got := r.want(http.StatusPartialContent, http.MethodGet, "/images/key", "", "Range", "bytes=0-2").header.Get("Etag"); got != etag {
		t.Errorf("got etag %s; want that of the PUT, %s", got, etag)
	}
	r.want(http.StatusCreated, http.MethodPut, "/images/key", "new content")
	r.wantBody("/images/key", "new content")
	r.want(http.StatusCreated, http.MethodPut, "/images/empty", "")
	r.wantBody("/images/empty", "")
	r.want(http.StatusNoContent, http.MethodDelete, "/images/key", "")
	r.want(http.StatusNotFound, http.MethodGet, "/images/key", "")
	r.want(http.StatusNotFound, http.MethodDelete, "/images/key", "")
	r.want(http.StatusBadRequest, http.MethodPut, "/images/key", "x", "X-Class", "nosuch")

	const odd = "a b&c=d+e/ä%"
	r.want(http.StatusCreated, http.MethodPut, "/images/"+url.PathEscape(odd), "odd")
	r.wantBody("/images/"+url.PathEscape(odd), "odd")

	// The class's checksum, although create_open does not tell what it is.
	r.want(http.StatusCreated, http.MethodPut, "/images/sum", "summed", "X-Class", "summed")
	want := fmt.Sprintf("checksum=SHA-1:%x", sha1.Sum([]byte("summed")))
	if got := r.say("file_info domain=images&key=sum"); !strings.Contains(got, want) {
		t.Errorf("got %q; want %s", got, want)
	}
}

func TestARemoteTrackersUnknownDomainIsNotFound(t *testing.T) {
	r := newRig(t)
	r.run(strings.Replace(r.remote(""), "mogilefs images {", "mogilefs undeclared {", 1))
	r.want(http.StatusNotFound, http.MethodGet, "/images/key", "")
	r.want(http.StatusNotFound, http.MethodPut, "/images/key", "x")
}

// A change through one handler shows at once through all others that ask remote
// trackers, whatever their caches.
func TestCachesHearOfChangesThroughOtherHandlers(t *testing.T) {
	r := newRig(t)
	other := "handle_path /other/* {\n mogilefs images {\n tracker TRACKER\n zone alt\n location_cache 2MiB {\n ttl 1h\n negative_ttl 1h\n }\n }\n }\n"
	r.run(strings.Replace(r.remote("location_cache {\n ttl 1h\n }"), "http://PUBLIC {", "http://PUBLIC {\n"+other, 1))
	r.want(http.StatusNotFound, http.MethodGet, "/other/key", "")
	for _, content := range []string{"first", "second"} {
		r.want(http.StatusCreated, http.MethodPut, "/images/key", content)
		r.wantBody("/other/key", content)
		r.wantBody("/images/key", content)
	}
	r.want(http.StatusNoContent, http.MethodDelete, "/images/key", "")
	r.want(http.StatusNotFound, http.MethodGet, "/other/key", "")
}

// Of what others change nobody tells, so a cached location may name bytes that are gone.
func TestAFileThatIsGoneIsAskedForAgain(t *testing.T) {
	r := newRig(t)
	// This one asks the tracker of this process, so that the other is not told.
	direct := "handle_path /direct/* {\n mogilefs images {\n methods GET PUT DELETE\n }\n }\n"
	r.run(strings.Replace(r.remote("location_cache {\n ttl 1h\n }"), "http://PUBLIC {", "http://PUBLIC {\n"+direct, 1))
	for _, content := range []string{"first", "second"} {
		r.want(http.StatusCreated, http.MethodPut, "/direct/key", content)
		r.wantBody("/images/key", content)
		r.want(http.StatusNoContent, http.MethodDelete, "/direct/key", "")
		eventually(t, "deletion of all copies", func() bool { return r.contents() == 0 })
	}
	r.want(http.StatusNotFound, http.MethodGet, "/images/key", "")
}

// contents counts the files on the devices.
func (r *rig) contents() int {
	r.t.Helper()
	files, err := filepath.Glob(r.path("storage/dev*/*/*/*/*.fid"))
	if err != nil {
		r.t.Fatal(err)
	}
	return len(files)
}

func TestAnUploadThroughRemoteTrackersOutlivesAReload(t *testing.T) {
	r := newRig(t)
	config := r.remote("")
	r.run(config)
	for _, next := range []string{config, r.remote("timeouts {\n tracker 3s\n }"), base} {
		finish := r.slowPut("/images/slow", "first ", "second")
		if err := r.load(next); err != nil {
			t.Fatalf("reload: %v", err)
		}
		finish()
		r.wantBody("/images/slow", "first second")
	}
}

func TestAReloadKeepsTheConnectionsToRemoteTrackers(t *testing.T) {
	r := newRig(t)
	config := r.remote("")
	r.run(config)
	before := pooledClient(t)
	r.run(strings.Replace(config, "methods GET", "cache_control no-cache\n methods GET", 1))
	if after := pooledClient(t); after != before {
		t.Error("got another client after a reload; want the same")
	}
}

// pooledClient is the one client in the pool.
func pooledClient(t *testing.T) *shared[*client.Client] {
	t.Helper()
	return pooledPart[*client.Client](t, "tracker client")
}

func pooledPart[T interface{ Close() error }](t *testing.T, kind string) *shared[T] {
	t.Helper()
	var found []*shared[T]
	pool.Range(func(key, value any) bool {
		if key.(poolKey).kind == kind {
			found = append(found, value.(*shared[T]))
		}
		return true
	})
	if len(found) != 1 {
		t.Fatalf("got %d of %s in the pool; want 1", len(found), kind)
	}
	return found[0]
}

func TestZonesChooseTheHostsAddresses(t *testing.T) {
	r := newRig(t)
	r.run(r.remote(""))
	r.want(http.StatusCreated, http.MethodPut, "/images/key", "content")
	if got := r.say("update_host host=node1&altip=10.9.9.9&altmask=10.0.0.0/8"); !strings.HasPrefix(got, "OK ") {
		t.Fatalf("update_host: got %q; want OK", got)
	}
	local, far := pooledPart[*tracker.Tracker](t, "tracker"), pooledClient(t)
	changed := func(mogile.DomainName, mogile.Key) {}
	node, _, _ := strings.Cut(r.node, ":")
	for name, tc := range map[string]struct {
		tracker edge.Tracker
		client  string
		want    string
	}{
		"local":                     {localTracker{shared: local}, "10.1.1.1", node},
		"local alt":                 {localTracker{shared: local, alt: true}, "127.0.0.1", "10.9.9.9"},
		"client inside":             {localTracker{shared: local, byClient: true}, "10.1.1.1", "10.9.9.9"},
		"client outside":            {localTracker{shared: local, byClient: true}, "127.0.0.1", node},
		"client without an address": {localTracker{shared: local, byClient: true}, "", node},
		"remote":                    {remoteTracker{shared: far, changed: changed, hashes: new(classHashes), log: zap.NewNop()}, "10.1.1.1", node},
		"remote alt": {
			remoteTracker{shared: far, changed: changed, hashes: new(classHashes), log: zap.NewNop(), zone: client.AltZone}, "10.1.1.1", "10.9.9.9",
		},
	} {
		ctx := context.WithValue(t.Context(), caddyhttp.VarsCtxKey, map[string]any{caddyhttp.ClientIPVarKey: tc.client})
		loc, err := tc.tracker.Locate(ctx, "images", "key")
		if err != nil || len(loc.Copies) == 0 || !strings.HasPrefix(loc.Copies[0].URL, "http://"+tc.want+":") {
			t.Errorf("%s: got %+v, %v; want copies at %s", name, loc, err, tc.want)
		}
		opened, err := tc.tracker.Open(ctx, edge.Upload{Domain: "images", Key: "other", Size: -1})
		if err != nil || !strings.HasPrefix(opened.Destinations[0].URL, "http://"+tc.want+":") {
			t.Errorf("%s: got %+v, %v; want an upload to %s", name, opened, err, tc.want)
			continue
		}
		// The path must be in the zone that it was opened in, or it would be refused.
		if err := tc.tracker.Abandon(ctx, "images", opened.FID, opened.Destinations[0]); err != nil {
			t.Errorf("%s: abandon: %v", name, err)
		}
		if got := r.say("file_debug fid=" + opened.FID.String()); strings.Contains(got, "tempfile_") {
			t.Errorf("%s: got %q; want no upload left", name, got)
		}
	}
}

func TestAnUploadWithoutADestinationIsLeftToTheSweep(t *testing.T) {
	if err := (remoteTracker{}).Abandon(t.Context(), "images", 7); err != nil {
		t.Errorf("got %v; want no error, and nobody asked", err)
	}
}

func TestWithClientZoneEveryRequestAsksTheTracker(t *testing.T) {
	r := newRig(t)
	r.run(changed("methods GET", "client_zone\n methods GET"))
	r.want(http.StatusCreated, http.MethodPut, "/images/key", "content")
	r.wantBody("/images/key", "content")
	if n := pooled()["location cache"]; n != 0 {
		t.Errorf("got %d location caches; want none", n)
	}
}

func TestHandlersThatCantBeAreRefused(t *testing.T) {
	const tracker = `"tracker": {"addresses": ["127.0.0.1:7001"]}`
	t.Setenv("MOGILEFS_TEST_NOBODY", "")
	missing := filepath.Join(t.TempDir(), "missing.pem")
	for handler, want := range map[string]string{
		``:                                       "name remote ones",
		tracker + `, "reproxy": "a", "key": "b"`: "leave key and methods out",
		tracker + `, "reproxy": "a", "methods": ["PUT"]`:                                                               "leave key and methods out",
		tracker + `, "signed": {}`:                                                                                     "want one at least",
		tracker + `, "signed": {"keys": [{"id": "a", "secret": "short"}]}`:                                             "5 bytes",
		tracker + `, "signed": {"keys": [{"id": "a", "secret": "{env.MOGILEFS_TEST_NOBODY}"}]}`:                        "MOGILEFS_TEST_NOBODY",
		tracker + `, "upload": {"copies": 6}`:                                                                          "want 1 to 5",
		`"tracker": {}`:                                                                                                "no tracker",
		`"tracker": {"addresses": ["a:b:c"]}`:                                                                          `tracker address "a:b:c"`,
		`"tracker": {"addresses": ["tracker:0"]}`:                                                                      "port",
		`"tracker": {"addresses": ["http://tracker"]}`:                                                                 "tls://host:port",
		`"tracker": {"addresses": ["a", "a:7001"]}`:                                                                    "the same tracker",
		`"tracker": {"addresses": ["{env.MOGILEFS_TEST_NOBODY}"]}`:                                                     "MOGILEFS_TEST_NOBODY",
		`"tracker": {"addresses": ["a"], "tls": {"server_name": "b"}}`:                                                 "put tls:// before",
		`"tracker": {"addresses": ["tls://a"], "tls": {"handshake_timeout": 1}}`:                                       "handshake_timeout",
		`"tracker": {"addresses": ["tls://a"], "tls": {"client_certificate_file": "x"}}`:                               "client_certificate_key_file",
		`"tracker": {"addresses": ["tls://a"], "tls": {"ca": {"provider": "file", "pem_files": ["` + missing + `"]}}}`: "missing.pem",
		tracker + `, "zone": "near"`:                                                                                   "no other zone than alt",
		tracker + `, "client_zone": true`:                                                                              "the address of this edge, not of its clients",
		tracker + `, "timeouts": {"tracker": -1}`:                                                                      "timeouts",
	} {
		if err := validateHandler(t, handler); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v; want an error with %q", handler, err, want)
		}
	}
	for _, handler := range []string{
		tracker, tracker + `, "zone": "alt"`,
		`"tracker": {"addresses": ["tls://a", "b", "[::1]:7002"], "tls": {"insecure_skip_verify": true}}`,
	} {
		if err := validateHandler(t, handler); err != nil {
			t.Errorf("%s: got %v; want no error", handler, err)
		}
	}
	if left := pooled(); len(left) > 0 {
		t.Errorf("got %v in the pool; want nothing", left)
	}
}

func TestClientZoneCantBeCombined(t *testing.T) {
	for want, h := range map[string]*Handler{
		"one of them":     {ClientZone: true, Zone: zoneAlt, LocationCache: &LocationCache{Off: true}},
		"can't be cached": {ClientZone: true, LocationCache: new(LocationCache)},
	} {
		if err := h.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: got %v; want an error with %q", h, err, want)
		}
	}
}

// validateHandler validates a config with one edge, and no app.
func validateHandler(t *testing.T, handler string) error {
	t.Helper()
	if handler != "" {
		handler = ", " + handler
	}
	var config caddy.Config
	text := fmt.Sprintf(`{"admin": {"disabled": true}, "apps": {"http": {"servers": {"s": {"listen": ["127.0.0.1:0"],
		"routes": [{"handle": [{"handler": "mogilefs"%s}]}]}}}}}`, handler)
	if err := json.Unmarshal([]byte(text), &config); err != nil {
		t.Fatal(err)
	}
	return caddy.Validate(&config)
}

func TestANodeEntersItselfInRemoteTrackers(t *testing.T) {
	r := newRig(t)
	const second = "127.0.0.2:7500" // addresses of hosts are unique; nobody listens there
	more := "storage node2 {\n root {env.MOGILEFS_TEST_DIR}/second\n devices 7 8\n address " + second + "\n management off\n register TRACKER\n }\n domain images"
	// Nodes start before the tracker listens, so the first try is in vain.
	r.run(changed("domain images", more, "mogilefs_storage", "mogilefs_storage node1"))
	eventually(t, "second node in the tracker", func() bool {
		return strings.Contains(r.say("get_hosts"), "hostname=node2") && strings.Count(r.say("get_devices"), "_devid=") == 4
	})
	for _, want := range []string{"hostip=127.0.0.2", "status=alive", "http_port=7500"} {
		if got := r.say("get_hosts"); !strings.Contains(got, want) {
			t.Errorf("got %q; want %s in it", got, want)
		}
	}
}

func TestANodeServesWhileItsTrackersCantBeReached(t *testing.T) {
	r := newRig(t)
	ln := listenLoopback(t)
	dead := ln.Addr().String()
	ln.Close()
	alone := `{
	admin off
	persist_config off
	storage file_system DIR/caddy
	mogilefs {
		storage node1 {
			root {env.MOGILEFS_TEST_DIR}/storage
			devices 1
			address NODE
			management off
			register ` + dead + `
		}
	}
}

http://:NODEPORT {
	bind 127.0.0.1
	mogilefs_storage
}
`
	if err := r.load(alone); err != nil {
		t.Fatalf("load: %v", err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://"+r.node+mogile.FID(1).Path(1), strings.NewReader("content"))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := process.SendOverReload(http.DefaultClient, req)
	if err != nil || resp.StatusCode != http.StatusCreated {
		t.Fatalf("PUT to the node: got %v, %v; want 201", resp, err)
	}
	resp.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	if _, err := os.Stat(r.path("storage" + mogile.FID(1).Path(1))); err != nil {
		t.Errorf("got %v; want the file on the device", err)
	}
	// newRig stops it all, which must end the tries.
}

func TestNodesThatCantBeEnteredAreRefused(t *testing.T) {
	for storage, want := range map[string]string{
		`"root": "a", "management": "off", "register_at": {"addresses": ["tracker"]}`: "address <ip:port>",
		node + `, "register_at": {}`:                                                      "no tracker",
		node + `, "register_at": {"addresses": ["tracker:x"]}`:                            "port",
		node + `, "register_at": {"addresses": ["tracker"], "tls": {"server_name": "x"}}`: "put tls:// before",
	} {
		if err := validate(t, `{"storage": {"n": {`+storage+`}}}`); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v; want an error with %q", storage, err, want)
		}
	}
	long := strings.Repeat("n", 41)
	err := validate(t, `{"storage": {"`+long+`": {`+node+`, "register_at": {"addresses": ["tracker"]}}}}`)
	if err == nil || !strings.Contains(err.Error(), "41 characters") {
		t.Errorf("a name of 41 characters: got %v; want an error that counts them", err)
	}
}

func TestErrorsOfRemoteTrackersAreTheEdges(t *testing.T) {
	if err := asEdgeError(fmt.Errorf("close: %w", client.ErrLost)); errors.Is(err, edge.ErrUnknownKey) || !errors.Is(err, client.ErrLost) {
		t.Errorf("got %v; want an error that stays what it is", err)
	}
}

func TestAMissingCopyIsToldToRemoteTrackers(t *testing.T) {
	r := newRig(t)
	r.run(r.remote(""))
	r.want(http.StatusCreated, http.MethodPut, "/images/key", "content")
	files, err := filepath.Glob(r.path("storage/dev*/*/*/*/*.fid"))
	if err != nil || len(files) == 0 {
		t.Fatalf("got files %v, %v; want the copies", files, err)
	}
	for _, f := range files {
		if err := os.Remove(f); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := r.send(http.MethodGet, "/images/key", nil); err != nil || got.status < 400 {
		t.Errorf("got %v, %v; want an error", got, err)
	}
	eventually(t, "fsck to look at the file", func() bool { return strings.Contains(r.say("fsck_getlog"), "fid=1") })
}

func TestTrackersThatCantCheckAFileAreLeftAlone(t *testing.T) {
	r := newRig(t)
	r.run(strings.ReplaceAll(r.remote(""), "tracker TRACKER", "tracker "+r.oldTracker()))
	far := remoteTracker{shared: pooledClient(t), log: zap.NewNop()}
	for _, fid := range []mogile.FID{1, 1 << 40} {
		if err := far.Repair(t.Context(), fid); err != nil {
			t.Errorf("fid %d: got %v; want nothing said", fid, err)
		}
	}
}
