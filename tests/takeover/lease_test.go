package takeover

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

// leases watches who has claimed what. Claims are noted when they have been made, and
// ends of claims before they are: whoever is noted as a second holder was one.
type leases struct {
	mu      sync.Mutex // guards the rest
	holders map[claimed]string
	claims  map[string]int // by holder
	wrong   []string
}

type claimed struct {
	queue store.QueueName
	fid   mogile.FID
}

func newLeases() *leases {
	return &leases{holders: map[claimed]string{}, claims: map[string]int{}}
}

func (l *leases) claim(who string, q store.QueueName, items []store.Item) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, i := range items {
		at := claimed{q, i.FID}
		if other := l.holders[at]; other != "" {
			l.wrong = append(l.wrong, fmt.Sprintf("fid %d of %s was claimed by %s while %s had it", i.FID, q, who, other))
		}
		l.holders[at] = who
		l.claims[who]++
	}
}

// end forgets the holder. Who ends what another holds has taken it away.
func (l *leases) end(who string, q store.QueueName, fid mogile.FID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := claimed{q, fid}
	if other := l.holders[at]; other != "" && other != who {
		l.wrong = append(l.wrong, fmt.Sprintf("fid %d of %s was ended by %s while %s had it", fid, q, who, other))
	}
	delete(l.holders, at)
}

// watched is a store whose claims are noted.
type watched struct {
	store.Store
	who    string
	leases *leases
}

// Claim implements store.Queue.
func (w watched) Claim(ctx context.Context, q store.QueueName, limit int, lease time.Duration) ([]store.Item, error) {
	items, err := w.Store.Claim(ctx, q, limit, lease)
	w.leases.claim(w.who, q, items)
	return items, err
}

// Renew implements store.Queue. A claim that is made to end at once, or nearly, is given
// back.
func (w watched) Renew(ctx context.Context, q store.QueueName, lease time.Duration, items ...store.Item) ([]store.Item, error) {
	if lease <= time.Second {
		for _, item := range items {
			w.leases.end(w.who, q, item.FID)
		}
	}
	return w.Store.Renew(ctx, q, lease, items...)
}

// Finish implements store.Queue.
func (w watched) Finish(ctx context.Context, q store.QueueName, items ...store.Item) error {
	for _, item := range items {
		w.leases.end(w.who, q, item.FID)
	}
	return w.Store.Finish(ctx, q, items...)
}

// FinishErased implements store.Queue.
func (w watched) FinishErased(ctx context.Context, erased ...store.Erased) error {
	for _, e := range erased {
		w.leases.end(w.who, store.DeleteQueue, e.FID)
	}
	return w.Store.FinishErased(ctx, erased...)
}

// Postpone implements store.Queue.
func (w watched) Postpone(ctx context.Context, q store.QueueName, fid mogile.FID, delay time.Duration, failCount int) error {
	w.leases.end(w.who, q, fid)
	return w.Store.Postpone(ctx, q, fid, delay, failCount)
}

// Park implements store.Queue.
func (w watched) Park(ctx context.Context, q store.QueueName, fid mogile.FID, failCount int) error {
	w.leases.end(w.who, q, fid)
	return w.Store.Park(ctx, q, fid, failCount)
}
