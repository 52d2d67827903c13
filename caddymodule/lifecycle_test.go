package caddymodule

import (
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

func TestValidatingTouchesNeitherDiskNorPort(t *testing.T) {
	r := newRig(t)
	for _, addr := range []string{r.tracker, r.node, r.management, r.public} {
		ln := listenOnAddr(t, addr) // validating must not even try to open it
		defer ln.Close()
	}
	goroutines := runtime.NumGoroutine()
	var config caddy.Config
	if err := json.Unmarshal(r.adapt(base), &config); err != nil {
		t.Fatal(err)
	}
	if err := caddy.Validate(&config); err != nil {
		t.Fatalf("validate: %v", err)
	}
	if left, err := os.ReadDir(r.dir); err != nil || len(left) > 0 {
		t.Errorf("validate left %v (%v) behind; want nothing", left, err)
	}
	if left := pooled(); len(left) > 0 {
		t.Errorf("got %v in the pool; want nothing", left)
	}
	eventually(t, "return to the goroutines from before", func() bool { return runtime.NumGoroutine() <= goroutines })
}

func TestAConfigThatCantRunLeavesTheOldOneAsItWas(t *testing.T) {
	r := newRig(t)
	r.run(base)
	r.want(http.StatusCreated, http.MethodPut, "/images/kept", "kept")
	taken := listenLoopback(t)
	defer taken.Close()
	if err := os.WriteFile(r.path("text"), []byte(strings.Repeat("this is no database\n", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	before := pooled()
	for name, test := range map[string]struct {
		config string
		wants  []string // the thing and the way out
	}{
		"tracker's port":     {changed("listen TRACKER", "listen "+taken.Addr().String()), []string{taken.Addr().String(), "choose another address"}},
		"side channel":       {changed("management MANAGEMENT", "management "+taken.Addr().String()), []string{"node1", taken.Addr().String(), "choose another address"}},
		"database":           {changed("/data/mogilefs.db", "/text"), []string{r.path("text")}},
		"no device":          {changed("devices 1 2", "", "/storage", "/nowhere"), []string{"nowhere", "create"}},
		"another's devid":    {changed("storage node1", "storage node2", "address NODE", "address 127.0.0.2:7500"), []string{"device 1", `belongs to host "node1"`}},
		"policy":             {changed("domain images", "domain images {\n class c 2 {\n replpolicy Nonsense()\n }\n }"), []string{`class "c"`, "Nonsense"}},
		"job":                {changed("listen TRACKER", "listen TRACKER\n workers cleaner 1"), []string{"cleaner", "replicate"}},
		"half-way":           {changed("methods GET PUT DELETE", "methods GET BREW"), []string{"BREW", "GET, PUT, POST, DELETE"}},
		"little cache":       {changed("methods GET PUT DELETE", "location_cache 1KiB"), []string{"location_cache", "1048576"}},
		"no tracker":         {changed("tracker {", "domain x {", "listen TRACKER", "", "database sqlite {env.MOGILEFS_TEST_DIR}/data/mogilefs.db", "", "setting mogstored_stream_port STREAM", "", "register", "", "domain images", ""), []string{"no tracker"}},
		"unknown node":       {changed("mogilefs_storage", "mogilefs_storage node7"), []string{"node7", "node1"}},
		"missing variable":   {changed("{env.MOGILEFS_TEST_DIR}/data", "{env.MOGILEFS_TEST_NOTHING}/data"), []string{"MOGILEFS_TEST_NOTHING"}},
		"another app's port": {base + "\nhttp://" + taken.Addr().String() + " {\n respond x\n}\n", []string{"address already in use"}},
	} {
		err := r.load(test.config)
		if err == nil {
			t.Fatalf("%s: got a running config; want an error", name)
		}
		for _, want := range test.wants {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: got %v; want an error with %q", name, err, want)
			}
		}
		if after := pooled(); !maps.Equal(before, after) {
			t.Errorf("%s: got %v in the pool; want %v", name, after, before)
		}
		r.wantBody("/images/kept", "kept")
		if got := r.say("noop"); got != "OK \r\n" {
			t.Errorf("%s: noop on the tracker's port: got %q; want OK", name, got)
		}
	}
}

func TestTheAppCanGoAndComeBack(t *testing.T) {
	r := newRig(t)
	r.run(base)
	r.want(http.StatusCreated, http.MethodPut, "/images/kept", "kept")
	if err := r.load(bare); err != nil {
		t.Fatal(err)
	}
	r.wantBody("/images/kept", "bare")
	if left := pooled(); len(left) > 0 {
		t.Errorf("without the app: got %v in the pool; want nothing", left)
	}
	for _, addr := range []string{r.tracker, r.management} {
		listenOnAddr(t, addr).Close() // free again
	}
	r.run(base)
	r.wantBody("/images/kept", "kept")
}

func TestHandlersWithTheSameSettingsShareACache(t *testing.T) {
	r := newRig(t)
	second := "\n\thandle /plain/* {\n\t\tmogilefs images\n\t}\n\thandle /other/* {\n\t\tmogilefs images {\n\t\t\tlocation_cache 2MiB\n\t\t}\n\t}"
	r.run(changed("http://PUBLIC {", "http://PUBLIC {"+second))
	caches := map[string]int{}
	pool.Range(func(key, _ any) bool {
		if k := key.(poolKey); k.kind == "location cache" {
			caches[k.settings], _ = pool.References(key)
		}
		return true
	})
	var counts []int
	for _, n := range caches {
		counts = append(counts, n)
	}
	if len(counts) != 2 || counts[0]+counts[1] != 3 {
		t.Errorf("got caches with %v handlers each; want one with 2, one with 1", counts)
	}
}

func TestStartsAndStopsLeaveNothingBehind(t *testing.T) {
	r := newRig(t)
	cycle := func() {
		r.run(base)
		r.want(http.StatusCreated, http.MethodPut, "/images/a", "a")
		r.run(changed("listen TRACKER", "listen TRACKER\n workers replicate 2", "devices 1 2", "devices 1 2 3", "methods GET", "location_cache 2MiB\n methods GET"))
		r.wantBody("/images/a", "a")
		if err := caddy.Stop(); err != nil {
			t.Fatal(err)
		}
	}
	cycle() // what Caddy makes once for the process is no leak
	http.DefaultClient.CloseIdleConnections()
	goroutines, descriptors := runtime.NumGoroutine(), openDescriptors(t)
	for range 3 {
		cycle()
	}
	eventually(t, "return to the goroutines and descriptors from before", func() bool {
		return runtime.NumGoroutine() <= goroutines && openDescriptors(t) <= descriptors
	})
}

func openDescriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}
