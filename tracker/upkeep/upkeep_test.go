package upkeep_test

import (
	"context"
	"errors"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/protocol"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
	"github.com/mogilefs/caddy-mogilefs/tracker/store/sqlstore"
	"github.com/mogilefs/caddy-mogilefs/tracker/topology"
	"github.com/mogilefs/caddy-mogilefs/tracker/upkeep"
)

// These tests are about what a scripted session (tracker/testdata) can't show.

// office is the commands on an empty store that can be made to fail, with jobs that
// remember what they were asked for.
type office struct {
	t *testing.T
	*upkeep.Upkeep
	store  *faulty
	live   *topology.Live
	copies []string
	woken  int

	refusal string
	copyErr error
}

// faulty is a store that fails some calls.
type faulty struct {
	store.Store
	change, fold, release error
}

func (s *faulty) ChangeSettings(ctx context.Context, decide func(map[string]string) (store.SettingChanges, error)) error {
	if s.change != nil {
		return s.change
	}
	return s.Store.ChangeSettings(ctx, decide)
}

func (s *faulty) FoldFsckLog(ctx context.Context) error {
	if s.fold != nil {
		return s.fold
	}
	return s.Store.FoldFsckLog(ctx)
}

func (s *faulty) ReleaseAll(ctx context.Context, q store.QueueName) (int64, error) {
	if s.release != nil {
		return 3, s.release
	}
	return s.Store.ReleaseAll(ctx, q)
}

var errDown = errors.New("database is down")

func newOffice(t *testing.T, hostname string) *office {
	t.Helper()
	db, err := sqlstore.OpenSQLite(t.Context(), ":memory:", zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	o := &office{t: t, store: &faulty{Store: db}, live: topology.New(db, topology.Config{})}
	o.Upkeep = upkeep.New(upkeep.Config{Store: o.store, Topology: o.live, Jobs: o, Hostname: hostname})
	return o
}

func (o *office) Wake(store.QueueName) { o.woken++ }

func (o *office) Copy(_ context.Context, fid mogile.FID, from, to mogile.DevID) (string, error) {
	o.copies = append(o.copies, fid.String()+" "+from.String()+" "+to.String())
	return o.refusal, o.copyErr
}

func (o *office) ask(line string) (string, error) {
	var out protocol.Pairs
	err := o.Run(o.t.Context(), protocol.Parse([]byte(line)), &out)
	return out.String(), err
}

func (o *office) answers(line, want string) {
	o.t.Helper()
	if got, err := o.ask(line); err != nil || got != want {
		o.t.Errorf("%q: got %q, %v; want %q", line, got, err, want)
	}
}

func (o *office) fails(line string, want error) {
	o.t.Helper()
	if got, err := o.ask(line); !errors.Is(err, want) {
		o.t.Errorf("%q: got %q, %v; want %v", line, got, err, want)
	}
}

func TestAnUnnamedTrackerIsCalledAsItsMachine(t *testing.T) {
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"": host, "other": "other"} {
		o := newOffice(t, name)
		o.answers("fsck_start", "")
		if got, err := o.store.Setting(t.Context(), "fsck_host"); err != nil || got != want {
			t.Errorf("hostname %q: got fsck_host %q, %v; want %q", name, got, err, want)
		}
	}
}

func TestOneOfManyStartsWins(t *testing.T) {
	for _, line := range []string{"fsck_start", "rebalance_start"} {
		o := newOffice(t, "here")
		o.answers("rebalance_set_policy policy=from_hosts%3D1", "")
		const n = 8
		errs := make([]error, n)
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() { _, errs[i] = o.ask([]string{line, "fsck_start", "rebalance_start"}[i%3]) })
		}
		wg.Wait()
		won := 0
		for _, err := range errs {
			switch {
			case err == nil:
				won++
			case !errors.Is(err, protocol.FsckRunning) && !errors.Is(err, protocol.RebalRunning):
				t.Errorf("a start that lost: got %v; want it told what runs", err)
			}
		}
		if won != 1 {
			t.Errorf("%d starts won; want 1", won)
		}
	}
}

func TestADatabaseThatTakesNoChangeIsTold(t *testing.T) {
	o := newOffice(t, "here")
	o.answers("rebalance_set_policy policy=from_hosts%3D1", "")
	o.store.change = errDown
	for _, line := range []string{"fsck_start", "fsck_reset"} {
		o.fails(line, protocol.DB)
		o.fails(line, errDown)
	}
	for _, line := range []string{"fsck_stop", "rebalance_start", "rebalance_set_policy policy=", "set_server_setting key=skip_mkcol&value=1"} {
		_, err := o.ask(line)
		if answer := (*protocol.Error)(nil); errors.As(err, &answer) || !errors.Is(err, errDown) {
			t.Errorf("%q: got %v; want the internal error %v", line, err, errDown)
		}
	}
}

func TestAStatusDoesNotNeedTheCount(t *testing.T) {
	o := newOffice(t, "here")
	o.store.fold = store.ErrLocked // another tracker counts
	if got, err := o.ask("fsck_status"); err != nil || !strings.HasPrefix(got, "running=0&") {
		t.Errorf("got %q, %v; want the status", got, err)
	}
	o.store.fold = errDown
	o.fails("fsck_status", errDown)
}

