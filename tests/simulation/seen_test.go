package simulation

import (
	"context"
	"errors"
	"time"

	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

// seen is what the store has answered to those who poll. It is asked again when something
// was written since, or the time that it named has come: else the answer would be the same.
// Nearly all that trackers ask is whether there is something to do, and nearly always there
// is not. Steps touch it, one at a time, and the driver.
type seen struct {
	rows  store.Rows
	fresh bool // rows are as they are in the store

	due map[store.QueueName]dueAt // what is not there is not known
}

// dueAt is when the first row of a queue is due.
type dueAt struct {
	at  time.Time
	err error // of NextDue: there is none
}

func newSeen() *seen { return &seen{due: map[store.QueueName]dueAt{}} }

// touches is the queues that a step may change beside that which it names; one that is not
// mentioned may change all, if it is not harmless. Steps that are in leavesTopology leave topology
// and settings as they are.
var (
	leavesTopology = map[string]bool{
		"AbandonUpload": true, "AddCopy": true, "Claim": true, "CloseUpload": true, "Delete": true, "Enqueue": true,
		"EnqueueWork": true, "Finish": true, "FinishErased": true, "ForgetContent": true, "LogFsck": true, "OpenUpload": true,
		"Park": true, "Postpone": true, "Reap": true, "ReleaseAll": true, "RemoveCopies": true, "Rename": true, "Renew": true,
		"SetChecksum": true, "SweepUploads": true,
	}
	touches = map[string][]store.QueueName{
		"AbandonUpload": {store.DeleteQueue}, "AddCopy": {store.DeleteQueue}, "ChangeSettings": {}, "Claim": {},
		"CloseUpload": {store.ReplicateQueue, store.DeleteQueue}, "CreateDevice": {}, "Delete": {store.DeleteQueue}, "Enqueue": {},
		"EnqueueWork": {store.FsckQueue, store.RebalanceQueue}, "Finish": {}, "FinishErased": {store.ReplicateQueue, store.DeleteQueue},
		"FoldFsckLog": {}, "ForgetContent": {}, "LogFsck": {}, "OpenUpload": {}, "Park": {}, "Postpone": {},
		"Reap": {store.ReplicateQueue}, "ReleaseAll": {}, "RemoveCopies": {}, "Rename": {store.DeleteQueue}, "Renew": {},
		"SetChecksum": {}, "SetDeviceState": {}, "SetDeviceUsage": {}, "SetSetting": {}, "SweepUploads": {store.DeleteQueue},
		"UnsetSetting": {}, "UpdateClass": {}, "UpdateHost": {},
	}
	isNotHarmless = map[string]bool{"FoldFsckLog": true, "SetDeviceUsage": true, "SweepUploads": true}
)

// after is told of each step that was taken.
func (s *seen) after(what string, args []any) {
	if harmless[what] && !isNotHarmless[what] {
		return
	}
	s.fresh = s.fresh && leavesTopology[what]
	queues, told := touches[what]
	if !told {
		clear(s.due)
	}
	for _, q := range queues {
		delete(s.due, q)
	}
	for _, a := range args {
		if q, ok := a.(store.QueueName); ok {
			delete(s.due, q)
		}
	}
}

func (s *seen) topology(ctx context.Context, real store.Store) (rows store.Rows, err error) {
	if !s.fresh {
		if s.rows, err = real.LoadTopology(ctx); err != nil {
			return store.Rows{}, err
		}
		s.fresh = true
	}
	return s.rows, nil
}

func (s *seen) claim(ctx context.Context, real store.Store, q store.QueueName, limit int, lease time.Duration) ([]store.Item, error) {
	if d, known := s.due[q]; known && (d.err != nil || time.Now().Before(d.at)) {
		return nil, nil
	}
	delete(s.due, q)
	return real.Claim(ctx, q, limit, lease)
}

// nextDue says it to the second, as the store does.
func (s *seen) nextDue(ctx context.Context, real store.Store, q store.QueueName) (time.Duration, error) {
	now := time.Unix(time.Now().Unix(), 0)
	if d, known := s.due[q]; known {
		return max(d.at.Sub(now), 0), d.err
	}
	wait, err := real.NextDue(ctx, q)
	if err == nil || errors.Is(err, store.ErrNotFound) {
		s.due[q] = dueAt{at: now.Add(wait), err: err}
	}
	return wait, err
}
