package simulation

import (
	"context"
	"database/sql/driver"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"modernc.org/sqlite"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/fsck"
	"github.com/mogilefs/caddy-mogilefs/tracker/job"
	"github.com/mogilefs/caddy-mogilefs/tracker/rebalance"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
	"github.com/mogilefs/caddy-mogilefs/tracker/store/sqlstore"
)

// TestMain has SQLite tell the time by Go's clock, which is that of the bubble where a
// statement runs in one. Its own function asks the system. Only this test program has it.
func TestMain(m *testing.M) {
	now := func(*sqlite.FunctionContext, []driver.Value) (driver.Value, error) { return time.Now().Unix(), nil }
	if err := sqlite.RegisterScalarFunction("unixepoch", 0, now); err != nil {
		panic(err)
	}
	debug.SetGCPercent(1600) // a third of the time would go into collecting what days leave
	m.Run()
}

// sim is one simulated installation.
type sim struct {
	t    *testing.T
	seed uint64
	rng  *rand.Rand // of the driver and of steps, which are one at a time
	log  *zap.Logger

	clock    *clockwork
	store    *sqlstore.Store
	seen     *seen
	cluster  *cluster
	trackers [2]*tracker // nil: not started yet
	workers  map[job.Name]int
	// mutate, or nil, gives trackers a store and nodes that make a mistake on purpose.
	mutate func(*tracker) (store.Store, allNodes)

	domain  mogile.DomainID
	classes []mogile.Class
	keys    int // how many there can be
	// absence is for how many seconds a tracker that was killed is away, on average.
	absence int
	ledger  *ledger

	// kind is "bloody" or "rough" when the day is to be that; else it is as it comes.
	kind string
	// bloody days have many crashes, and disks that break; on wild ones, much of all happens. On
	// rough ones, which none is by itself, it is the worst of everything.
	bloody, wild, rough bool
	// calm: nothing goes wrong any more.
	calm bool
	// lying: disks don't only fail, but tell the untruth.
	lying bool
	// retired devices are broken or given up; they are dead for the operator, now or soon.
	retired map[mogile.DevID]bool
	// reclassed classes had their count changed, which files that were there don't learn
	// until they are checked.
	reclassed map[mogile.ClassID]bool

	visits, inside int // of clients and operators: all there were, and those not over
	guests         sync.WaitGroup

	mu     sync.Mutex
	wrongs []string // guarded by mu: what must not be
	// suspects are the fids that it is about; guarded by mu.
	suspects map[mogile.FID]bool
}

func newSim(t *testing.T, seed uint64) *sim {
	s := &sim{
		t: t, seed: seed, clock: newClockwork(seed), ledger: newLedger(), seen: newSeen(),
		cluster:  &cluster{disks: map[mogile.DevID]*disk{}, unclean: map[place]string{}, tainted: map[mogile.FID]bool{}, lost: map[place]time.Time{}},
		suspects: map[mogile.FID]bool{}, lying: true,
		retired: map[mogile.DevID]bool{}, reclassed: map[mogile.ClassID]bool{},
	}
	s.rng = s.clock.rng
	return s
}

// wrong notes what must not be, and the fid that it is about.
func (s *sim) wrong(fid mogile.FID, format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := fmt.Sprintf(format, args...)
	s.clock.trace.add("WRONG: %s", text)
	s.wrongs = append(s.wrongs, text)
	s.suspects[fid] = true
}

// build makes the installation of a seed.
func (s *sim) build() {
	ctx := context.Background()
	var err error
	if s.store, err = sqlstore.OpenSQLite(ctx, ":memory:", zap.NewNop()); err != nil {
		s.t.Fatal(err)
	}
	s.must(s.store.SetSetting(ctx, "skip_mkcol", "1"))
	s.domain, err = s.store.CreateDomain(ctx, domain)
	s.must(err)
	for _, c := range []mogile.Class{
		{Name: "once", MinDevCount: 1},
		{Name: "twice", MinDevCount: 2},
		{Name: "thrice", MinDevCount: 3, Hash: mogile.HashMD5},
		{Name: "sha", MinDevCount: 2, Hash: mogile.HashSHA1},
		{Name: "devices", MinDevCount: 2, Policy: "MultipleDevices()"},
		{Name: "networks", MinDevCount: 2, Policy: "MultipleNetworks()"},
		{Name: "union", MinDevCount: 2, Policy: "Union(MultipleHosts(), MultipleNetworks())"},
	} {
		c.Domain = s.domain
		c.ID, err = s.store.CreateClass(ctx, c)
		s.must(err)
		s.classes = append(s.classes, c)
	}
	dev := mogile.DevID(0)
	for n := range 3 + s.rng.IntN(3) {
		m := &machine{
			name: mogile.HostName(fmt.Sprint("host", n+1)), ip: fmt.Sprintf("10.%d.0.%d", n%2, n+1),
			checksMD5: s.rng.IntN(2) == 0, atomic: s.rng.IntN(2) == 0,
		}
		m.id, err = s.store.CreateHost(ctx, mogile.Host{Name: m.name, State: mogile.HostAlive, IP: m.ip, Port: 7500})
		s.must(err)
		s.cluster.machines = append(s.cluster.machines, m)
		for range 2 + s.rng.IntN(2) {
			dev++
			s.cluster.disks[dev] = &disk{dev: dev, on: m, files: map[mogile.FID][]byte{}}
			s.must(s.store.CreateDevice(ctx, mogile.Device{ID: dev, Host: m.id, State: mogile.DevAlive, Weight: 100}))
		}
	}
}

