package rivals

import (
	"context"
	"fmt"
	"net/url"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tests/process"
)

const (
	// Of the 64 clients, half close uploads under the key, a quarter renames other
	// keys to it, a quarter deletes it.
	closers  = 32
	renamers = 16
	deleters = 16
	clients  = closers + renamers + deleters
	// rounds is how often they race.
	rounds = 20
	// settledWithin bounds what the jobs have to do then.
	settledWithin = 2 * time.Minute
)

// prize is the key that all want.
const prize = "prize"

// race has n goroutines prepare, and when all have, act. It returns what each act came
// to.
func race(t *testing.T, n int, prepare func(ctx context.Context, i int) error, act func(i int) (string, error)) []string {
	t.Helper()
	outcomes := make([]string, n)
	start := make(chan struct{})
	var ready sync.WaitGroup
	ready.Add(n)
	group, ctx := errgroup.WithContext(t.Context())
	for i := range n {
		group.Go(func() error {
			err := prepare(ctx, i)
			ready.Done()
			<-start
			if err == nil {
				outcomes[i], err = act(i)
			}
			return err
		})
	}
	ready.Wait()
	close(start)
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	return outcomes
}

func TestOneOfManyWinsAKeyAndNothingLeaks(t *testing.T) {
	everywhere(t, func(t *testing.T, c *cluster) {
		all, l := c.clients(t, clients), newLedger()
		for round := range rounds {
			raceForTheKey(t, all, l, round)
		}
		c.audit(t, l)
		if t.Failed() {
			return
		}
		c.work(t)
		c.awaitSettled(t, l)
	})
}

// spare is the key that a renamer has.
func spare(round, i int) string { return fmt.Sprintf("spare %d %d", round, i) }

// raceForTheKey is one round. The key may have a content from the round before.
func raceForTheKey(t *testing.T, all []*client, l *ledger, round int) {
	t.Helper()
	uploads := make([]upload, closers+renamers)
	outcomes := race(t, clients, func(ctx context.Context, i int) (err error) {
		if i >= len(uploads) {
			return nil
		}
		if uploads[i], err = all[i].open(ctx, prize); err != nil || i < closers {
			return err
		}
		_, err = all[i].must("create_close", uploads[i].close(spare(round, i), len(uploads[i].content))...)
		return err
	}, func(i int) (outcome string, err error) {
		switch {
		case i < closers:
			outcome, _, err = all[i].do("create_close", uploads[i].close(prize, len(uploads[i].content))...)
		case i < len(uploads):
			outcome, _, err = all[i].do("rename", "from_key", spare(round, i), "to_key", prize)
		default:
			outcome, _, err = all[i].do("delete", "key", prize)
		}
		return outcome, err
	})
	settle(t, l, round, uploads, outcomes)
	winner(t, all[round%clients], l)
}

// settle notes what became of each upload, but for the one that may have won: all that
// had the key count as lost.
func settle(t *testing.T, l *ledger, round int, uploads []upload, outcomes []string) {
	t.Helper()
	free := 1 // how often the key was free for a rename, at most
	for fid, key := range l.visible {
		if key == prize {
			l.lose(fid)
			free = 0
		}
	}
	renamed := 0
	for i, outcome := range outcomes {
		switch {
		case i < closers && outcome == "OK":
			l.doomed[uploads[i].fid] = true
		case i >= closers && i < len(uploads) && outcome == "OK":
			l.doomed[uploads[i].fid] = true
			renamed++
		case i >= closers && i < len(uploads) && outcome == "key_exists":
			l.visible[uploads[i].fid] = spare(round, i)
		case i >= len(uploads) && outcome == "OK":
			free++
		case i >= len(uploads) && outcome == "unknown_key":
		default:
			t.Errorf("round %d: client %d got %s", round, i, outcome)
		}
	}
	if renamed > free {
		t.Errorf("round %d: got %d renames to the key; it was free %d times at most", round, renamed, free)
	}
}

// winner looks who has the key; it must be one of those who had it.
func winner(t *testing.T, c *client, l *ledger) {
	t.Helper()
	outcome, values, err := c.do("file_info", "key", prize)
	switch {
	case err != nil:
		t.Fatal(err)
	case outcome == "unknown_key":
		return
	case outcome != "OK":
		t.Fatalf("file_info: got %s; want OK or unknown_key", outcome)
	}
	fid := fidOf(t, values)
	if !l.doomed[fid] {
		t.Errorf("fid %d has the key; want one that was closed or renamed to it", fid)
	}
	delete(l.doomed, fid)
	l.visible[fid] = prize
}

func fidOf(t *testing.T, values url.Values) mogile.FID {
	t.Helper()
	fid, err := mogile.ParseFID(values.Get("fid"))
	if err != nil {
		t.Fatal(err)
	}
	return fid
}

// awaitSettled waits for the jobs, and then reads all copies.
func (c *cluster) awaitSettled(t *testing.T, l *ledger) {
	t.Helper()
	left := ""
	defer func() {
		if left != "" {
			t.Log(left)
		}
	}()
	process.Eventually(t, settledWithin, "end of the jobs' work", func() bool {
		left = c.settled(t, l)
		return left == ""
	})
	for fid := range l.visible {
		for _, dev := range devices {
			if got := c.read(t, fid, dev); got != content(fid) {
				t.Errorf("fid %d on device %d: got %q; want %q", fid, dev, got, content(fid))
			}
		}
	}
}