func TestAStatusTellsHowFarFsckIs(t *testing.T) {
	o := newOffice(t, "here")
	if got, err := o.ask("fsck_status"); err != nil || strings.Contains(got, "files_") {
		t.Errorf("nothing was queued: got %q, %v; want no numbers", got, err)
	}
	now, err := o.store.Now(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for field, value := range map[string]int64{"fsck_fids_checked": 22, "fsck_start_time": now - 1010, "fsck_stop_time": now - 1000} {
		if err := o.store.SetSetting(t.Context(), field, strconv.FormatInt(value, 10)); err != nil {
			t.Fatal(err)
		}
	}
	for _, fid := range []mogile.FID{1, 2} {
		if err := o.store.EnqueueWork(t.Context(), store.WorkRow{FID: fid, Kind: store.FsckWork}); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := o.ask("fsck_status"); err != nil || !strings.Contains(got, "&files_checked=20&files_waiting=2&files_per_second=2.0") {
		t.Errorf("got %q, %v; want 20 of 22 checked, in 10 seconds", got, err)
	}
}

func TestFsckWakesWhoQueuesFiles(t *testing.T) {
	o := newOffice(t, "here")
	o.answers("fsck_reset", "")
	o.answers("fsck_start", "")
	o.fails("fsck_start", protocol.FsckRunning)
	o.answers("fsck_stop", "")
	if o.woken != 2 {
		t.Errorf("woken %d times; want 2: by the reset and by the start that won", o.woken)
	}
}

func TestWhatWasReleasedIsWorkedOnAlsoWhenTheRestFails(t *testing.T) {
	o := newOffice(t, "here")
	o.answers("replicate_now", "count=0")
	if o.woken != 0 {
		t.Errorf("woken %d times for nothing; want 0", o.woken)
	}
	o.store.release = errDown
	o.fails("replicate_now", errDown)
	if o.woken != 1 {
		t.Errorf("woken %d times; want 1", o.woken)
	}
}

// Who queues files is in this process, as a rule, and need not be waited for.
func TestARebalanceIsBegunAndStoppedAtOnce(t *testing.T) {
	o := newOffice(t, "here")
	o.answers("rebalance_set_policy policy=from_hosts%3D1", "")
	o.fails("rebalance_stop", protocol.RebalNotStarted)
	for i, line := range []string{"rebalance_start", "rebalance_stop"} {
		if _, err := o.ask(line); err != nil || o.woken != i+1 {
			t.Errorf("%s: got %v, woken %d times; want once more", line, err, o.woken)
		}
	}
	o.fails("rebalance_start", protocol.RebalRunning)
	if o.woken != 2 {
		t.Errorf("woken %d times; want not for what was refused", o.woken)
	}
}

func TestAStatusSaysHowFastARebalanceIsAndWhatItWaitsFor(t *testing.T) {
	o := newOffice(t, "here")
	o.answers("rebalance_set_policy policy=from_hosts%3D1", "")
	if _, err := o.ask("rebalance_start"); err != nil {
		t.Fatal(err)
	}
	for field, value := range map[string]string{
		"rebal_state": "fids_queued=50", "rebal_since": "1 0", "rebal_waits": "better times",
	} {
		if err := o.store.SetSetting(t.Context(), field, value); err != nil {
			t.Fatal(err)
		}
	}
	if err := o.store.EnqueueWork(t.Context(), store.WorkRow{FID: 1, Kind: store.RebalanceWork}); err != nil {
		t.Fatal(err)
	}
	got, err := o.ask("rebalance_status")
	if err != nil || !strings.Contains(got, "&running=1&host=here&queued=1&done=49&rate=0.0&waits=better+times") {
		t.Errorf("got %q, %v; want how far it is, and that it waits", got, err)
	}
	if err := o.store.UnsetSetting(t.Context(), "rebal_host"); err != nil {
		t.Fatal(err)
	}
	o.answers("rebalance_reset", "")
	o.fails("rebalance_status", protocol.NoRebalState)
	for _, field := range []string{"rebal_since", "rebal_waits"} {
		if value, err := o.store.Setting(t.Context(), field); err == nil {
			t.Errorf("got %s %q after a reset; want it unset", field, value)
		}
	}
}

func TestACopyThatCanNotBeRecordedIsNoRefusal(t *testing.T) {
	o := newOffice(t, "here")
	o.answers("httpcopy sdevid=1&ddevid=2&fid=3", "")
	o.refusal = "no"
	o.fails("httpcopy sdevid=1&ddevid=2&fid=3", protocol.CopyErr)
	o.refusal, o.copyErr = "", errDown
	o.fails("httpcopy sdevid=1&ddevid=2&fid=3", errDown)
	for _, line := range []string{
		"httpcopy", "httpcopy sdevid=1&ddevid=2", "httpcopy ddevid=2&fid=3", "httpcopy sdevid=1&fid=3", "httpcopy sdevid=a&ddevid=2&fid=3",
		"httpcopy sdevid=1&ddevid=2&fid=18446744073709551615",
	} {
		o.fails(line, protocol.CopyErr)
	}
	if got := strings.Join(o.copies, ","); got != "3 1 2,3 1 2,3 1 2" {
		t.Errorf("got copies %s; want those with good numbers", got)
	}
}

func TestOthersCommandsAreUnknown(t *testing.T) {
	newOffice(t, "here").fails("noop", protocol.UnknownCommand)
}
