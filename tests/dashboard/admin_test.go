package dashboard

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/mogilefs/caddy-mogilefs/console"
	"github.com/mogilefs/caddy-mogilefs/tests/process"
)

func TestTheAdminAPIShowsAnInstallation(t *testing.T) {
	s := newSite(t)
	s.store("a&b=<c>", []byte("content"))
	var status console.Status
	s.admin(200, "GET", "status", "", &status)
	if status.Health != console.OK || status.Cluster == nil || status.Cluster.Devices != (console.Sum{All: 2, Up: 2}) ||
		!status.Process.Tracker || status.Process.Edges != 2 || !slices.Equal(status.Process.Storage, []string{"node1"}) {
		t.Errorf("status: got %+v with %+v; want all well, and a process that is everything", status, status.Cluster)
	}
	var topology console.Topology
	s.admin(200, "GET", "topology", "", &topology)
	if len(topology.Hosts) != 1 || len(topology.Hosts[0].Devices) != 2 || len(topology.Domains) != 1 ||
		topology.Hosts[0].Reachable == nil || !*topology.Hosts[0].Reachable || topology.Hosts[0].Devices[0].MBTotal == 0 {
		t.Errorf("topology: got %+v; want one reachable host with two devices that were measured", topology)
	}
	var queues console.Queues
	s.admin(200, "GET", "queues", "", &queues)
	if queues.Replicate.Parked != 0 || queues.Replicate.Failing != 0 {
		t.Errorf("queues: got %+v; want nothing that fails", queues)
	}
	var keys console.Keys
	s.admin(200, "GET", "keys?domain=images&prefix=a%26", "", &keys)
	if len(keys.Keys) != 1 || keys.Keys[0] != "a&b=<c>" || keys.Next != "" {
		t.Errorf("keys: got %+v; want the one", keys)
	}
	s.admin(200, "GET", "keys?domain=images&prefix=z", "", &keys)
	s.admin(404, "GET", "keys?domain=none", "", nil)
	var settings []console.Setting
	s.admin(200, "POST", "settings", `{"name":"skip_mkcol","value":"on"}`, nil)
	s.admin(200, "GET", "settings", "", &settings)
	if !slices.Contains(settings, console.Setting{Name: "skip_mkcol", Value: "1"}) {
		t.Errorf("settings: got %v; want skip_mkcol set", settings)
	}
	var jobs console.Jobs
	s.admin(200, "POST", "jobs", `{"job":"replicate","workers":3}`, &jobs)
	if i := slices.IndexFunc(jobs.Jobs, func(j console.Job) bool { return j.Name == "replicate" }); i < 0 || jobs.Jobs[i].Desired != 3 {
		t.Errorf("jobs: got %+v; want three to replicate", jobs)
	}
	if got := s.admin(400, "POST", "jobs", `{"job":"sleep","workers":3}`, nil); !strings.Contains(got.body, "replicate") {
		t.Errorf("an unknown job: got %s; want those there are", got.body)
	}
	s.admin(400, "POST", "jobs", `{"job":"replicate"}`, nil)
}

func TestTheAdminAPIFindsWhatIsWrongWithAFile(t *testing.T) {
	s := newSite(t)
	s.store("<script>alert(1)</script>", []byte("content"))
	var f console.File
	s.admin(200, "GET", "file?domain=images&key=%3Cscript%3Ealert(1)%3C/script%3E", "", &f)
	if f.Key != "<script>alert(1)</script>" || f.Length != 7 || len(f.Copies) != 2 || f.MinDevCount != 2 || len(f.Troubles) != 0 {
		t.Fatalf("got %+v; want a file that is well", f)
	}
	for _, at := range f.Copies {
		if !at.OK || at.Length == nil || *at.Length != 7 || at.Host != "node1" {
			t.Errorf("got the copy %+v; want it well", at)
		}
	}
	if err := os.Remove(s.Copies(f.FID)[0]); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.Copies(f.FID)[0], []byte("short"), 0o644); err != nil {
		t.Fatal(err)
	}
	s.admin(200, "GET", "file?fid="+f.FID.String(), "", &f)
	if f.Copies[0].OK || !strings.Contains(f.Copies[0].Trouble, "no such file") || f.Copies[1].OK || !strings.Contains(f.Copies[1].Trouble, "length") ||
		len(f.Troubles) != 1 || !strings.Contains(f.Troubles[0], "No copy can be read") {
		t.Errorf("got %+v; want one copy missing, and one of another length", f)
	}
	s.admin(404, "GET", "file?domain=images&key=none", "", nil)
	s.admin(404, "GET", "file?fid=999", "", nil)
}

