package monitor_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/monitor"
	"github.com/mogilefs/caddy-mogilefs/tracker/node"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
	"github.com/mogilefs/caddy-mogilefs/tracker/topology"
)

// database is one with a topology. It counts what is asked.
type database struct {
	store.Topology
	store.Locks

	mu     sync.Mutex // guards what follows
	rows   store.Rows
	err    error // of reading the topology
	locked bool  // somebody else has the monitor's lock
	loads  int
	saved  [][]mogile.Device
}

func (s *database) LoadTopology(context.Context) (store.Rows, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.loads++
	rows := s.rows // a test may change it while that is read
	rows.Hosts, rows.Devices = slices.Clone(rows.Hosts), slices.Clone(rows.Devices)
	return rows, s.err
}

func (s *database) Lock(_ context.Context, name string, _ time.Duration) (func(), error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.locked && name == "mgfs:device_update" {
		return nil, store.ErrLocked
	}
	return func() {}, nil
}

func (s *database) SetDeviceUsage(_ context.Context, devs []mogile.Device) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.saved = append(s.saved, devs)
	return nil
}

func (s *database) change(f func(*database)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s)
}

// devices are storage nodes that answer in no time, unless told otherwise. They count
// what they are asked.
type devices struct {
	mu     sync.Mutex // guards what follows
	usage  map[mogile.DevID]func(ctx context.Context) error
	write  map[mogile.DevID]error
	usages map[mogile.DevID]int
	tests  map[mogile.DevID]int
	busy   int
	most   int // asked at a time
}

func (d *devices) Usage(ctx context.Context, _ string, dev mogile.DevID) (node.Usage, error) {
	d.mu.Lock()
	d.usages[dev]++
	d.busy++
	d.most = max(d.most, d.busy)
	behave := d.usage[dev]
	d.mu.Unlock()
	defer func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.busy--
	}()
	if behave != nil {
		if err := behave(ctx); err != nil {
			return node.Usage{}, err
		}
	}
	return node.Usage{TotalKB: 4 << 20, UsedKB: 1 << 20}, nil
}

func (d *devices) TestWrite(_ context.Context, dev mogile.DevID, _, _ string) (string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.tests[dev]++
	return "1", d.write[dev]
}

func (d *devices) behaves(dev mogile.DevID, usage func(ctx context.Context) error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.usage[dev] = usage
}

// asked is how often the device's usage was read and a write tested, since last asked.
func (d *devices) asked(dev mogile.DevID) (usages, tests int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	usages, tests = d.usages[dev], d.tests[dev]
	d.usages[dev], d.tests[dev] = 0, 0
	return usages, tests
}

var errDown = errors.New("connection refused")

func refusing(context.Context) error { return errDown }

