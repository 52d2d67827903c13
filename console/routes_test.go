package console

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/mogilefs/caddy-mogilefs/tracker/client"
	"github.com/mogilefs/caddy-mogilefs/tracker/protocol"
)

// scripted is trackers that answer every command with the same, and remember the last.
type scripted struct {
	values protocol.Values
	err    error
	line   string
}

func (s *scripted) Do(_ context.Context, command string, args protocol.Pairs) (protocol.Values, error) {
	s.line = strings.TrimSpace(string(protocol.AppendRequest(nil, command, args)))
	return s.values, s.err
}

// ask returns the status and the text of an answer or an error.
func ask(t *testing.T, c *Console, method, target, body string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(t.Context(), method, "/"+target, strings.NewReader(body))
	err := c.Serve(w, r, strings.TrimPrefix(r.URL.Path, "/"))
	var failed *Error
	switch {
	case errors.As(err, &failed):
		return failed.Status, failed.Error()
	case err != nil:
		t.Fatalf("%s %s: got %v; want an *Error", method, target, err)
	}
	return w.Code, strings.TrimSpace(w.Body.String())
}

func newConsole(t *testing.T, config Config) *Console {
	t.Helper()
	c := New(config)
	t.Cleanup(c.Close)
	return c
}

func TestWhatMakesNoSenseIsRefusedWithTheWayOut(t *testing.T) {
	c := newConsole(t, Config{Trackers: &scripted{values: protocol.Values{}}})
	for _, s := range []struct {
		method, target, body string
		status               int
		want                 string
	}{
		{"GET", "nonsense", "", 404, "fsck/start"},
		{"DELETE", "status", "", 405, "status takes GET"},
		{"GET", "fsck/start", "", 405, "takes POST"},
		{"PUT", "jobs", "", 405, "GET and POST"},
		{"GET", "status?verbose=1", "", 400, `"verbose" is unknown`},
		{"GET", "keys?domain=a&domain=b", "", 400, "given 2 times"},
		{"GET", "keys", "", 400, "domain is missing"},
		{"GET", "file", "", 400, "a domain and a key, or a fid"},
		{"GET", "file?fid=x", "", 400, "fid"},
		{"GET", "file?fid=1&key=k", "", 400, "not both"},
		{"GET", "file?fid=1", "", 404, "no rows"},
		{"GET", "fsck/log?after=x", "", 400, "logid"},
		{"POST", "device", `{"host":"h","devid":1,"status":"broken"}`, 400, "alive, readonly, drain, down or dead"},
		{"POST", "device", `{"host":"h","devid":1}`, 400, "status, weight, or both"},
		{"POST", "device", `{"devid":1,"status":"dead"}`, 400, "host or devid is missing"},
		{"POST", "device", `{"host":"h","devid":-1}`, 400, "read the body"},
		{"POST", "host", `{"host":"h","status":"drain"}`, 400, "host state"},
		{"POST", "host", `{"status":"alive"}`, 400, "host is missing"},
		{"POST", "fsck/start", `{"now":true}`, 400, "unknown field"},
		{"POST", "fsck/start", `{} {}`, 400, "more than one"},
		{"POST", "fsck/start", `[`, 400, "want a JSON object"},
		{"POST", "rebalance/policy", `{}`, 400, "policy is missing"},
		{"POST", "purge", `{}`, 400, "one of key, prefix, and all"},
		{"POST", "purge", `{"key":"` + strings.Repeat("k", maxBody) + `"}`, 400, "too large"},
		{"GET", "queues", "", 501, "this one asks trackers of other processes"},
		{"GET", "jobs", "", 501, "ask there"},
		{"POST", "jobs", `{"job":"replicate","workers":1}`, 501, "ask there"},
	} {
		if status, text := ask(t, c, s.method, s.target, s.body); status != s.status || !strings.Contains(text, s.want) {
			t.Errorf("%s %s %.40s: got %d %q; want %d with %q", s.method, s.target, s.body, status, text, s.status, s.want)
		}
	}
}

