package job_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

var errInjected = errors.New("injected")

// settled is what became of a queue row.
type settled struct {
	queue     store.QueueName
	fate      string // finished, postponed, parked
	fid       mogile.FID
	delay     time.Duration
	failCount int
}

// watchedStore is a store that tells what became of queue rows, and can be made to fail
// at one call of those that a job makes while it works on a row.
type watchedStore struct {
	store.Store
	settled chan settled

	mu     sync.Mutex          // guards what follows
	failAt int                 // the n-th call from now fails, from 1; 0 means none
	failed string              // the call that did
	cut    string              // the next call of this name fails; empty means none
	moving map[mogile.FID]bool // fids whose rows in the rebalance queue are told of

	// What follows is set before use.
	from     mogile.DevID        // the preferred source of claimed rows
	swept    func() (int, error) // what the first sweep does, or nil
	sweepAge time.Duration       // what that sweep was asked for
	sweeps   sync.Once

	beforeFinish func()        // or nil
	unlock       chan struct{} // those of fids are given back when it is closed; or nil
}

func (s *watchedStore) SweepUploads(ctx context.Context, age time.Duration, limit int) (n int, err error) {
	if s.swept == nil {
		return s.Store.SweepUploads(ctx, age, limit)
	}
	s.sweeps.Do(func() {
		s.sweepAge = age
		n, err = s.swept()
	})
	return n, err
}

func (s *watchedStore) Claim(ctx context.Context, q store.QueueName, limit int, lease time.Duration) ([]store.Item, error) {
	items, err := s.Store.Claim(ctx, q, limit, lease)
	for i := range items {
		if s.from != 0 {
			items[i].From = s.from
		}
	}
	return items, err
}

// expectMove has told what becomes of a fid's row in the rebalance queue.
func (s *watchedStore) expectMove(fid mogile.FID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.moving[fid] = true
}

// isPledge reports whether a row is nothing but a note of who removes a surplus copy.
func (s *watchedStore) isPledge(q store.QueueName, fid mogile.FID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return q == store.RebalanceQueue && !s.moving[fid]
}

// failNext makes the n-th call fail.
func (s *watchedStore) failNext(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failAt, s.failed = n, ""
}

// cutAt makes the next call of this name fail, as if the job were cut off there.
func (s *watchedStore) cutAt(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cut = name
}

// hasFailed names the call that failed, if it has come to that.
func (s *watchedStore) hasFailed() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed
}

func (s *watchedStore) call(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cut == name {
		s.cut = ""
		return fmt.Errorf("%s: %w", name, errInjected)
	}
	if s.failAt == 0 {
		return nil
	}
	if s.failAt--; s.failAt > 0 {
		return nil
	}
	s.failed = name
	return fmt.Errorf("%s: %w", name, errInjected)
}

// tell reports the fate that rows share, also when writing it down fails.
func (s *watchedStore) tell(rows []settled, write func() error) error {
	err := s.call(rows[0].fate)
	if err == nil {
		err = write()
	}
	for _, row := range rows {
		s.settled <- row
	}
	return err
}

func (s *watchedStore) Finish(ctx context.Context, q store.QueueName, items ...store.Item) error {
	if s.isPledge(q, items[0].FID) {
		return s.Store.Finish(ctx, q, items...)
	}
	var all []settled
	for _, item := range items {
		all = append(all, settled{queue: q, fate: "finished", fid: item.FID})
	}
	return s.tell(all, func() error {
		if s.beforeFinish != nil {
			s.beforeFinish()
		}
		return s.Store.Finish(ctx, q, items...)
	})
}

func (s *watchedStore) FinishErased(ctx context.Context, erased ...store.Erased) error {
	var all []settled
	for _, e := range erased {
		all = append(all, settled{queue: store.DeleteQueue, fate: "finished", fid: e.FID})
	}
	return s.tell(all, func() error { return s.Store.FinishErased(ctx, erased...) })
}

