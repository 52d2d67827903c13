package disk

import (
	"errors"
	"testing"
	"testing/synctest"
)

func TestSyncsOfADirectoryAreSharedByWhoWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s dirSyncs
		release := make(chan error)
		runs := 0
		sync := func() error {
			runs++
			return <-release
		}
		results := make(chan error, 5)
		go func() { results <- s.do("a", sync) }()
		synctest.Wait()
		for range 4 {
			go func() { results <- s.do("a", sync) }()
		}
		synctest.Wait()
		release <- nil
		if err := <-results; err != nil {
			t.Errorf("first: got %v; want nil", err)
		}
		synctest.Wait()
		if len(results) != 0 {
			t.Errorf("%d returned before their own sync ran", len(results))
		}
		broken := errors.New("broken")
		release <- broken
		for range 4 {
			if err := <-results; !errors.Is(err, broken) {
				t.Errorf("waiter: got %v; want the error of the shared sync", err)
			}
		}
		if runs != 2 {
			t.Errorf("syncs: got %d; want 2", runs)
		}
		if len(s.running)+len(s.next) != 0 {
			t.Errorf("left: %v running, %v next; want none", s.running, s.next)
		}
	})
}

func TestSyncsOfTwoDirectoriesDoNotWaitForEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s dirSyncs
		release := make(chan struct{})
		go s.do("a", func() error { <-release; return nil })
		synctest.Wait()
		if err := s.do("b", func() error { return nil }); err != nil {
			t.Error(err)
		}
		close(release)
	})
}

func TestAPanickingSyncDoesNotTellOthersThatAllIsWell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s dirSyncs
		begin := make(chan struct{})
		go s.do("a", func() error { <-begin; return nil })
		synctest.Wait()
		go func() {
			defer func() { recover() }()
			s.do("a", func() error { panic("disk") })
		}()
		synctest.Wait()
		result := make(chan error, 1)
		go func() { result <- s.do("a", func() error { return nil }) }()
		synctest.Wait()
		close(begin)
		if err := <-result; err == nil {
			t.Error("got nil; want an error")
		}
	})
}

func TestKnownDirsAreBounded(t *testing.T) {
	var k knownDirs
	for i := range maxKnownDirs + 10 {
		k.add(string(rune(i)) + "/" + string(rune(i>>8)))
	}
	if len(k.dirs) > maxKnownDirs {
		t.Errorf("known: got %d; want at most %d", len(k.dirs), maxKnownDirs)
	}
}
