package crew

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

// fakeQueue has the rows that nobody has claimed, and those that somebody has. What it is
// told it writes down. Its time is that of the test.
type fakeQueue struct {
	store.Queue

	mu      sync.Mutex // guards what follows
	due     map[store.QueueName][]mogile.FID
	claimed map[mogile.FID]int64 // until when
	told    []string
	failing error
}

func newFakeQueue(due map[store.QueueName][]mogile.FID) *fakeQueue {
	return &fakeQueue{due: due, claimed: map[mogile.FID]int64{}}
}

func (q *fakeQueue) Claim(_ context.Context, name store.QueueName, limit int, lease time.Duration) (items []store.Item, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := min(limit, len(q.due[name]))
	until := time.Now().Add(lease).Unix()
	for _, fid := range q.due[name][:n] {
		items = append(items, store.Item{FID: fid, Until: until})
		q.claimed[fid] = until
	}
	q.due[name] = q.due[name][n:]
	return items, q.failing
}

func (q *fakeQueue) Renew(_ context.Context, _ store.QueueName, lease time.Duration, items ...store.Item) (held []store.Item, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.failing != nil {
		return nil, q.failing
	}
	until := time.Now().Add(lease).Unix()
	for _, item := range items {
		if q.claimed[item.FID] == item.Until {
			q.claimed[item.FID], item.Until = until, until
			held = append(held, item)
		}
	}
	if lease == 0 {
		q.tell("return", items)
	}
	return held, nil
}

func (q *fakeQueue) Finish(_ context.Context, _ store.QueueName, items ...store.Item) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, item := range items {
		if q.claimed[item.FID] == item.Until {
			delete(q.claimed, item.FID)
		}
	}
	q.tell("finish", items)
	return q.failing
}

func (q *fakeQueue) Postpone(_ context.Context, _ store.QueueName, fid mogile.FID, _ time.Duration, _ int) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.tell("postpone", []store.Item{{FID: fid}})
	return nil
}

func (q *fakeQueue) NextDue(context.Context, store.QueueName) (time.Duration, error) {
	return 0, store.ErrNotFound
}

// tell needs the lock held.
func (q *fakeQueue) tell(what string, items []store.Item) {
	for _, item := range items {
		what += fmt.Sprint(" ", item.FID)
	}
	q.told = append(q.told, what)
}

func (q *fakeQueue) heard() string {
	q.mu.Lock()
	defer q.mu.Unlock()
	return strings.Join(q.told, ", ")
}

// lasts is for how long the claim of a fid will last; negative when it has run out.
func (q *fakeQueue) lasts(fid mogile.FID) time.Duration {
	q.mu.Lock()
	defer q.mu.Unlock()
	return time.Until(time.Unix(q.claimed[fid], 0))
}

// employ has a crew work with so many workers. leave ends it.
func employ(q *fakeQueue, workers int, sources ...Source) (leave func()) {
	return employSharing(Config{}, q, workers, sources...)
}

// employSharing is employ with hands that may be shared.
func employSharing(config Config, q *fakeQueue, workers int, sources ...Source) (leave func()) {
	config.Store, config.Workers, config.Rand, config.Logger = q, workers, func() float64 { return 0 }, zap.NewNop()
	c := New(config, sources...)
	ctx, cancel := context.WithCancel(context.Background())
	var wg, keepers sync.WaitGroup
	keepers.Go(c.Keep)
	wg.Go(func() { c.Run(ctx) })
	c.Employ(ctx, &wg)
	return func() {
		cancel()
		wg.Wait()
		c.Release()
		keepers.Wait()
	}
}

// pass lets the bubble's time go on.
func pass(d time.Duration) { <-time.After(d) }

// hours is work that takes as long as its context lets it, or an hour.
func hours(ctx context.Context, _ Work) (Outcome, error) {
	select {
	case <-time.After(time.Hour):
	case <-ctx.Done():
	}
	return Outcome{Fate: Finished}, ctx.Err()
}