func (s *sim) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// live is a day from its beginning to its end.
func (s *sim) live() {
	s.build()
	s.draw()
	for i := range s.trackers {
		s.trackers[i] = s.start(fmt.Sprint("tracker", i+1))
	}
	s.supervise()
	s.clock.run(5 * time.Second)
	s.plan()
	s.clock.run(s.length())
	s.heal()
	s.repair()
	s.finish()
}

// draw says what kind of day it is.
func (s *sim) draw() {
	s.rough = s.kind == "rough"
	s.bloody = s.rough || s.kind == "bloody"
	s.wild = !s.bloody && s.rng.IntN(4) == 0
	s.bloody = s.bloody || s.wild && s.rng.IntN(2) == 0
	s.keys = 5 + s.rng.IntN(25)
	s.workers = map[job.Name]int{job.Replicate: 1 + s.rng.IntN(3), job.Delete: 1 + s.rng.IntN(2), job.Fsck: 1 + s.rng.IntN(2)}
	s.absence = []int{3, 10, 100}[s.rng.IntN(3)]
	s.clock.crashes = []float64{0, 0.001, 0.005, 0.02}[s.rng.IntN(4)]
	if s.bloody {
		s.clock.crashes = 0.02
	}
	s.clock.slow = []float64{0, 0, 0.02, 0.2}[s.rng.IntN(4)]
	s.cluster.mishaps = []float64{0, 0.002, 0.02, 0.1}[s.rng.IntN(4)]
	if s.lying {
		s.cluster.lies = []float64{0, 0, 0.01, 0.05}[s.rng.IntN(4)]
	}
	if s.rough {
		s.wild = true
		s.clock.slow, s.cluster.mishaps = 0.2, 0.1
		if s.rng.IntN(2) == 0 { // trackers live long enough to reap
			s.clock.crashes = 0.005
		}
		if s.lying = s.rng.IntN(2) == 0; !s.lying { // files that no disk lies about must be right without a check
			s.cluster.lies = 0
		}
	}
}

func (s *sim) length() time.Duration { return 2 * time.Minute }

// plan spreads what happens over the day.
func (s *sim) plan() {
	spread := func(n int, do func()) {
		for range n {
			s.clock.after(s.upTo(s.length()), "", do)
		}
	}
	serve := func(n int, do func(mogile.Key)) { spread(n, func() { do(s.anyKey()) }) }
	serve(20+s.rng.IntN(40), s.upload)
	much := 1
	if s.wild {
		much = 4
	}
	serve(s.rng.IntN(10*much), s.remove)
	serve(s.rng.IntN(6*much), s.rename)
	serve(s.rng.IntN(6*much), s.reclass)
	serve(s.rng.IntN(10*much), s.read)
	spread(s.rng.IntN(10*much), s.disturb)
	spread(s.rng.IntN(10*much), s.administer)
	spread(s.rng.IntN(6*much), s.maintain)
	if s.lying {
		spread(s.rng.IntN(12), s.spoil)
		spread(s.rng.IntN(6), s.strip)
	}
	if s.bloody { // late enough for some files to be there, early enough to be reaped
		late := s.length() / 3
		if s.rough { // or to be reaped while trackers are still killed
			late /= 2
		}
		for range 4 {
			s.clock.after(late+s.upTo(s.length()/4), "", s.breakDisk)
		}
	}
}

// supervise starts trackers that were killed, as a service manager does, sooner or later.
func (s *sim) supervise() {
	for i, t := range s.trackers {
		if t.isOver() && s.rng.IntN(s.absence) == 0 {
			s.restart(i)
		}
	}
	s.clock.after(time.Second, "", s.supervise)
}

func (s *sim) restart(i int) {
	s.note("%s starts again", s.trackers[i].name)
	s.trackers[i] = s.start(s.trackers[i].name)
}