// silent answers nothing until the node's timeout.
func silent(ctx context.Context) error {
	select {
	case <-time.After(2 * time.Second):
		return node.ErrTimeout
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// cluster is two hosts, with devices 11 and 12, and 21.
func cluster() (*database, *devices) {
	s := &database{rows: store.Rows{
		Hosts: []mogile.Host{
			{ID: 1, Name: "one", State: mogile.HostAlive, IP: "10.0.0.1", Port: 7500},
			{ID: 2, Name: "two", State: mogile.HostAlive, IP: "10.0.0.2", Port: 7500},
		},
		Devices: []mogile.Device{
			{ID: 11, Host: 1, State: mogile.DevAlive}, {ID: 12, Host: 1, State: mogile.DevAlive},
			{ID: 21, Host: 2, State: mogile.DevAlive},
		},
	}}
	d := &devices{
		usage: map[mogile.DevID]func(context.Context) error{}, write: map[mogile.DevID]error{},
		usages: map[mogile.DevID]int{}, tests: map[mogile.DevID]int{},
	}
	return s, d
}

// watch runs a test against a monitor of that cluster, in a bubble of time that starts
// when the monitor does. Nothing may run on when it returns.
func watch(t *testing.T, prepare func(s *database, d *devices), test func(t *testing.T, w *watched)) {
	synctest.Test(t, func(t *testing.T) {
		s, d := cluster()
		prepare(s, d)
		w := begin(s, d, d)
		test(t, w)
		w.end()
	})
}

type watched struct {
	store   *database
	devices *devices
	live    *topology.Live
	monitor *monitor.Monitor
	end     func() // ends the monitor and waits for that
}

// begin starts a monitor.
func begin(s *database, d *devices, nodes monitor.Nodes) *watched {
	return beginWith(s, d, nodes, zap.NewNop())
}

func beginWith(s *database, d *devices, nodes monitor.Nodes, log *zap.Logger) *watched {
	w := &watched{store: s, devices: d, live: topology.New(s, topology.Config{})}
	w.monitor = monitor.New(monitor.Config{Store: s, Topology: w.live, Nodes: nodes, Logger: log})
	ctx, end := context.WithCancel(context.Background())
	var runs sync.WaitGroup
	w.end = func() { end(); runs.Wait() }
	runs.Go(func() { w.monitor.Run(ctx) })
	return w
}

func asIs(*database, *devices) {}

// seen is how the devices are seen now, as in 11:writeable.
func (w *watched) seen() string {
	text := ""
	for _, d := range w.live.Snapshot().Devices() {
		state := string(d.Seen.State)
		if !d.HostReachable {
			state += "(host down)"
		}
		text += fmt.Sprintf("%d:%s ", d.ID, state)
	}
	return text
}

// pass lets time go by, and what is due then happen.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func (w *watched) wantSeen(t *testing.T, want string) {
	t.Helper()
	if got := w.seen(); got != want {
		t.Errorf("devices are seen as %s; want %s", got, want)
	}
}

const allWriteable = "11:writeable 12:writeable 21:writeable "

func TestMonitorSeesDevicesAndTheirSizes(t *testing.T) {
	watch(t, asIs, func(t *testing.T, w *watched) {
		if err := w.monitor.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.wantSeen(t, allWriteable)
		d, _ := w.live.Snapshot().Device(11)
		if d.MBTotal != 4096 || d.MBUsed != 1024 || d.AsOf != time.Now().Unix() || d.Seen.RejectsBadMD5 != "1" {
			t.Errorf("got %+v; want 4096 MB, 1024 used, as of now, rejecting bad MD5", d)
		}
	})
}

func TestMonitorNeverWritesWhereItMustNot(t *testing.T) {
	watch(t, func(s *database, _ *devices) {
		s.rows.Devices[0].State, s.rows.Devices[1].State = mogile.DevReadonly, mogile.DevDown
		s.rows.Hosts[1].State = mogile.HostReadonly
	}, func(t *testing.T, w *watched) {
		pass(time.Minute)
		w.wantSeen(t, "11:readable 12: 21:readable ")
		for _, dev := range []mogile.DevID{11, 12, 21} {
			if usages, tests := w.devices.asked(dev); tests != 0 || (usages == 0) != (dev == 12) {
				t.Errorf("device %d: got %d looks and %d test writes; want no test write", dev, usages, tests)
			}
		}
	})
}

func TestMonitorKeepsItsClocks(t *testing.T) {
	watch(t, asIs, func(t *testing.T, w *watched) {
		synctest.Wait()
		w.devices.asked(11)
		w.store.change(func(s *database) { s.loads, s.saved = 0, nil })
		pass(time.Minute)
		usages, tests := w.devices.asked(11)
		if usages != 24 || tests != 4 {
			t.Errorf("within a minute: got %d looks and %d test writes; want 24 and 4", usages, tests)
		}
		w.store.change(func(s *database) {
			if s.loads != 15 || len(s.saved) != 4 {
				t.Errorf("within a minute: got %d readings of the topology, usage saved %d times; want 15 and 4", s.loads, len(s.saved))
			}
		})
	})
}

func TestMonitorLeavesSavingToWhoHoldsTheLock(t *testing.T) {
	watch(t, func(s *database, _ *devices) { s.locked = true }, func(t *testing.T, w *watched) {
		pass(time.Minute)
		w.store.change(func(s *database) {
			if len(s.saved) != 0 {
				t.Errorf("got usage saved %d times; want never", len(s.saved))
			}
			s.locked = false
		})
		pass(3 * time.Second)
		w.store.change(func(s *database) {
			if len(s.saved) != 1 || len(s.saved[0]) != 3 {
				t.Errorf("got %v saved; want all three devices once", s.saved)
			}
		})
	})
}

func TestMonitorSavesNoSizesThatAnotherHasJustSaved(t *testing.T) {
	watch(t, func(s *database, _ *devices) { s.rows.Devices[1].AsOf = time.Now().Unix() - 5 }, func(t *testing.T, w *watched) {
		synctest.Wait()
		w.store.change(func(s *database) {
			if len(s.saved) != 1 || len(s.saved[0]) != 2 {
				t.Errorf("got %v saved; want devices 11 and 21", s.saved)
			}
		})
	})
}

func TestMonitorTellsOnceOfStatesThatNobodyKnows(t *testing.T) {
	core, logs := observer.New(zap.ErrorLevel)
	synctest.Test(t, func(t *testing.T) {
		s, d := cluster()
		s.rows.Devices[0].State, s.rows.Hosts[1].State = "broken", "asleep"
		w := beginWith(s, d, d, zap.New(core))
		pass(time.Minute)
		w.wantSeen(t, "11: 12:writeable 21:(host down) ")
		w.end()
	})
	if logs.Len() != 2 {
		t.Errorf("got %d errors logged within a minute; want one for each state: %v", logs.Len(), logs.All())
	}
}

func TestAQuickFailureCondemnsTheDeviceOnly(t *testing.T) {
	watch(t, asIs, func(t *testing.T, w *watched) {
		pass(20 * time.Second)
		w.devices.behaves(11, refusing)
		pass(3 * time.Second)
		w.wantSeen(t, "11:unreachable 12:writeable 21:writeable ")
	})
}

func TestASlowFailureCondemnsTheHost(t *testing.T) {
	watch(t, asIs, func(t *testing.T, w *watched) {
		pass(20 * time.Second)
		w.devices.behaves(11, silent)
		pass(5 * time.Second)
		w.wantSeen(t, "11:writeable(host down) 12:writeable(host down) 21:writeable ")
		w.devices.behaves(11, nil)
		w.devices.asked(11)
		pass(5 * time.Second)
		w.wantSeen(t, allWriteable)
		if _, tests := w.devices.asked(11); tests != 1 {
			t.Errorf("got %d test writes of a device that is back; want one at once", tests)
		}
	})
}

// The peer lets it wait for its next test write.
func TestADeviceThatIsBackIsTestedAtOnce(t *testing.T) {
	watch(t, asIs, func(t *testing.T, w *watched) {
		pass(16 * time.Second) // a test write is just over
		w.devices.behaves(21, refusing)
		pass(2500 * time.Millisecond)
		w.wantSeen(t, "11:writeable 12:writeable 21:unreachable ")
		w.devices.behaves(21, nil)
		pass(2500 * time.Millisecond)
		w.wantSeen(t, allWriteable)
	})
}

func TestADeviceThatFailsItsTestWriteIsReadable(t *testing.T) {
	watch(t, func(_ *database, d *devices) { d.write[12] = errors.New("507") }, func(t *testing.T, w *watched) {
		synctest.Wait()
		w.wantSeen(t, "11:writeable 12:readable 21:writeable ")
	})
}

func TestAnUnusableUsageFileChangesNothing(t *testing.T) {
	watch(t, asIs, func(t *testing.T, w *watched) {
		pass(20 * time.Second)
		w.devices.behaves(11, func(context.Context) error { return node.ErrUsage })
		w.devices.asked(11)
		pass(time.Minute)
		w.wantSeen(t, allWriteable)
		if _, tests := w.devices.asked(11); tests != 0 {
			t.Errorf("got %d test writes; want none", tests)
		}
	})
}

func TestMonitorLooksAtTwentyDevicesAtATime(t *testing.T) {
	watch(t, func(s *database, d *devices) {
		for i := range mogile.DevID(40) {
			s.rows.Devices = append(s.rows.Devices, mogile.Device{ID: 100 + i, Host: 2, State: mogile.DevAlive})
			d.usage[100+i] = func(context.Context) error { <-time.After(time.Millisecond); return nil }
		}
	}, func(t *testing.T, w *watched) {
		pass(time.Second)
		if w.devices.most != 20 {
			t.Errorf("got %d at a time; want 20", w.devices.most)
		}
	})
}

func TestTheRestOfACondemnedHostIsSkipped(t *testing.T) {
	watch(t, func(s *database, d *devices) {
		for i := range mogile.DevID(40) {
			s.rows.Devices = append(s.rows.Devices, mogile.Device{ID: 100 + i, Host: 2, State: mogile.DevAlive})
			d.usage[100+i] = silent
		}
	}, func(t *testing.T, w *watched) {
		pass(2050 * time.Millisecond) // one round, and not yet the next
		asked := 0
		for i := range mogile.DevID(40) {
			usages, _ := w.devices.asked(100 + i)
			asked += usages
		}
		if asked > 20 {
			t.Errorf("got %d of the silent host's devices asked; want no more after the first had not answered", asked)
		}
	})
}

// A storage node in this process listens a moment after the tracker has started.
func TestReadyWaitsForANodeThatIsAboutToStart(t *testing.T) {
	watch(t, func(_ *database, d *devices) {
		for _, dev := range all {
			d.usage[dev] = refusing
		}
	}, func(t *testing.T, w *watched) {
		begin := time.Now()
		pass(time.Second)
		w.devices.behaves(21, nil)
		if err := w.monitor.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begin); took < time.Second || took > 1200*time.Millisecond {
			t.Errorf("got ready after %v; want soon after the node was, at 1s", took)
		}
		w.wantSeen(t, "11:unreachable(host down) 12:unreachable(host down) 21:writeable ")
	})
}

