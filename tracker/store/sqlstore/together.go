package sqlstore

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

const (
	// lookers is how many questions about keys a server is asked at a time: enough that
	// the way there and back does not bound them, few enough that many clients at once
	// share each.
	lookers = 4
	// maxTogether is how many keys one question is about at most.
	maxTogether = 32
)

// together looks up keys for many callers at once. On a server, a statement costs more
// than what it finds: whoever comes while all lookers are waiting for an answer shares the
// next question with the others who came. Nobody is kept waiting for company.
type together struct {
	db database
	// queue is not buffered: a look that was received is answered.
	queue chan *look
	stop  chan struct{}
	wg    sync.WaitGroup
}

// look is one caller's question.
type look struct {
	dm    mogile.DomainID
	key   mogile.Key
	until time.Time   // of use to nobody afterwards; zero: as long as it takes
	done  chan looked // room for the one answer
}

// looked is what was found; alone, that the caller has to ask by himself.
type looked struct {
	rows  []located
	alone bool
}

func newTogether(db database) *together {
	t := &together{db: db, queue: make(chan *look), stop: make(chan struct{})}
	for range lookers {
		t.wg.Go(t.loop)
	}
	return t
}

// close waits for the questions under way. It is called once.
func (t *together) close() {
	close(t.stop)
	t.wg.Wait()
}

// locate is the function of that name, for one of many callers. Who waits no longer than
// his ctx leaves; the answer is then for nobody.
func (t *together) locate(ctx context.Context, dm mogile.DomainID, key mogile.Key) ([]located, error) {
	l := &look{dm: dm, key: key, done: make(chan looked, 1)}
	l.until, _ = ctx.Deadline()
	select {
	case t.queue <- l:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-t.stop:
		return nil, errClosed
	}
	select {
	case found := <-l.done:
		if found.alone {
			return locate(ctx, t.db, dm, key)
		}
		if len(found.rows) == 0 {
			return nil, store.ErrNotFound
		}
		return found.rows, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (t *together) loop() {
	for {
		select {
		case l := <-t.queue:
			t.answer(t.company(l))
		case <-t.stop:
			return
		}
	}
}

// company is l and those that wait at the same moment.
func (t *together) company(l *look) []*look {
	looks := []*look{l}
	for len(looks) < maxTogether {
		select {
		case l := <-t.queue:
			looks = append(looks, l)
		default:
			return looks
		}
	}
	return looks
}

// answer asks once for each domain.
func (t *together) answer(looks []*look) {
	byDomain := map[mogile.DomainID][]*look{}
	for _, l := range looks {
		byDomain[l.dm] = append(byDomain[l.dm], l)
	}
	for dm, same := range byDomain {
		t.ask(dm, same)
	}
}

// ask answers looks in one domain. Of several, those whose key did not come back byte for
// byte ask alone: there may be no such file, the database may find it under another
// spelling, or one of the others' keys may be none that it takes. So do all after an
// error, each as long as his own ctx says.
func (t *together) ask(dm mogile.DomainID, looks []*look) {
	ctx, cancel := untilLast(looks)
	defer cancel()
	args := []any{dm}
	for i := range slots(len(looks)) {
		args = append(args, looks[min(i, len(looks)-1)].key)
	}
	var rows []located
	err := t.db.read(ctx, func(t *tx) (err error) {
		rows, err = list(t, scanLocated, locateTexts[len(args)-1], args...)
		return err
	})
	if len(looks) == 1 {
		looks[0].done <- looked{rows: rows, alone: err != nil}
		return
	}
	byKey := make(map[mogile.Key][]located, len(looks))
	for _, r := range rows {
		byKey[r.file.Key] = append(byKey[r.file.Key], r)
	}
	for _, l := range looks {
		mine := byKey[l.key]
		l.done <- looked{rows: mine, alone: err != nil || len(mine) == 0}
	}
}

// untilLast ends when nobody waits any more.
func untilLast(looks []*look) (context.Context, context.CancelFunc) {
	last := time.Time{}
	for _, l := range looks {
		if l.until.IsZero() {
			return context.Background(), func() {}
		}
		if l.until.After(last) {
			last = l.until
		}
	}
	return context.WithDeadline(context.Background(), last)
}

// slots is for how many keys there is a text that has room for n.
func slots(n int) int {
	room := 1
	for room < n {
		room *= 2
	}
	return room
}

// locateTexts are the questions about so many keys of a domain. Nothing changes it.
var locateTexts = func() map[int]string {
	texts := map[int]string{1: locatedFrom + " AND f.dkey = ?"}
	for n := 2; n <= maxTogether; n *= 2 {
		texts[n] = locatedFrom + " AND f.dkey IN (?" + strings.Repeat(", ?", n-1) + ")"
	}
	return texts
}()

const locatedFrom = "SELECT " + fileColumns + `, o.devid, COALESCE(c.hashtype, 0), c.checksum
	FROM file f LEFT JOIN file_on o ON o.fid = f.fid LEFT JOIN checksum c ON c.fid = f.fid
	WHERE f.dmid = ?`

// locate finds at least one row, or store.ErrNotFound. One statement sees one moment in
// every database.
func locate(ctx context.Context, db database, dm mogile.DomainID, key mogile.Key) (found []located, err error) {
	err = db.read(ctx, func(t *tx) (err error) {
		found, err = list(t, scanLocated, locateTexts[1], dm, key)
		if err == nil && len(found) == 0 {
			err = store.ErrNotFound
		}
		return err
	})
	return found, err
}
