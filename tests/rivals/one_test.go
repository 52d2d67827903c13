package rivals

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// trials is how often all clients do the same thing at once.
const trials = 10

// own is a key that nobody else wants.
func own(i int) string { return fmt.Sprintf("own %d", i) }

func TestOneOfManyClosesAnUpload(t *testing.T) {
	// Half of them want it under the one key, half under another each.
	key := func(i int) string {
		if i%2 == 0 {
			return prize
		}
		return own(i)
	}
	everywhere(t, func(t *testing.T, c *cluster) {
		all, l := c.clients(t, clients), newLedger()
		for range trials {
			u := mustOpen(t, all[0])
			outcomes := race(t, clients, unprepared, func(i int) (string, error) {
				outcome, _, err := all[i].do("create_close", u.close(key(i), len(u.content))...)
				return outcome, err
			})
			if i := only(t, outcomes, "no_temp_file", "OK"); i >= 0 {
				l.overwrite(key(i), u.fid)
			}
		}
		c.audit(t, l)
	})
}

func TestAnUploadIsEitherClosedOrRefused(t *testing.T) {
	// Half of them are wrong about the size, by which the upload is given up.
	everywhere(t, func(t *testing.T, c *cluster) {
		all, l := c.clients(t, clients), newLedger()
		for range trials {
			u := mustOpen(t, all[0])
			outcomes := race(t, clients, unprepared, func(i int) (string, error) {
				outcome, _, err := all[i].do("create_close", u.close(prize, len(u.content)+i%2)...)
				return outcome, err
			})
			switch i := only(t, outcomes, "no_temp_file", "OK", "size_mismatch"); {
			case i < 0:
			case outcomes[i] == "OK":
				l.overwrite(prize, u.fid)
			default:
				l.doomed[u.fid] = true
			}
		}
		c.audit(t, l)
	})
}

func TestOneOfManyDeletesAKey(t *testing.T) {
	everywhere(t, func(t *testing.T, c *cluster) {
		all, l := c.clients(t, clients), newLedger()
		for range trials {
			fid := mustStore(t, all[0], prize)
			outcomes := race(t, clients, unprepared, func(i int) (string, error) {
				outcome, _, err := all[i].do("delete", "key", prize)
				return outcome, err
			})
			only(t, outcomes, "unknown_key", "OK")
			l.doomed[fid] = true
		}
		c.audit(t, l)
	})
}

func TestOneOfManyRenamesAKey(t *testing.T) {
	everywhere(t, func(t *testing.T, c *cluster) {
		all, l := c.clients(t, clients), newLedger()
		for trial := range trials {
			fid := mustStore(t, all[0], prize)
			to := func(i int) string { return spare(trial, i) }
			outcomes := race(t, clients, unprepared, func(i int) (string, error) {
				outcome, _, err := all[i].do("rename", "from_key", prize, "to_key", to(i))
				return outcome, err
			})
			if i := only(t, outcomes, "unknown_key", "OK"); i >= 0 {
				l.visible[fid] = to(i)
			}
		}
		c.audit(t, l)
	})
}

func TestOneOfManyRenamesToAFreeKey(t *testing.T) {
	everywhere(t, func(t *testing.T, c *cluster) {
		all, l := c.clients(t, clients), newLedger()
		fids := make([]mogile.FID, clients)
		for i := range fids {
			fids[i] = mustStore(t, all[i], own(i))
			l.visible[fids[i]] = own(i)
		}
		for trial := range trials {
			to := spare(trial, 0)
			outcomes := race(t, clients, unprepared, func(i int) (string, error) {
				if l.visible[fids[i]] != own(i) { // it has won before
					return "key_exists", nil
				}
				outcome, _, err := all[i].do("rename", "from_key", own(i), "to_key", to)
				return outcome, err
			})
			if i := only(t, outcomes, "key_exists", "OK"); i >= 0 {
				l.visible[fids[i]] = to
			}
		}
		c.audit(t, l)
	})
}

func unprepared(context.Context, int) error { return nil }

func mustOpen(t *testing.T, c *client) upload {
	t.Helper()
	u, err := c.open(t.Context(), prize)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// mustStore uploads a file.
func mustStore(t *testing.T, c *client, key string) mogile.FID {
	t.Helper()
	u := mustOpen(t, c)
	if _, err := c.must("create_close", u.close(key, len(u.content))...); err != nil {
		t.Fatal(err)
	}
	return u.fid
}

// overwrite notes that a key has got another content.
func (l *ledger) overwrite(key string, fid mogile.FID) {
	for old, k := range l.visible {
		if k == key {
			l.lose(old)
		}
	}
	l.visible[fid] = key
}

// only is who came to one of the results; all others must have come too late. It is -1
// when it was not exactly one.
func only(t *testing.T, outcomes []string, late string, results ...string) int {
	t.Helper()
	found, who := 0, -1
	for i, outcome := range outcomes {
		switch {
		case slices.Contains(results, outcome):
			found, who = found+1, i
		case outcome != late:
			t.Errorf("client %d got %s; want one of %v or %s", i, outcome, results, late)
		}
	}
	if found != 1 {
		t.Errorf("got %d clients with %v; want one", found, results)
		return -1
	}
	return who
}