func TestTheAdminAPISteersChecksAndRebalances(t *testing.T) {
	s := newSite(t)
	s.store("key", []byte("content"))
	s.admin(200, "POST", "fsck/start", "", nil)
	var f console.Fsck
	process.Eventually(t, within, "end of the check", func() bool {
		s.admin(200, "GET", "fsck", "", &f)
		return !f.Running && f.Checked != nil && *f.Checked == 1
	})
	s.admin(200, "POST", "fsck/stop", "", nil)
	s.admin(200, "POST", "fsck/reset", `{"policy_only":true}`, nil)
	s.admin(200, "GET", "fsck", "", &f)
	if !f.PolicyOnly || f.Highest != 0 {
		t.Errorf("after the reset: got %+v; want it at the beginning", f)
	}
	s.admin(200, "GET", "fsck/log", "", nil)
	s.admin(200, "POST", "fsck/clearlog", "", nil)

	if got := s.admin(409, "POST", "rebalance/start", "", nil); !strings.Contains(got.body, "rebalance/policy") {
		t.Errorf("a rebalance without policy: got %s; want the way out", got.body)
	}
	s.admin(400, "POST", "rebalance/policy", `{"policy":"nonsense=1"}`, nil)
	s.admin(200, "POST", "rebalance/policy", `{"policy":"from_devices=1"}`, nil)
	var moves console.Moves
	s.admin(200, "GET", "rebalance/test", "", &moves)
	if !slices.Equal(moves.From, []string{"1"}) {
		t.Errorf("got %+v; want it to take from device 1", moves)
	}
	var r console.Rebalance
	s.admin(200, "GET", "rebalance", "", &r)
	if r.Running || r.Policy != "from_devices=1" {
		t.Errorf("got %+v; want the policy, and no run", r)
	}
	s.admin(200, "POST", "rebalance/start", "", nil)
	s.admin(200, "GET", "rebalance", "", &r)
	if r.State["source_devs"] == "" && r.State["sdev_current"] == "" && r.State["completed_devs"] == "" {
		t.Errorf("got %+v; want the state of a run", r)
	}
	s.ask("POST", "http://"+s.Admin+"/mogilefs/rebalance/stop", "") // unless it has come to its end
	process.Eventually(t, within, "end of the rebalance", func() bool {
		s.admin(200, "GET", "rebalance", "", &r)
		return !r.Running
	})
	s.admin(409, "POST", "rebalance/stop", "", nil)
	s.admin(200, "POST", "rebalance/reset", "", nil)
	var after console.Rebalance
	s.admin(200, "GET", "rebalance", "", &after)
	if len(after.State) != 0 {
		t.Errorf("after the reset: got %+v; want nothing of a run", after)
	}
}

func TestTheAdminAPIChangesDevicesAndHosts(t *testing.T) {
	s := newSite(t)
	s.admin(404, "POST", "device", `{"host":"node1","devid":9,"status":"down"}`, nil)
	if got := s.admin(400, "POST", "device", `{"host":"other","devid":1,"status":"down"}`, nil); !strings.Contains(got.body, "host_mismatch") {
		t.Errorf("a device of another host: got %s; want a mismatch", got.body)
	}
	s.admin(200, "POST", "device", `{"host":"node1","devid":1,"status":"readonly","weight":7}`, nil)
	var topology console.Topology
	s.admin(200, "GET", "topology", "", &topology)
	if d := topology.Hosts[0].Devices[0]; d.Status != "readonly" || d.Weight != 7 {
		t.Errorf("got %+v; want it readonly with weight 7", d)
	}
	s.admin(200, "POST", "host", `{"host":"node1","status":"down"}`, nil)
	var status console.Status
	s.admin(200, "GET", "status", "", &status)
	if status.Health != console.Broken || status.Problems[0].ID != "no device" {
		t.Errorf("with its only host down: got %+v; want that nothing takes files", status)
	}
}

// edgeFile is a process without tracker.
const edgeFile = `{
	mogilefs
}
http://SITE {
	mogilefs images {
		tracker TRACKER
	}
}
`

func TestAnEdgeShowsWhatItsTrackersTell(t *testing.T) {
	s := newSite(t)
	addr := "127.0.0.1:" + portText(process.FreePorts(t, 1)[0])
	edge := process.Start(t, process.Options{
		Caddyfile: strings.NewReplacer("SITE", addr, "TRACKER", s.TrackerAddr).Replace(edgeFile), Ready: []string{addr},
	})
	there := &site{t: t, Cluster: &process.Cluster{Caddy: edge}, http: s.http}
	var status console.Status
	there.admin(200, "GET", "status", "", &status)
	if status.Health != console.OK || status.Process.Tracker || !slices.Equal(status.Process.Trackers, []string{s.TrackerAddr}) {
		t.Errorf("got %+v; want all well, as the remote tracker says", status)
	}
	there.admin(200, "POST", "fsck/start", "", nil)
	there.admin(200, "GET", "fsck", "", nil)
	if got := there.admin(501, "GET", "queues", "", nil); !strings.Contains(got.body, "ask there") {
		t.Errorf("queues: got %s; want who can tell", got.body)
	}
	s.Kill()
	there.admin(200, "GET", "status", "", &status)
	if status.Health != console.Broken || status.Cluster != nil || status.Problems[0].ID != "tracker" {
		t.Errorf("without the tracker: got %+v; want that as the problem", status)
	}
	there.admin(503, "GET", "topology", "", nil)
}

// What the page says is tried: its commands, and that it names each route.
func TestThePageNamesEveryRouteAndItsSamplesWork(t *testing.T) {
	page, err := os.ReadFile("../../docs/admin-api.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range console.Routes() {
		if !strings.Contains(string(page), "`"+r.Method+" "+r.Path) && !strings.Contains(string(page), "| `"+r.Path+"` |") &&
			!strings.Contains(string(page), "/mogilefs/"+r.Path) {
			t.Errorf("docs/admin-api.md does not name %s %s", r.Method, r.Path)
		}
	}
	s := newSite(t)
	s.store("aqua.jpg", []byte("picture"))
	samples := regexp.MustCompile(`(?m)^\$ curl (?:-d '([^']*)' )?'?localhost:2019/mogilefs/([^'\s]+)'?$`).FindAllStringSubmatch(string(page), -1)
	if len(samples) < 6 {
		t.Fatalf("got %d samples in docs/admin-api.md; want all", len(samples))
	}
	for _, sample := range samples {
		method := "GET"
		if sample[1] != "" {
			method = "POST"
		}
		s.admin(200, method, sample[2], sample[1], nil)
	}
}