var all = []mogile.DevID{11, 12, 21}

func TestReadyDoesNotWaitForOneNodeOfSeveral(t *testing.T) {
	for name, c := range map[string]struct {
		behave func(context.Context) error
		most   time.Duration
	}{"refusing": {refusing, 0}, "silent": {silent, 2 * time.Second}} {
		watch(t, func(_ *database, d *devices) { d.usage[21] = c.behave }, func(t *testing.T, w *watched) {
			begin := time.Now()
			if err := w.monitor.Ready(t.Context()); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(begin); took > c.most {
				t.Errorf("%s: got ready after %v; want %v, which is one round", name, took, c.most)
			}
			if err := w.monitor.AllSeen(t.Context()); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(begin); took < 9*time.Second || took > 13*time.Second {
				t.Errorf("%s: got all seen after %v; want 10s and at most a round, as the device may still appear", name, took)
			}
		})
	}
}

func TestReadyDoesNotWaitLongForNodesThatAreDown(t *testing.T) {
	for name, behave := range map[string]func(context.Context) error{"refusing": refusing, "silent": silent} {
		watch(t, func(_ *database, d *devices) {
			for _, dev := range all {
				d.usage[dev] = behave
			}
		}, func(t *testing.T, w *watched) {
			begin := time.Now()
			if err := w.monitor.Ready(t.Context()); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(begin); took < 9*time.Second || took > 13*time.Second {
				t.Errorf("%s: got ready after %v; want 10s and at most a round", name, took)
			}
			w.devices.asked(21)
			pass(time.Minute)
			if usages, _ := w.devices.asked(21); usages > 24 {
				t.Errorf("%s: got %d looks in the next minute; want the usual 24", name, usages)
			}
		})
	}
}

