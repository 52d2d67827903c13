package takeover

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// ledger is what clients know: which uploads were acknowledged, and what their keys
// should be now.
type ledger struct {
	mu     sync.Mutex // guards the rest
	given  map[mogile.FID]string
	closes []closing
	// owned is the content of each key that one client alone changes, one change after
	// the other; 0 when it was deleted.
	owned map[mogile.Key]mogile.FID
	wrong []string
}

// closing is a create_close from when it was asked for until it was answered, or a
// deletion that failed.
type closing struct {
	key        mogile.Key
	fid        mogile.FID
	old        bool // by an old tracker
	failed     bool // not acknowledged
	begin, end time.Time
}

func newLedger() *ledger {
	return &ledger{given: map[mogile.FID]string{}, owned: map[mogile.Key]mogile.FID{}}
}

// give notes a new fid.
func (l *ledger) give(who string, fid mogile.FID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if other, twice := l.given[fid]; twice {
		l.wrong = append(l.wrong, fmt.Sprintf("fid %d was given to %s, and before to %s", fid, who, other))
	}
	l.given[fid] = who
}

func (l *ledger) closed(c closing) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closes = append(l.closes, c)
}

func (l *ledger) own(key mogile.Key, fid mogile.FID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.owned[key] = fid
}

// mayLeak reports whether the reference's own races explain that a content is neither
// visible nor deleted (docs/spec/schema.md §7.3): an old tracker looked at the key before
// this content had it and wrote it afterwards, or failed in the middle, or, in PostgreSQL,
// wrote nothing since another had the key in the meantime.
func (l *ledger) mayLeak(fid mogile.FID, postgres bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.ContainsFunc(l.closes, func(c closing) bool {
		return c.fid == fid && (c.old && c.failed || slices.ContainsFunc(l.closes, func(other closing) bool {
			overlap := other.fid != fid && other.key == c.key && other.begin.Before(c.end) && other.end.After(c.begin)
			return overlap && (other.old || c.old && postgres)
		}))
	})
}

// acknowledged lists the contents of a key that clients were told are stored.
func (l *ledger) acknowledged(key mogile.Key) map[mogile.FID]bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := map[mogile.FID]bool{}
	for _, c := range l.closes {
		if c.key == key && !c.failed {
			all[c.fid] = true
		}
	}
	return all
}