func TestRefusalsOfTrackersHaveAStatusAndAWayOut(t *testing.T) {
	for err, want := range map[error]struct {
		status int
		text   string
	}{
		protocol.Fail(protocol.FsckRunning):   {409, "fsck/stop"},
		protocol.Fail(protocol.UnregDomain):   {404, "topology lists the domains"},
		protocol.Fail(protocol.DB):            {503, "database"},
		protocol.Fail(protocol.NotAllowed):    {403, "admin_allow"},
		protocol.Fail(protocol.InvalidFormat): {400, "invalid_format"},
		client.ErrUnreachable:                 {503, "no tracker answers"},
	} {
		c := newConsole(t, Config{Trackers: &scripted{err: err}})
		if status, text := ask(t, c, "POST", "fsck/start", ""); status != want.status || !strings.Contains(text, want.text) {
			t.Errorf("%v: got %d %q; want %d with %q", err, status, text, want.status, want.text)
		}
	}
}

func TestAProcessThatKnowsNoTrackerSaysWhatItIs(t *testing.T) {
	c := newConsole(t, Config{Storage: []string{"node1"}, Version: "v1"})
	status, text := ask(t, c, "GET", "status", "")
	var s Status
	if err := json.Unmarshal([]byte(text), &s); err != nil || status != 200 {
		t.Fatalf("got %d %q (%v); want a status", status, text, err)
	}
	if s.Health != Unknown || s.Cluster != nil || s.Process.Tracker || len(s.Process.Storage) != 1 || len(s.Problems) != 1 {
		t.Errorf("got %+v; want what the process is, and one problem", s)
	}
	for _, target := range []string{"topology", "queues", "fsck", "file?fid=1"} {
		if status, text := ask(t, c, "GET", target, ""); status != http.StatusServiceUnavailable || !strings.Contains(text, "tracker <address>") {
			t.Errorf("%s: got %d %q; want 503 with the way out", target, status, text)
		}
	}
	if status, text := ask(t, c, "POST", "purge", `{"all":true}`); status != 200 || text != `{"locations":0,"contents":0}` {
		t.Errorf("purge: got %d %q; want nothing forgotten", status, text)
	}
}

func TestChangesAreCommandsOfTheProtocol(t *testing.T) {
	trackers := &scripted{values: protocol.Values{}}
	c := newConsole(t, Config{Trackers: trackers})
	for _, s := range []struct{ path, body, want string }{
		{"fsck/start", "", "fsck_start"},
		{"fsck/stop", "{}", "fsck_stop"},
		{"fsck/reset", `{"policy_only":true,"startpos":7}`, "fsck_reset policy_only=1&startpos=7"},
		{"fsck/clearlog", "", "fsck_clearlog"},
		{"rebalance/policy", `{"policy":"from_hosts=1"}`, "rebalance_set_policy policy=from_hosts%3D1"},
		{"rebalance/policy", `{"policy":""}`, "rebalance_set_policy"},
		{"rebalance/start", "", "rebalance_start"},
		{"rebalance/stop", "", "rebalance_stop"},
		{"rebalance/reset", "", "rebalance_reset"},
		{"replicate/now", "", "replicate_now"},
		{"settings", `{"name":"skip_mkcol","value":"1"}`, "set_server_setting key=skip_mkcol&value=1"},
		{"device", `{"host":"h","devid":3,"status":"down"}`, "set_state host=h&device=3&state=down"},
		{"device", `{"host":"h","devid":3,"status":"down","weight":0}`, "set_weight host=h&device=3&weight=0"},
		{"host", `{"host":"h","status":"down"}`, "update_host host=h&status=down"},
	} {
		if status, text := ask(t, c, "POST", s.path, s.body); status != 200 || trackers.line != s.want {
			t.Errorf("%s %s: got %d %q and the command %q; want %q", s.path, s.body, status, text, trackers.line, s.want)
		}
	}
}