func TestReadyIsAtOnceWithoutDevices(t *testing.T) {
	watch(t, func(s *database, _ *devices) { s.rows = store.Rows{} }, func(t *testing.T, w *watched) {
		begin := time.Now()
		if err := w.monitor.Ready(t.Context()); err != nil || time.Since(begin) != 0 {
			t.Errorf("got %v after %v; want no error at once", err, time.Since(begin))
		}
	})
}

func TestRefreshSeesWhatWasChangedBeforeIt(t *testing.T) {
	watch(t, asIs, func(t *testing.T, w *watched) {
		pass(11 * time.Second)
		w.store.change(func(s *database) { s.rows.Devices[2].State = mogile.DevReadonly })
		if err := w.monitor.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.wantSeen(t, "11:writeable 12:writeable 21:readable ")
	})
}

// Callers that come during a round share the next one: it began after all their calls.
func TestRefreshIsShared(t *testing.T) {
	watch(t, asIs, func(t *testing.T, w *watched) {
		pass(11 * time.Second)
		slow := func(context.Context) error { <-time.After(100 * time.Millisecond); return nil }
		w.devices.behaves(21, slow)
		w.devices.asked(21)
		var callers sync.WaitGroup
		refresh := func() {
			if err := w.monitor.Refresh(t.Context()); err != nil {
				t.Error(err)
			}
		}
		callers.Go(refresh)
		synctest.Wait() // its round has begun
		for range 10 {
			callers.Go(refresh)
		}
		callers.Wait()
		if usages, _ := w.devices.asked(21); usages != 2 {
			t.Errorf("got %d rounds for 11 callers; want 2", usages)
		}
	})
}

func TestRefreshReportsADatabaseThatFails(t *testing.T) {
	watch(t, asIs, func(t *testing.T, w *watched) {
		pass(11 * time.Second)
		w.store.change(func(s *database) { s.err = errors.New("database is on fire") })
		if err := w.monitor.Refresh(t.Context()); !errors.Is(err, w.store.err) {
			t.Errorf("got error %v; want %v", err, w.store.err)
		}
		w.wantSeen(t, allWriteable)
		ctx, cancel := context.WithTimeout(t.Context(), 0)
		defer cancel()
		if err := w.monitor.Refresh(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("caller in a hurry: got error %v; want %v", err, context.DeadlineExceeded)
		}
	})
}

func TestWhoWaitsForAMonitorThatEndsIsToldSo(t *testing.T) {
	watch(t, func(_ *database, d *devices) { d.usage[21] = silent }, func(t *testing.T, w *watched) {
		var callers sync.WaitGroup
		for name, call := range map[string]func(context.Context) error{
			"Ready": w.monitor.Ready, "AllSeen": w.monitor.AllSeen, "Refresh": w.monitor.Refresh,
		} {
			callers.Go(func() {
				if err := call(context.Background()); err == nil {
					t.Errorf("%s: got no error; want one, as the monitor has ended", name)
				}
			})
		}
		pass(time.Second)
		w.end()
		callers.Wait()
	})
}