func (s *watchedStore) Postpone(ctx context.Context, q store.QueueName, fid mogile.FID, delay time.Duration, failCount int) error {
	if q == store.ReplicateQueue && delay == time.Second && failCount == 0 { // fsck queues it anew
		return s.change("Postpone", func() error { return s.Store.Postpone(ctx, q, fid, delay, failCount) })
	}
	if s.isPledge(q, fid) {
		return s.Store.Postpone(ctx, q, fid, delay, failCount)
	}
	return s.tell([]settled{{queue: q, fate: "postponed", fid: fid, delay: delay, failCount: failCount}},
		func() error { return s.Store.Postpone(ctx, q, fid, delay, failCount) })
}

func (s *watchedStore) Park(ctx context.Context, q store.QueueName, fid mogile.FID, failCount int) error {
	return s.tell([]settled{{queue: q, fate: "parked", fid: fid, failCount: failCount}},
		func() error { return s.Store.Park(ctx, q, fid, failCount) })
}

// Lock fails for fids only: the monitor takes a lock too, whenever it likes.
func (s *watchedStore) Lock(ctx context.Context, name string, wait time.Duration) (func(), error) {
	if !strings.HasPrefix(name, "mgfs:fid:") {
		return s.Store.Lock(ctx, name, wait)
	}
	if err := s.call("Lock"); err != nil {
		return nil, err
	}
	release, err := s.Store.Lock(ctx, name, wait)
	if err != nil || s.unlock == nil {
		return release, err
	}
	return func() {
		<-s.unlock
		release()
	}, nil
}

func (s *watchedStore) FileByFID(ctx context.Context, fid mogile.FID) (store.File, error) {
	if err := s.call("FileByFID"); err != nil {
		return store.File{}, err
	}
	return s.Store.FileByFID(ctx, fid)
}

func (s *watchedStore) Devices(ctx context.Context, fid mogile.FID) ([]mogile.DevID, error) {
	if err := s.call("Devices"); err != nil {
		return nil, err
	}
	return s.Store.Devices(ctx, fid)
}

func (s *watchedStore) DevicesOf(ctx context.Context, fids ...mogile.FID) (map[mogile.FID][]mogile.DevID, error) {
	if err := s.call("DevicesOf"); err != nil {
		return nil, err
	}
	return s.Store.DevicesOf(ctx, fids...)
}

func (s *watchedStore) LoadFiles(ctx context.Context, fids ...mogile.FID) (map[mogile.FID]store.Known, error) {
	if err := s.call("LoadFiles"); err != nil {
		return nil, err
	}
	return s.Store.LoadFiles(ctx, fids...)
}

func (s *watchedStore) Checksum(ctx context.Context, fid mogile.FID) (mogile.Checksum, error) {
	if err := s.call("Checksum"); err != nil {
		return mogile.Checksum{}, err
	}
	return s.Store.Checksum(ctx, fid)
}

func (s *watchedStore) AddCopy(ctx context.Context, fid mogile.FID, dev mogile.DevID) error {
	return s.change("AddCopy", func() error { return s.Store.AddCopy(ctx, fid, dev) })
}

func (s *watchedStore) RemoveCopies(ctx context.Context, fid mogile.FID, devs ...mogile.DevID) error {
	return s.change("RemoveCopies", func() error { return s.Store.RemoveCopies(ctx, fid, devs...) })
}

func (s *watchedStore) SetChecksum(ctx context.Context, fid mogile.FID, sum mogile.Checksum) error {
	return s.change("SetChecksum", func() error { return s.Store.SetChecksum(ctx, fid, sum) })
}

func (s *watchedStore) ForgetContent(ctx context.Context, fids ...mogile.FID) error {
	return s.change("ForgetContent", func() error { return s.Store.ForgetContent(ctx, fids...) })
}

func (s *watchedStore) change(name string, do func() error) error {
	if err := s.call(name); err != nil {
		return err
	}
	return do()
}
