package dirsync

import (
	"errors"
	"testing"
	"testing/synctest"
)

// occupy has as many syncs of a directory run as may run at once. Each takes an error of
// what it returns, and sends it to the other.
func occupy(s *Syncs, dir string) (release, results chan error) {
	release, results = make(chan error), make(chan error, atOnce)
	for range atOnce {
		go func() { results <- s.Do(dir, func() error { return <-release }) }()
	}
	synctest.Wait()
	return release, results
}

func TestSyncsOfADirectoryAreSharedByWhoWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s Syncs
		others, othersDone := occupy(&s, "a")
		release, results, runs := make(chan error), make(chan error, 4), 0
		for range 4 {
			go func() {
				results <- s.Do("a", func() error {
					runs++
					return <-release
				})
			}()
		}
		synctest.Wait()
		if runs != 0 {
			t.Errorf("%d run beside %d; want none", runs, atOnce)
		}
		others <- nil
		if err := <-othersDone; err != nil {
			t.Errorf("first: got %v; want nil", err)
		}
		synctest.Wait()
		if runs != 1 || len(results) != 0 {
			t.Errorf("got %d syncs, and %d who returned before theirs ended; want one, and none", runs, len(results))
		}
		broken := errors.New("broken")
		release <- broken
		for range 4 {
			if err := <-results; !errors.Is(err, broken) {
				t.Errorf("waiter: got %v; want the error of the shared sync", err)
			}
		}
		for range atOnce - 1 {
			others <- nil
		}
		synctest.Wait()
		if runs != 1 || len(s.of) != 0 {
			t.Errorf("got %d syncs, left %v; want 1, and nothing", runs, s.of)
		}
	})
}

// Who comes when the shared sync has begun may have changed something after it looked.
func TestWhoComesDuringASharedSyncWaitsForTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s Syncs
		others, _ := occupy(&s, "a")
		release, results := make(chan error), make(chan error, 2)
		come := func() { results <- s.Do("a", func() error { return <-release }) }
		go come()
		synctest.Wait()
		others <- nil // the first has its turn now
		synctest.Wait()
		go come()
		synctest.Wait()
		release <- nil
		<-results
		synctest.Wait()
		if len(results) != 0 {
			t.Error("the second returned with the first one's sync")
		}
		release <- nil
		<-results
		close(others)
	})
}

func TestSyncsOfTwoDirectoriesDoNotWaitForEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s Syncs
		others, _ := occupy(&s, "a")
		if err := s.Do("b", func() error { return nil }); err != nil {
			t.Error(err)
		}
		close(others)
	})
}

func TestAPanickingSyncDoesNotTellOthersThatAllIsWell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s Syncs
		others, _ := occupy(&s, "a")
		go func() {
			defer func() { recover() }()
			s.Do("a", func() error { panic("disk") })
		}()
		synctest.Wait()
		result := make(chan error, 1)
		go func() { result <- s.Do("a", func() error { return nil }) }()
		synctest.Wait()
		close(others)
		if err := <-result; err == nil {
			t.Error("got nil; want an error")
		}
	})
}
