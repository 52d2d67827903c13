package doctor

import (
	"context"
	"errors"
	"io/fs"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/client"
)

// wantFinding fails the test unless one finding about something has the level, and has the
// words in what was found.
func wantFinding(t *testing.T, r report, level Level, about, words string) {
	t.Helper()
	for _, f := range r {
		if f.About != about || f.Level != level || !strings.Contains(f.Found, words) {
			continue
		}
		if level != OK && f.Do == "" {
			t.Errorf("%v tells nothing to do", f)
		}
		return
	}
	t.Errorf("got %v; want %s about %s with %q", r, level, about, words)
}

var everywhere = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}

func TestWhatAConfigurationOpensToOthersIsJudged(t *testing.T) {
	near := Listener{Address: "127.0.0.1:7001"}
	far := Listener{Address: "10.0.0.5:7001", Beyond: true}
	private := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/24")}
	for _, c := range []struct {
		plan         Plan
		level        Level
		about, words string
	}{
		{Plan{Refused: errors.New("no such directive")}, Fail, "configuration", "no such directive"},
		{Plan{}, OK, "configuration", "takes it"},
		{Plan{Admin: Listener{Address: ":2019", Beyond: true}}, Fail, "Caddy's admin endpoint", ":2019"},
		{Plan{Tracker: &Tracker{Listen: []Listener{near}}}, OK, "tracker on 127.0.0.1:7001", "only this machine"},
		{Plan{Tracker: &Tracker{Listen: []Listener{far}}}, Warn, "tracker on 10.0.0.5:7001", "none of them"},
		{Plan{Tracker: &Tracker{Listen: []Listener{far}, Allow: private}}, OK, "tracker on 10.0.0.5:7001", "10.0.0.0/24"},
		{Plan{Tracker: &Tracker{Listen: []Listener{far}, Allow: everywhere}}, Fail, "tracker on 10.0.0.5:7001", "store and delete"},
		{Plan{Tracker: &Tracker{Listen: []Listener{far}, AdminAllow: everywhere}}, Fail, "tracker on 10.0.0.5:7001", "administer"},
		{Plan{Tracker: &Tracker{
			Listen: []Listener{{Address: "10.0.0.5:7002", Beyond: true, TLS: true}}, Allow: everywhere, ClientCertificates: true,
		}}, OK, "tracker on 10.0.0.5:7002", "0.0.0.0/0"},
		{Plan{Nodes: []Node{{Name: "n"}}}, Warn, "storage n", "durable off"},
		{Plan{Nodes: []Node{{Name: "n"}}, Superuser: true}, Warn, "rights", "root"},
		{Plan{Nodes: []Node{{Name: "n", Management: far}}}, Warn, "storage n", "side channel"},
		{Plan{Nodes: []Node{{Name: "n", WriteFrom: everywhere}}}, Fail, "storage n", "store and delete"},
		{Plan{Sites: []Site{{Listen: []Listener{far}, Changes: true}}}, Warn, "edge", "upload or delete"},
		{Plan{Sites: []Site{{Listen: []Listener{far}, Changes: true, Guarded: true}}}, OK, "edge", "who they are"},
		{Plan{Sites: []Site{{Listen: []Listener{near}, Changes: true}}}, OK, "edge", "only this machine"},
	} {
		wantFinding(t, planned(t.Context(), &c.plan), c.level, c.about, c.words)
	}
}

func TestANodeWithoutItsSiteIsFound(t *testing.T) {
	node := Node{Name: "n", Address: "10.0.0.5:7500", ReadAll: true}
	site := func(port string, beyond bool, hosts ...string) Site {
		return Site{Node: "n", Hosts: hosts, Listen: []Listener{{Address: "10.0.0.5:" + port, Beyond: beyond}}}
	}
	for _, c := range []struct {
		sites []Site
		level Level
		words string
	}{
		{nil, Fail, "there is none"},
		{[]Site{{Node: "other"}}, Fail, "there is none"},
		{[]Site{site("7600", false)}, Warn, "no site of it listens"},
		{[]Site{site("7500", false, "store.example")}, Warn, "store.example"},
		{[]Site{site("7500", true)}, Warn, "may read every file"},
		{[]Site{site("7500", false)}, OK, "10.0.0.5:7500"},
	} {
		wantFinding(t, planned(t.Context(), &Plan{Nodes: []Node{node}, Sites: c.sites}), c.level, "site of storage n", c.words)
	}
}

