package caddymodule

import (
	"net/http"
	"strings"
	"testing"

	"github.com/mogilefs/caddy-mogilefs/console/fence"
)

// watched is the base with a dashboard below a path.
var watched = changed("http://PUBLIC {", `http://PUBLIC {
	handle_path /dash* {
		mogilefs_dashboard
	}`)

func TestADashboardLiesBelowAPathAndLeavesNothingBehind(t *testing.T) {
	r := newRig(t)
	r.run(watched)
	if got := r.want(http.StatusOK, http.MethodGet, "/dash/", "").body; !strings.Contains(got, "<title>MogileFS</title>") {
		t.Errorf("got %.100q; want the page", got)
	}
	// What the page loads is relative to the slash: the client follows to it.
	if got := r.want(http.StatusOK, http.MethodGet, "/dash", "").body; !strings.Contains(got, "<title>MogileFS</title>") {
		t.Errorf("without slash: got %.100q; want to be led to the page", got)
	}
	if got := r.want(http.StatusOK, http.MethodGet, "/dash/api/status", "").body; !strings.Contains(got, `"health":"ok"`) {
		t.Errorf("got %s; want all well", got)
	}
	r.want(http.StatusForbidden, http.MethodPost, "/dash/api/fsck/start", "{}")
	r.want(http.StatusOK, http.MethodPost, "/dash/api/fsck/start", "{}", fence.Header, "1")
	r.run(strings.Replace(watched, "listen TRACKER", "listen TRACKER\n workers replicate 2", 1))
	if got := pooled()["dashboard"]; got != 1 {
		t.Errorf("after a reload: got %d references to what is watched; want 1", got)
	}
	if got := r.want(http.StatusOK, http.MethodGet, "/dash/api/jobs", "").body; !strings.Contains(got, `"job":"replicate","count":2,"desired":2`) {
		t.Errorf("after a reload: got %s; want the new tracker's jobs", got)
	}
	r.run(base)
	if got := pooled()["dashboard"]; got != 0 {
		t.Errorf("without a dashboard: got %d references to what is watched; want none", got)
	}
}

func TestADashboardWithoutTrackerSaysSo(t *testing.T) {
	r := newRig(t)
	if err := r.load(strings.Replace(bare, "respond bare", "mogilefs_dashboard", 1)); err != nil {
		t.Fatal(err)
	}
	r.want(http.StatusOK, http.MethodGet, "/", "")
	if got := r.want(http.StatusOK, http.MethodGet, "/api/status", "").body; !strings.Contains(got, `"health":"unknown"`) {
		t.Errorf("got %s; want its health unknown", got)
	}
	if got := r.want(http.StatusServiceUnavailable, http.MethodGet, "/api/topology", "").body; !strings.Contains(got, "give an edge its trackers") {
		t.Errorf("got %s; want the way out", got)
	}
}

func TestHostsThatNoRequestHasAreRefused(t *testing.T) {
	r := newRig(t)
	for _, name := range []string{"https://console.example", "console.example:8081", `""`} {
		err := r.load(strings.Replace(watched, "mogilefs_dashboard", "mogilefs_dashboard {\nhosts "+name+"\n}", 1))
		if err == nil || !strings.Contains(err.Error(), "without scheme and port") {
			t.Errorf("%s: got %v; want it refused", name, err)
		}
	}
}