// isOver reports whether all its goroutines are gone.
func (t *tracker) isOver() bool {
	select {
	case <-t.closed:
		return true
	default:
		return false
	}
}

// anyTracker is one that lives, or nil.
func (s *sim) anyTracker() *tracker {
	var alive []*tracker
	for _, t := range s.trackers {
		if !t.isDead() {
			alive = append(alive, t)
		}
	}
	if len(alive) == 0 {
		return nil
	}
	return alive[s.rng.IntN(len(alive))]
}

// heal ends what goes wrong, and has the operator set right what he knows of: what broke
// stays dead, all else works.
func (s *sim) heal() {
	s.note("from now on nothing goes wrong")
	s.calm = true
	s.clock.crashes, s.clock.slow, s.cluster.mishaps, s.cluster.lies = 0, 0, 0, 0
	for _, m := range s.cluster.machines {
		m.condition = answers
	}
	for _, dev := range s.cluster.devs() {
		s.cluster.disks[dev].full = false
	}
	s.night()
	s.attend()
	for _, m := range s.cluster.machines {
		s.order(fmt.Sprintf("update_host host=%s&status=alive", m.name))
	}
	for _, line := range []string{"fsck_stop", "rebalance_stop"} {
		if s.checking() {
			s.order(line)
		}
	}
	s.attend()
	s.clock.run(10 * time.Second) // until the rebalance has heard of it
	for _, dev := range s.cluster.devs() {
		state := mogile.DevAlive
		if s.retired[dev] {
			state = mogile.DevDead
		}
		s.setState(dev, state)
	}
	s.attend()
	s.order("replicate_now") // of files that were given up, too
	s.attend()
	s.learnClasses()
}

// learnClasses has the counts be those that came to be: an operator who was told an error,
// or twice something else, does not know.
func (s *sim) learnClasses() {
	rows, err := s.store.LoadTopology(context.Background())
	s.must(err)
	for i, c := range s.classes {
		for _, row := range rows.Classes {
			if row.ID == c.ID {
				s.classes[i] = row
			}
		}
	}
}

// attend waits for all guests, which takes as long as a node is waited for at most.
func (s *sim) attend() {
	for range 30 {
		s.clock.run(5 * time.Second)
		if s.inside == 0 {
			return
		}
	}
	s.wrong(0, "%d clients and operators are not answered", s.inside)
}

// night passes with no tracker at work, so that whatever waits for a time is due: uploads
// are old, leases over, and nothing is put off any longer.
func (s *sim) night() {
	for _, t := range s.trackers {
		t.kill()
	}
	s.clock.events = nil
	s.clock.run(30 * time.Hour)
	for i, t := range s.trackers {
		if !t.isOver() {
			s.t.Fatalf("%s was killed a night ago and still runs", t.name)
		}
		s.restart(i)
	}
}

// repair gives the jobs time, and looks at what they made of it, first without and then
// with a check of all files.
func (s *sim) repair() {
	known, any := s.survivors()
	must := s.mustHold(known, any, false)
	s.drain(must)
	s.checkAll(must, false)
	s.order("set_server_setting key=fsck_checksum&value=class")
	s.order("fsck_reset startpos=0")
	s.attend()
	s.order("fsck_start")
	s.attend()
	must = s.mustHold(known, any, true)
	s.drain(must)
	s.checkAll(must, true)
}

// drain waits until nothing is left to do, and gives up some time. What is put off for long
// is waited for by night.
func (s *sim) drain(must map[mogile.FID]bool) {
	for range 3 {
		for range 60 {
			s.clock.run(5 * time.Second)
			left, checking := s.undone(must), s.checking()
			if len(left) == 0 && !checking {
				return
			}
			late := time.Now().Add(5 * time.Minute).Unix()
			if !checking && !slices.ContainsFunc(left, func(c chore) bool { return c.due < late }) {
				break
			}
		}
		s.night()
	}
}

// checking reports whether fsck or a rebalance is under way.
func (s *sim) checking() bool {
	now, err := s.store.AllSettings(context.Background())
	s.must(err)
	return now[fsck.HostField] != "" || now[rebalance.HostField] != ""
}

// finish closes all. What would still run then would be found by the bubble.
func (s *sim) finish() {
	for _, t := range s.trackers {
		go t.close()
	}
	s.clock.run(time.Minute)
	if !s.trackers[0].isOver() || !s.trackers[1].isOver() {
		s.t.Fatal("a tracker does not end")
	}
	s.must(s.store.Close())
	s.guests.Wait()
}

func sortedFIDs(m map[mogile.FID]string) []mogile.FID {
	fids := make([]mogile.FID, 0, len(m))
	for fid := range m {
		fids = append(fids, fid)
	}
	slices.Sort(fids)
	return fids
}