func TestDevicesOfThisMachineAreJudged(t *testing.T) {
	good := Disk{Device: 1, Path: "/m/dev1", MountPoint: true, Recorded: true, Available: 1 << 40}
	change := func(f func(*Disk)) Disk { d := good; f(&d); return d }
	for _, c := range []struct {
		disk  Disk
		level Level
		words string
	}{
		{good, OK, "can be written"},
		{change(func(d *Disk) { d.MountPoint, d.Trouble = false, errors.New("not mounted") }), Fail, "not mounted"},
		{change(func(d *Disk) { d.Trouble = &fs.PathError{Op: "open", Err: fs.ErrPermission} }), Fail, "may not write"},
		{change(func(d *Disk) { d.ReadOnly = true }), Fail, "read-only"},
		{change(func(d *Disk) { d.Available = 1 << 20 }), Fail, "no new files"},
		{change(func(d *Disk) { d.Trouble = errors.New("input/output error") }), Fail, "input/output"},
	} {
		n := Node{Name: "n", Disks: func() ([]Disk, error) { return []Disk{c.disk}, nil }}
		wantFinding(t, aboutDisks(n), c.level, "/m/dev1", c.words)
	}
	const about = "devices of storage n"
	plain := func(devs ...mogile.DevID) func() ([]Disk, error) {
		var disks []Disk
		for _, dev := range devs {
			disks = append(disks, Disk{Device: dev, Available: 1 << 40})
		}
		return func() ([]Disk, error) { return disks, nil }
	}
	wantFinding(t, aboutDisks(Node{Name: "n", Disks: plain(1, 2)}), Warn, about, "dev1, dev2")
	wantFinding(t, aboutDisks(Node{Name: "n", Disks: plain()}), Fail, about, "no directory")
	wantFinding(t, aboutDisks(Node{Name: "n", Declared: []mogile.DevID{7}, Disks: plain(1)}), OK, "dev7", "created")
	if r := aboutDisks(Node{Name: "n", Disks: plain(1)}); r.worst() != 0 {
		t.Errorf("one plain directory: got %v; want nothing to complain of", r)
	}
	missing := func() ([]Disk, error) { return nil, fs.ErrNotExist }
	wantFinding(t, aboutDisks(Node{Name: "n", Disks: missing}), Fail, about, "not exist")
	wantFinding(t, aboutDisks(Node{Name: "n", Disks: missing, Declared: []mogile.DevID{1}}), OK, about, "created")
}

// mariaDB is one that is well.
func mariaDB(now time.Time, changes ...string) map[string]string {
	is := map[string]string{
		"version": "10.11.14-MariaDB", "schema_version": "17", "innodb_flush_log_at_trx_commit": "1", "log_bin": "ON",
		"sync_binlog": "1", "binlog_format": "ROW", "max_connections": "151", "max_allowed_packet": "16777216",
		"wait_timeout": "28800", "read_only": "OFF", "not_innodb": "", "key_collation": "", "character_set_database": "utf8mb4",
		"dead_with_files": "", "clock": itoa(now.Unix()),
	}
	for i := 0; i < len(changes); i += 2 {
		is[changes[i]] = changes[i+1]
	}
	return is
}

