package machines

import (
	"fmt"
	"testing"
	"time"

	"github.com/mogilefs/caddy-mogilefs/tests/process"
)

const (
	// warmUp is how long all is well before: for a minute after replicas were named, trackers
	// ask the database that takes the writes for everything (docs/databases.md).
	warmUp = 65 * time.Second
	// usualFor is how long all is well after each change.
	usualFor = 3 * time.Second
	// awayFor is how long the first machine is lost before anybody does anything about it.
	awayFor = 5 * time.Second
	// writesWithin is how soon after the promotion writes go on.
	writesWithin = 10 * time.Second
	// kept is how many files there are before the load.
	kept = 100
)

func TestTwoMachines(t *testing.T) {
	t.Parallel()
	loseTheFirst(t,
		role{name: "one", database: true, storage: true},
		role{name: "two", database: true, storage: true},
	)
}

func TestThreeNodesAndFourEdges(t *testing.T) {
	t.Parallel()
	loseTheFirst(t,
		role{name: "one", database: true, storage: true},
		role{name: "two", database: true, storage: true},
		role{name: "three", storage: true},
		role{name: "four"},
	)
}

func loseTheFirst(t *testing.T, roles ...role) {
	s := newSite(t, roles...)
	if s == nil {
		return
	}
	one, two := s.machines[0], s.machines[1]
	var keys []string
	for i := range kept {
		key := fmt.Sprintf("kept-%d", i)
		if ok, err := s.put(t.Context(), s.machines[i%len(s.machines)].edge(), key); !ok || err != nil {
			t.Fatalf("upload %s: got %t, %v; want it stored", key, ok, err)
		}
		keys = append(keys, key)
	}
	s.awaitCount(keys)

	l := s.startLoad(keys)
	<-time.After(warmUp)
	one.lose(t)
	<-time.After(awayFor)
	began := time.Now()
	two.script(t, "promote", two.db.Addr())
	promoted := time.Now()
	lost := s.onlyOn(one)
	process.Eventually(t, within, "upload after the promotion", func() bool { return l.storedSince(began) })
	took := time.Since(promoted)
	t.Logf("the first upload came %v after the promotion", took.Round(time.Millisecond))
	if took > writesWithin {
		t.Errorf("the first upload came %v after the promotion; want at most %v", took, writesWithin)
	}
	<-time.After(usualFor)

	one.Plug()
	if err := one.db.Restart(); err != nil {
		t.Fatal(err)
	}
	one.script(t, "follow", two.db.Addr())
	one.caddy.Restart()
	<-time.After(usualFor)
	l.stop(t, lost)

	s.awaitDevices()
	keys = l.keys()
	s.awaitCount(keys)
	for _, m := range s.machines {
		for _, key := range keys {
			if _, err := s.get(m.edge(), key); err != nil {
				t.Errorf("at the end: %v", err)
			}
		}
	}
	s.wantFollowing(one)
}

// onlyOn is the keys that no other machine has a copy of, as far as the second's database
// knows: they were stored in the last moments, and had none yet.
func (s *site) onlyOn(m *machine) (keys []string) {
	s.t.Helper()
	rows, err := s.machines[1].db.Admin().QueryContext(s.t.Context(), fmt.Sprintf("SELECT dkey FROM `%[1]s`.file f"+
		" WHERE NOT EXISTS (SELECT * FROM `%[1]s`.file_on o WHERE o.fid = f.fid AND o.devid <> ?)", s.account.DBName), m.dev)
	if err != nil {
		s.t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var key string
		if err := rows.Scan(&key); err != nil {
			s.t.Fatal(err)
		}
		keys = append(keys, key)
	}
	if err := rows.Err(); err != nil {
		s.t.Fatal(err)
	}
	return keys
}

// wantFollowing sees to it that the machine that came back has what the other has.
func (s *site) wantFollowing(m *machine) {
	s.t.Helper()
	process.Eventually(s.t, within, "replica that has everything", func() bool {
		var mine, other string
		count := "SELECT CONCAT(COUNT(*), ' ', COALESCE(MAX(fid), 0), ' ', COALESCE(SUM(devcount), 0)) FROM `" + s.account.DBName + "`.file"
		err := m.db.Admin().QueryRowContext(s.t.Context(), count).Scan(&mine)
		if err == nil {
			err = s.machines[1].db.Admin().QueryRowContext(s.t.Context(), count).Scan(&other)
		}
		return err == nil && mine == other
	})
}
