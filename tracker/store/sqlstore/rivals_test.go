package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

const (
	rivals      = 64
	rivalRounds = 8
)

// rivalry is many who want one key at the same time, to close uploads into it, to rename
// other keys to it and to delete it.
type rivalry struct {
	*testing.T
	s *Store

	mu     sync.Mutex
	closed []mogile.FID       // guarded by mu
	ended  map[mogile.FID]int // how often each was replaced or deleted; guarded by mu
}

const wanted mogile.Key = "wanted"

// testRivals leaves no fid that nobody will delete, and no row that nobody needs.
func testRivals(t *testing.T, s *Store) {
	dm, err := s.CreateDomain(t.Context(), "images")
	if err != nil || dm != 1 {
		t.Fatalf("create domain: got %d, error %v; want 1", dm, err)
	}
	r := &rivalry{T: t, s: s, ended: map[mogile.FID]int{}}
	var wg sync.WaitGroup
	for i := range rivals {
		wg.Go(func() {
			for round := range rivalRounds {
				r.rival(t.Context(), i, round)
			}
		})
	}
	wg.Wait()
	r.check()
}

func (r *rivalry) rival(ctx context.Context, i, round int) {
	switch choice := rand.IntN(4); choice {
	case 0:
		fid, err := r.s.Delete(ctx, 1, wanted)
		r.note(0, fid, err, store.ErrNotFound)
	case 1:
		own := mogile.Key(fmt.Sprintf("own/%d/%d", i, round))
		r.note(r.upload(ctx, own))
		r.note(0, 0, r.s.Rename(ctx, 1, own, wanted), store.ErrDup)
	case 2:
		away := mogile.Key(fmt.Sprintf("away/%d/%d", i, round))
		r.note(0, 0, r.s.Rename(ctx, 1, wanted, away), store.ErrNotFound)
	default:
		r.note(r.upload(ctx, wanted))
	}
}

func (r *rivalry) upload(ctx context.Context, key mogile.Key) (fid, replaced mogile.FID, err error) {
	fid, err = r.s.OpenUpload(ctx, store.Upload{Domain: 1, Key: key, Devices: []mogile.DevID{1}})
	if err == nil {
		replaced, err = r.s.CloseUpload(ctx, store.Closing{FID: fid, Dev: 1, Domain: 1, Key: key, Length: 1})
	}
	return fid, replaced, err
}

func (r *rivalry) note(closed, ended mogile.FID, err error, allowed ...error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		if !slices.ContainsFunc(allowed, func(a error) bool { return errors.Is(err, a) }) {
			r.Errorf("got %v; want nil or %v", err, allowed)
		}
		return
	}
	if closed != 0 {
		r.closed = append(r.closed, closed)
	}
	if ended != 0 {
		r.ended[ended]++
	}
}

// fids reads one column of a table.
func (r *rivalry) fids(text string) (found []mogile.FID) {
	r.Helper()
	err := r.s.db.read(r.Context(), func(t *tx) (err error) {
		found, err = list(t, single[mogile.FID], text)
		return err
	})
	if err != nil {
		r.Fatalf("%s: got %v; want nil", text, err)
	}
	return found
}

func (r *rivalry) check() {
	slices.Sort(r.closed)
	visible := r.fids("SELECT fid FROM file ORDER BY fid")
	doomed := r.fids("SELECT fid FROM file_to_delete2 ORDER BY fid")
	r.Logf("%d uploads, %d visible, %d doomed", len(r.closed), len(visible), len(doomed))
	all := append(slices.Clone(visible), doomed...)
	slices.Sort(all)
	if !slices.Equal(all, r.closed) {
		r.Errorf("visible and doomed: got %v; want each that was closed once: %v", all, r.closed)
	}
	for _, fid := range doomed {
		if r.ended[fid] != 1 {
			r.Errorf("fid %d: got replaced or deleted %d times; want once", fid, r.ended[fid])
		}
	}
	if len(doomed) != len(r.ended) {
		r.Errorf("got %d fids doomed, %d replaced or deleted; want the same", len(doomed), len(r.ended))
	}
	for _, table := range []string{"file_on", "file_to_replicate"} {
		if got := r.fids("SELECT fid FROM " + table + " ORDER BY fid"); !slices.Equal(got, r.closed) {
			r.Errorf("table %s: got %v; want each that was closed once: %v", table, got, r.closed)
		}
	}
	for _, table := range []string{"tempfile", "checksum", "file_to_delete", "file_to_delete_later", "file_to_queue"} {
		if got := r.fids("SELECT fid FROM " + table); len(got) > 0 {
			r.Errorf("table %s: got %v; want none", table, got)
		}
	}
}