func TestWhatADatabaseSaysIsJudged(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	my, pg := Database{Engine: "mysql", Name: "db1", Connections: 32}, Database{Engine: "postgres", Name: "db1", Connections: 32}
	if r := judgeDatabase(my, mariaDB(now), now, now); r.worst() != 0 {
		t.Errorf("a MariaDB that is well: got %v; want nothing to complain of", r)
	}
	for _, c := range []struct {
		db           Database
		is           map[string]string
		level        Level
		about, words string
	}{
		{my, map[string]string{}, OK, "database", "empty"},
		{Database{Engine: "sqlite"}, map[string]string{"missing": "yes"}, OK, "database", "created"},
		{my, mariaDB(now, "schema_version", "15"), Fail, "database", "version 15"},
		{my, mariaDB(now, "innodb_flush_log_at_trx_commit", "2"), Fail, "database innodb_flush_log_at_trx_commit", "2, want 1"},
		{my, mariaDB(now, "sync_binlog", "0"), Warn, "database sync_binlog", "0, want 1"},
		{my, mariaDB(now, "binlog_format", "STATEMENT"), Warn, "database binlog_format", "STATEMENT"},
		{my, mariaDB(now, "read_only", "ON"), Fail, "database read_only", "ON"},
		{my, mariaDB(now, "max_connections", "40"), Warn, "database max_connections", "40, want 43"},
		{my, mariaDB(now, "max_allowed_packet", "1048576"), Warn, "database max_allowed_packet", "1048576"},
		{my, mariaDB(now, "wait_timeout", "10"), Warn, "database wait_timeout", "10"},
		{my, mariaDB(now, "not_innodb", "file,file_on"), Fail, "database tables", "file,file_on"},
		{my, mariaDB(now, "key_collation", "latin1_swedish_ci"), Warn, "database keys", "latin1_swedish_ci"},
		{my, mariaDB(now, "dead_with_files", "3,7"), Warn, "dead devices", "3, 7"},
		{my, mariaDB(now, "clock", itoa(now.Unix()+5)), Warn, "clock of the database", "ahead"},
		{my, mariaDB(now, "clock", itoa(now.Unix()-3600)), Fail, "clock of the database", "behind"},
		{pg, map[string]string{"schema_version": "17", "fsync": "off"}, Fail, "database fsync", "off"},
		{pg, map[string]string{"schema_version": "17", "standby": "on"}, Fail, "database standby", "on"},
		{pg, map[string]string{"schema_version": "17", "full_page_writes": "off"}, Warn, "database full_page_writes", "off"},
		{pg, map[string]string{"schema_version": "17", "max_connections": "20"}, Warn, "database max_connections", "20"},
		{pg, map[string]string{"schema_version": "17", "default_transaction_isolation": "serializable"}, Warn, "database default_transaction_isolation", "serializable"},
		{Database{Engine: "sqlite"}, map[string]string{"schema_version": "17", "journal_mode": "delete"}, Warn, "database journal_mode", "delete"},
	} {
		wantFinding(t, judgeDatabase(c.db, c.is, now, now), c.level, c.about, c.words)
	}
	silent := Database{Engine: "mysql", Name: "db1", Vitals: func(context.Context) (map[string]string, error) { return nil, errors.New("refused") }}
	wantFinding(t, aboutDatabase(t.Context(), silent), Fail, "database", "db1: refused")
}

// cluster is one with two hosts of one device each that is well.
func cluster() *facts {
	now := time.Unix(1_800_000_000, 0)
	f := &facts{
		trackers: []asked{{address: "t1", version: protocolVersion, knows: "a"}}, side: "7501", now: now,
		domains: []client.Domain{{Name: "images", Classes: []mogile.Class{{Name: "default", MinDevCount: 2}}}},
		nodes:   map[mogile.HostID]node{}, usages: map[mogile.DevID]usage{},
	}
	for i := range 2 {
		id, dev := mogile.HostID(i+1), mogile.DevID(i+1)
		f.hosts = append(f.hosts, mogile.Host{ID: id, Name: mogile.HostName("host" + id.String()), State: mogile.HostAlive, IP: "10.0.0." + id.String(), Port: 7500})
		f.devices = append(f.devices, client.Device{Device: mogile.Device{ID: dev, Host: id, State: mogile.DevAlive, Weight: 100}, Observed: "writeable"})
		f.nodes[id] = node{dated: true}
		f.usages[dev] = usage{total: 10 << 30, used: 2 << 30, available: 8 << 30, device: "/dev/sda1", written: now.Unix()}
	}
	return f
}

func TestAClusterThatIsWellIsWell(t *testing.T) {
	if r := judge(cluster()); r.worst() != 0 {
		t.Errorf("got %v; want nothing to complain of", r)
	}
}

