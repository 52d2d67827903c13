package outage

import (
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mogilefs/caddy-mogilefs/tests/process"
)

const (
	// usualFor is over what the usual throughput is measured.
	usualFor = 3 * time.Second
	// killedFor and frozenFor is how long the database is away.
	killedFor = 5 * time.Second
	frozenFor = 30 * time.Second
	// startedWithin bounds a start, until the first upload.
	startedWithin = 60 * time.Second
	// readWithin is how long a reader of a known key waits at most: the edge gives the
	// tracker two seconds, and the machine is busy.
	readWithin = 5 * time.Second
	// spare is how many more goroutines and descriptors there may be after an outage:
	// connections to the database, which come and go.
	spare = 25
	// tidyWithin bounds how long what an outage left may take to go.
	tidyWithin = 60 * time.Second
)

func TestADatabaseGoesAndComesBack(t *testing.T) {
	t.Parallel()
	for name, k := range kinds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, k)
			s.learnKeys()
			l := s.startLoad()
			usual := l.measure(usualFor)
			l.stop(t)
			t.Logf("usual rates: %.0f", usual)
			goroutines, descriptors := s.caddy.Goroutines(), s.caddy.Descriptors()

			again := s.startLoad()
			s.outage(t, again, usual, killedFor, s.database.Kill, s.database.Restart)
			s.outage(t, again, usual, frozenFor, s.database.Freeze, s.database.Thaw)
			again.stop(t)
			if longest := time.Duration(again.reads.longest.Load()); longest > readWithin {
				t.Errorf("a reader of a known key waited %v; want at most %v", longest, readWithin)
			}
			s.readAll(t, append(l.acknowledged, again.acknowledged...))
			s.awaitTidy(t, goroutines, descriptors)
		})
	}
}

// learnKeys uploads the known keys and has the edge read them.
func (s *site) learnKeys() {
	s.t.Helper()
	for i := range knownKeys {
		process.Eventually(s.t, startedWithin, "upload", func() bool {
			ok, err := s.put(s.url+known(i), known(i))
			if err != nil {
				s.t.Fatal(err)
			}
			return ok
		})
		if err := s.get(known(i)); err != nil {
			s.t.Fatal(err)
		}
	}
}

// outage takes the database away for a time, has the process reload its configuration
// meanwhile, and gives the database back.
func (s *site) outage(t *testing.T, l *load, usual rates, d time.Duration, away, back func() error) {
	t.Helper()
	if err := away(); err != nil {
		t.Fatal(err)
	}
	over := time.After(d)
	before := l.reads.done.Load()
	s.caddy.Reload(s.config("cache_control \"max-age=" + d.String() + "\""))
	<-over
	if l.reads.done.Load() == before {
		t.Error("got no file read during the outage")
	}
	if err := back(); err != nil {
		t.Fatal(err)
	}
	l.awaitReturn(t, usual)
}

// readAll reads everything that was acknowledged.
func (s *site) readAll(t *testing.T, acknowledged []string) {
	t.Helper()
	var readers errgroup.Group
	readers.SetLimit(2 * each)
	for _, key := range acknowledged {
		readers.Go(func() error { return s.get(key) })
	}
	if err := readers.Wait(); err != nil {
		t.Error(err)
	}
	t.Logf("%d files were acknowledged", len(acknowledged))
}

// awaitTidy waits until nothing of the outage is left in the process.
func (s *site) awaitTidy(t *testing.T, goroutines, descriptors int) {
	t.Helper()
	s.http.CloseIdleConnections()
	process.Eventually(t, tidyWithin, "end of what an outage left", func() bool {
		return s.caddy.Goroutines() <= goroutines+spare && s.caddy.Descriptors() <= descriptors+spare
	})
}