func TestWhatIsInHandStaysClaimed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newFakeQueue(map[store.QueueName][]mogile.FID{"q": {1, 2, 3}})
		leave := employ(q, 1, Source{Queue: "q", Do: hours})
		defer leave()
		for range 100 {
			pass(30 * time.Second)
			for fid := range mogile.FID(3) { // one is worked on, two wait
				if got := q.lasts(fid + 1); got < lease-renewEvery-time.Second || got > lease {
					t.Fatalf("fid %d: got a claim for another %v; want more than %v", fid+1, got, lease-renewEvery)
				}
			}
		}
		pass(11 * time.Minute) // the first hour is over
		if got := q.heard(); got != "finish 1" {
			t.Errorf("got %q; want fid 1 finished", got)
		}
		if q.lasts(1) > -time.Minute || q.lasts(2) < 0 {
			t.Errorf("got claims of what is finished and in hand for %v and %v", q.lasts(1), q.lasts(2))
		}
	})
}

func TestAFailedRenewalIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newFakeQueue(map[store.QueueName][]mogile.FID{"q": {1}})
		leave := employ(q, 1, Source{Queue: "q", Do: hours})
		defer leave()
		synctest.Wait()
		q.fail(errors.New("gone for 30 seconds"))
		pass(30 * time.Second)
		q.fail(nil)
		pass(40 * time.Second)
		if q.lasts(1) < 0 {
			t.Error("got a claim that ran out; want it renewed")
		}
	})
}

func (q *fakeQueue) fail(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.failing = err
}

// steal is what another tracker does, or a client who changes the class of a file.
func (q *fakeQueue) steal(fid mogile.FID) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.claimed[fid] = 7
}

func TestWhatIsLostIsNeitherBegunNorWrittenDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newFakeQueue(map[store.QueueName][]mogile.FID{"q": {1, 2, 3}})
		var mu sync.Mutex
		var begun []mogile.FID // guarded by mu
		leave := employ(q, 1, Source{Queue: "q", Do: func(ctx context.Context, w Work) (Outcome, error) {
			mu.Lock()
			begun = append(begun, w.FID)
			mu.Unlock()
			_, err := hours(ctx, w)
			return Outcome{Fate: Postponed}, err
		}})
		synctest.Wait()
		q.steal(1)
		q.steal(2)
		pass(3 * time.Hour)
		leave()
		if diff := cmp.Diff([]mogile.FID{1, 3}, begun); diff != "" {
			t.Errorf("got %v worked on; want not what another has\n%s", begun, diff)
		}
		if got := q.heard(); got != "postpone 3" {
			t.Errorf("got %q; want fid 3 postponed", got)
		}
	})
}

func TestWhatIsQueuedAnewWaitsForWhoHasItInHand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newFakeQueue(map[store.QueueName][]mogile.FID{"q": {1}})
		var mu sync.Mutex
		var begun int // guarded by mu
		leave := employ(q, 2, Source{Queue: "q", Do: func(ctx context.Context, w Work) (Outcome, error) {
			mu.Lock()
			begun++
			mu.Unlock()
			return hours(ctx, w)
		}})
		defer leave()
		synctest.Wait()
		q.mu.Lock()
		q.due["q"] = []mogile.FID{1}
		q.mu.Unlock()
		pass(10 * time.Second)
		mu.Lock()
		defer mu.Unlock()
		if begun != 1 {
			t.Errorf("got fid 1 worked on %d times at once; want once", begun)
		}
		if got := q.lasts(1); got > retake {
			t.Errorf("got the row claimed for another %v; want it due", got)
		}
	})
}

// A row that is claimed twice within a second looks the same both times.
func TestWhoHasARowInHandLeavesAloneWhatWasQueuedAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, fate := range map[string]Fate{"finished": Finished, "returned": Returned, "postponed": Postponed, "parked": Parked} {
			q := newFakeQueue(map[store.QueueName][]mogile.FID{"q": {1}})
			c := newClaims(Source{Queue: "q"}, q, zap.NewNop())
			all, err := c.take(t.Context(), 1)
			if err != nil || len(all) != 1 {
				t.Fatalf("got %v, %v; want a row", all, err)
			}
			q.due["q"] = []mogile.FID{1}
			if again, err := c.take(t.Context(), 1); len(again) > 0 || err != nil {
				t.Errorf("got %v, %v; want nothing while it is in hand", again, err)
			}
			c.renew()
			if fate == Finished || fate == Returned {
				c.flush([]ended{{all[0], Outcome{Fate: fate}}})
			} else {
				c.settle(t.Context(), all[0], Outcome{Fate: fate})
			}
			if got := q.heard(); got != "" || q.claimed[1] != time.Now().Add(retake).Unix() || len(c.all()) > 0 {
				t.Errorf("%s: the queue was told %q, the row is claimed until %d, and %v in hand; want it left alone", name, got, q.claimed[1], c.all())
			}
		}
	})
}

func TestRowsAreFinishedTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var fids []mogile.FID
		for fid := range mogile.FID(3 * settleBatch) {
			fids = append(fids, fid+1)
		}
		q := newFakeQueue(map[store.QueueName][]mogile.FID{"q": fids})
		leave := employ(q, 50, Source{Queue: "q", Do: func(context.Context, Work) (Outcome, error) {
			return Outcome{Fate: Finished}, nil
		}})
		pass(time.Minute)
		leave()
		if n := len(strings.Split(q.heard(), ", ")); n > 10 || len(q.claimed) != 0 {
			t.Errorf("got %d rows finished in %d portions, %d left; want all in about 3", len(fids), n, len(q.claimed))
		}
	})
}

func TestTheEndFinishesWhatIsDoneAndGivesBackTheRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newFakeQueue(map[store.QueueName][]mogile.FID{"q": {1, 2, 3, 4}})
		first := true
		leave := employ(q, 1, Source{Queue: "q", Do: func(ctx context.Context, w Work) (Outcome, error) {
			if first {
				first = false
				return Outcome{Fate: Finished}, nil
			}
			return hours(ctx, w)
		}})
		synctest.Wait() // before what is finished is written down
		if got := q.heard(); got != "" {
			t.Errorf("got %q; want nothing yet", got)
		}
		leave()
		told := strings.Split(q.heard(), ", ")
		slices.Sort(told)
		if got := strings.Join(told, ", "); got != "finish 1, return 3 4 2" && got != "finish 1, return 2 3 4" {
			t.Errorf("got %q; want 1 finished and the others returned", got)
		}
	})
}

func TestACrewWorksFromSeveralQueues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newFakeQueue(map[store.QueueName][]mogile.FID{"a": {1, 2}, "b": {3}})
		var mu sync.Mutex
		var done []string // guarded by mu
		as := func(name string) func(context.Context, Work) (Outcome, error) {
			return func(_ context.Context, w Work) (Outcome, error) {
				mu.Lock()
				defer mu.Unlock()
				done = append(done, fmt.Sprint(name, w.FID, w.Loaded, w.Known.Devices))
				return Outcome{Fate: Finished}, nil
			}
		}
		leave := employ(q, 1, Source{Queue: "a", Do: as("a")}, Source{Queue: "b", Do: as("b"),
			Load: func(_ context.Context, fids []mogile.FID) (map[mogile.FID]store.Known, error) {
				return map[mogile.FID]store.Known{fids[0]: {Devices: []mogile.DevID{8}}}, nil
			}})
		synctest.Wait()
		leave()
		if diff := cmp.Diff([]string{"a1 false []", "a2 false []", "b3 true [8]"}, done); diff != "" {
			t.Error(diff)
		}
		if len(q.claimed) != 0 {
			t.Errorf("got %v still claimed; want all finished", q.claimed)
		}
	})
}

func TestWhatCannotBeLoadedHasFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newFakeQueue(map[store.QueueName][]mogile.FID{"q": {1, 2}})
		leave := employ(q, 1, Source{
			Queue: "q",
			Do:    func(context.Context, Work) (Outcome, error) { t.Error("worked on"); return Outcome{}, nil },
			Load: func(context.Context, []mogile.FID) (map[mogile.FID]store.Known, error) {
				return nil, errors.New("no database")
			},
		})
		synctest.Wait()
		leave()
		if got := q.heard(); got != "postpone 1, postpone 2" {
			t.Errorf("got %q; want both postponed", got)
		}
	})
}

func TestWhatWasReadLongAgoIsNotFresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := Work{Loaded: true, loaded: time.Now()}
		pass(fresh - 1)
		if !w.Fresh() || (Work{loaded: time.Now()}).Fresh() {
			t.Error("got what was just read, or not at all, taken for the contrary")
		}
		pass(1)
		if w.Fresh() {
			t.Errorf("got what was read %v ago taken for fresh", fresh)
		}
	})
}
