package sqlstore

import (
	"slices"
	"testing"
)

// changeLocks asks for locks, or gives them back, as a group does.
func changeLocks(t *testing.T, s *Store, back bool, names ...string) (had []bool, err error) {
	t.Helper()
	group := guests[string, bool](names...)
	err = s.db.database.(*serverDB).locks.changeAll(back, group)
	for _, g := range group {
		had = append(had, g.Got)
		if g.In != (err == nil) {
			t.Errorf("lock %s: got it taken in: %t; want %t", g.Asks, g.In, err == nil)
		}
	}
	return had, err
}

// onTwoTrackers runs a test on two stores of each kind of server.
func onTwoTrackers(t *testing.T, test func(t *testing.T, one, two *Store)) {
	t.Run("MySQL", func(t *testing.T) {
		m := newMySQL(t)
		test(t, mustMySQL(t, m), mustMySQL(t, m))
	})
	t.Run("Postgres", func(t *testing.T) {
		_, s := onHosts(t, "one", "two")
		test(t, s[0], s[1])
	})
}

func TestAGroupGetsTheLocksThatAreFree(t *testing.T) {
	onTwoTrackers(t, func(t *testing.T, one, two *Store) {
		release, err := two.Lock(t.Context(), "b", 0)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := changeLocks(t, one, false, "a", "b", "c"); err != nil || !slices.Equal(got, []bool{true, false, true}) {
			t.Errorf("take a, b, c while another has b: got %v, %v; want a and c", got, err)
		}
		for _, name := range []string{"a", "c"} {
			if !locked(t, two, name) {
				t.Errorf("lock %s elsewhere: got it; want it held", name)
			}
		}
		if had, err := changeLocks(t, one, true, "a", "b", "c"); err != nil || !slices.Equal(had, []bool{true, false, true}) {
			t.Errorf("give back a, b, c: got %v, %v held; want a and c", had, err)
		}
		for _, name := range []string{"a", "c"} {
			if locked(t, two, name) {
				t.Errorf("lock %s elsewhere after it was given back: got it held; want it free", name)
			}
		}
		if !locked(t, one, "b") {
			t.Error("lock that another has: got it; want it held")
		}
		release()
	})
}

func TestAGroupThatFailsHoldsNoLocks(t *testing.T) {
	onTwoTrackers(t, func(t *testing.T, one, two *Store) {
		d := one.db.database.(*serverDB).d
		works := d.tryLock
		d.tryLock = func(t *tx, names ...string) ([]bool, error) {
			if _, err := works(t, names...); err != nil {
				return nil, err
			}
			return nil, errInjected
		}
		if _, err := changeLocks(t, one, false, "a", "b"); err == nil {
			t.Error("take a, b: got no error; want the injected one")
		}
		d.tryLock = works
		for _, name := range []string{"a", "b"} {
			if locked(t, two, name) {
				t.Errorf("lock %s elsewhere: got it held; want it free", name)
			}
			if locked(t, one, name) || locked(t, two, name) {
				t.Errorf("lock %s once more: got it held; want it free", name)
			}
		}
	})
}