func TestARunningClusterIsJudged(t *testing.T) {
	bad := errors.New("refused")
	change := func(dev mogile.DevID, by func(*usage)) func(*facts) {
		return func(f *facts) { u := f.usages[dev]; by(&u); f.usages[dev] = u }
	}
	for _, c := range []struct {
		change       func(f *facts)
		level        Level
		about, words string
	}{
		{func(f *facts) { f.trackers[0].err, f.domains = bad, nil }, Fail, "tracker t1", "refused"},
		{func(f *facts) { f.trackers[0].version = "2.72" }, Warn, "tracker t1", "2.72"},
		{func(f *facts) { f.trackers[0].version, f.trackers[0].whyNot = "", "not_allowed" }, OK, "tracker t1", "not_allowed"},
		{func(f *facts) { f.trackers = append(f.trackers, asked{address: "t2", version: "2.73", knows: "b"}) }, Fail, "tracker t2", "other hosts or devices than t1"},
		{func(f *facts) { f.nodes[2] = node{err: bad} }, Fail, "host host2", "refused"},
		{func(f *facts) { f.nodes[2] = node{read: bad} }, Fail, "host host2", "reads fail"},
		{func(f *facts) { f.nodes[2] = node{side: bad} }, Warn, "host host2", "side channel"},
		{func(f *facts) { f.hosts[1].State = mogile.HostDown }, OK, "host host2", "need not answer"},
		{func(f *facts) { f.nodes[2] = node{dated: true, ahead: 10 * time.Second} }, Warn, "clock of host2", "10.0 s ahead"},
		{func(f *facts) { f.nodes[2] = node{dated: true, ahead: -2 * time.Minute} }, Fail, "clock of host2", "behind"},
		{func(f *facts) { f.devices[1].Host = 9 }, Fail, "dev2", "host 9"},
		{func(f *facts) { f.devices[1].State = mogile.DevDead }, OK, "dev2", "dead"},
		{func(f *facts) { f.devices[1].Observed = "readable" }, Fail, "dev2", "can't write"},
		{func(f *facts) { f.devices[1].Observed = "unreachable" }, Fail, "dev2", "don't reach"},
		{change(2, func(u *usage) { u.err = bad }), Fail, "dev2", "no usage file"},
		{change(2, func(u *usage) { u.written -= 600 }), Warn, "dev2", "10m0s old"},
		{change(2, func(u *usage) { u.available = 1 << 10 }), Fail, "dev2", "no new files"},
		{change(2, func(u *usage) { u.available = u.total / 50 }), Warn, "dev2", "2.0 %"},
		{func(f *facts) { f.devices[1].Host = 1 }, Warn, "dev1, dev2", "share /dev/sda1 of host1"},
		{func(f *facts) { f.devices[1].Weight = 5 }, Warn, "weights", "20 times"},
		{func(f *facts) { f.domains[0].Classes[0].MinDevCount = 3 }, Fail, "class images/default", "wants 3 copies, and 2 devices"},
		{func(f *facts) { f.domains[0].Classes[0].Policy = "MultipleDevices(5)" }, Fail, "class images/default", "wants 5 copies"},
		{func(f *facts) { f.devices[1].Host = 1 }, Warn, "class images/default", "1 hosts can take one"},
		{func(f *facts) { f.domains[0].Classes[0].MinDevCount = 1 }, Warn, "class images/default", "one copy"},
		{func(f *facts) { f.devices[1].Host = 1 }, Warn, "hosts", "all devices are on one"},
		{func(f *facts) { f.hosts, f.devices = nil, nil }, Warn, "hosts", "none"},
		{change(1, func(u *usage) { u.used = 9 << 30 }), Warn, "room", "when host1 is lost"},
	} {
		f := cluster()
		c.change(f)
		wantFinding(t, judge(f), c.level, c.about, c.words)
	}
}

func TestTheWorstFindingIsTheExitCode(t *testing.T) {
	for want, r := range []report{{{Level: OK}}, {{Level: OK}, {Level: Warn}}, {{Level: Fail}, {Level: Warn}, {Level: OK}}} {
		if got := r.worst(); got != want {
			t.Errorf("%v: got exit code %d; want %d", r, got, want)
		}
	}
}

func TestASlowAnswerIsNoWrongClock(t *testing.T) {
	began := time.Unix(1_800_000_000, 0)
	for _, c := range []struct {
		told, took int64
		want       time.Duration
	}{{0, 0, time.Second / 2}, {10, 10, 0}, {0, 10, 0}, {70, 10, 60*time.Second + time.Second/2}, {-60, 10, -60*time.Second + time.Second/2}} {
		got := ahead(began.Add(time.Duration(c.told)*time.Second), began, began.Add(time.Duration(c.took)*time.Second))
		if got != c.want && !(c.want == 0 && got.Abs() <= time.Second/2) {
			t.Errorf("%d s after %d s: got %v; want %v", c.told, c.took, got, c.want)
		}
	}
}

func TestUsageFilesAreRead(t *testing.T) {
	got := parseUsage("available: 80\ndevice: /dev/vda\ndisk: /m/dev1\ntime: 1795344815\ntotal: 100\nuse: 20%\nused: 20\n")
	if want := (usage{total: 100, used: 20, available: 80, device: "/dev/vda", written: 1795344815}); got != want {
		t.Errorf("got %+v; want %+v", got, want)
	}
	if got := parseUsage("nonsense"); got != (usage{}) {
		t.Errorf("nonsense: got %+v; want nothing", got)
	}
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
