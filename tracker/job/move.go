package job

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/crew"
	"github.com/mogilefs/caddy-mogilefs/tracker/node"
	"github.com/mogilefs/caddy-mogilefs/tracker/policy"
	"github.com/mogilefs/caddy-mogilefs/tracker/rebalance"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
	"github.com/mogilefs/caddy-mogilefs/tracker/topology"
)

// How a run ends that takes a copy away (docs/spec/jobs.md §4.3), beside the results of
// replicating.
const (
	moved      result = "moved"
	notThere   result = "the copy has gone already"
	wouldSpoil result = "no device that may take it would do"
	unproven   result = "the other copies can't be seen to be whole"
	notOurs    result = "its device can't be deleted from"
	notDeleted result = "its node did not delete it"
	untold     result = "its node does not say whether it is there"
)

const (
	// missDelay is how long replication waits for a copy to be forgotten that is gone. The
	// row's claims are told apart by the second.
	missDelay = time.Second
	// pledgeDelay is more than it takes to delete a copy and to forget it.
	pledgeDelay = time.Minute
)

// moveTries is how often a copy that could not be moved is tried again. It waits some
// seconds, then minutes: a node may be starting anew. (The peer gives up at once.)
const moveTries = 3

// moveOutcome is what becomes of the row of a copy to be moved. Where it may go is fixed
// with the row, so one that can't be moved goes in the end: another rebalance finds it.
// One that may have been deleted stays until that is known.
func (r result) moveOutcome(failCount int, rand func() float64) crew.Outcome {
	switch r {
	case moved, notThere, noFile, wouldSpoil, noSource:
		return crew.Outcome{Fate: crew.Finished}
	}
	if failCount >= moveTries && r != untold {
		return crew.Outcome{Fate: crew.Finished}
	}
	return crew.Outcome{Fate: crew.Postponed, Delay: crew.Backoff(failCount, rand)}
}

// content reports whether a policy wants no more copies.
func (r result) content() bool { return r == replicated || r == lostRace || r == tooHappy }

// leaving is what a run that takes a copy away has to know besides.
type leaving struct {
	masked  mogile.DevID   // holds the copy that is to go; 0: none is
	targets []mogile.DevID // where others may be put; nil: anywhere
	returns bool           // the masked device is drained for a while only
	surplus bool           // no row says yet that the copy is to go
	found   map[mogile.DevID]finding
}

func newLeaving() leaving { return leaving{found: map[mogile.DevID]finding{}} }

// finding is what a look at a recorded copy showed. The zero finding is not looked yet.
type finding uint8

const (
	_       finding = iota
	whole           // it has the right length, and digest when one was asked for
	missing         // the node says that it is not there, or it is something else
	unsure          // the node says nothing
)

// ask has the policy decide. It is not told of the copy that is to go, nor of those that
// were found not to be there.
//
// A copy moves for an operator's convenience: that is no reason to have it where the
// policy has nothing but despair for it, so there only what would content the policy is
// left of its answer. (The peer shows it the targets alone, and may put all copies on one
// host.)
func (a *attempt) ask(p policy.Policy, snap *topology.Snapshot, class mogile.Class) policy.Answer {
	f := a.facts(snap, class, missing)
	answer := p.Decide(f)
	if a.masked != 0 && len(answer.Ideal) == 0 {
		answer.Desperate = slices.DeleteFunc(answer.Desperate, func(id mogile.DevID) bool {
			i := slices.IndexFunc(f.Candidates, func(d policy.Device) bool { return d.ID == id })
			with := f
			with.Copies = append(slices.Clone(f.Copies), f.Candidates[i])
			return !p.Decide(with).Content()
		})
	}
	return answer
}

// facts leaves out the copy that is to go, and those about which was found what is not
// good enough.
func (a *attempt) facts(snap *topology.Snapshot, class mogile.Class, bad ...finding) policy.Facts {
	out := map[mogile.DevID]bool{a.masked: true}
	for dev, f := range a.found {
		if slices.Contains(bad, f) {
			out[dev] = true
		}
	}
	barred := a.badDests
	if a.targets != nil {
		barred = map[mogile.DevID]bool{}
		for _, d := range snap.Devices() {
			barred[d.ID] = a.badDests[d.ID] || !slices.Contains(a.targets, d.ID)
		}
	}
	f := facts(snap, class, a.on, out, barred)
	for i, d := range f.Candidates {
		if d.ID == a.masked && a.returns { // its host counts as one that can have copies
			f.Candidates[i].State = mogile.DevAlive
		}
	}
	return f
}

// moves is where copies to be moved come from.
func (r *replicator) moves() crew.Source {
	return crew.Source{Queue: store.RebalanceQueue, Do: r.doMove}
}

// doMove works on a row of the rebalance queue.
func (r *replicator) doMove(ctx context.Context, w crew.Work) (crew.Outcome, error) {
	item := w.Item
	res, err := r.move(ctx, item)
	if err != nil {
		return crew.Outcome{}, fmt.Errorf("move: %w", err)
	}
	if item.Arg == "" && (res == locked || res == sourceDown) { // a pledge, see there
		res = untold
	}
	out := res.moveOutcome(item.FailCount, r.rand)
	log := r.log.With(zap.Stringer("fid", item.FID), zap.Stringer("from", item.From), zap.String("because", string(res)))
	switch {
	case out.Fate != crew.Finished:
		log.Info("copy is not moved yet", zap.Duration("again in", out.Delay))
	case res == moved:
		log.Debug("copy is moved")
	case res != notThere && res != noFile:
		log.Warn("copy is not moved")
	}
	return out, nil
}

// move takes the copy away from the device that a row names, when the policy is content
// without it; what is lacking then is first made, on the devices that the row names.
func (r *replicator) move(ctx context.Context, item store.Item) (result, error) {
	// The very bytes that go are copied: whatever they are worth, nothing is lost by it.
	a, release, res, err := r.take(ctx, item)
	defer r.aside(release)
	if res != "" || err != nil {
		return res, err
	}
	if !slices.Contains(a.on, item.From) {
		return notThere, r.requeue(ctx, item.FID)
	}
	was := rebalance.ParseWas(r.live.Snapshot().Setting(rebalance.WasField))
	a.masked, a.targets = item.From, targetsOf(item.Arg)
	a.returns = was.Dev == item.From && was.State.TakesNewFiles()
	res, err = r.vacate(ctx, a)
	switch {
	case err != nil || res == moved || res == notThere || res == noFile:
		return res, err
	}
	switch gone, told := r.isGone(ctx, a); {
	case gone:
		return notThere, r.miss(ctx, a)
	case !told && item.Arg == "":
		return untold, nil
	}
	return res, nil
}

// isGone reports whether the node says that it does not have the copy that is to go. An
// earlier run may have been cut off when it had just deleted it, and what was made in its
// place, or counted on, may have died since. told is false when the node says nothing.
func (r *replicator) isGone(ctx context.Context, a *attempt) (gone, told bool) {
	d, known := r.live.Snapshot().Device(a.masked)
	switch {
	case !known, d.State.Lost(), len(a.on) < 2: // a reaper's, and the last one is for fsck
		return false, true
	case !d.Readable():
		return false, false
	}
	_, there, err := r.nodes.Size(ctx, d.ReadURL(a.file.FID, topology.Zone{}))
	return err == nil && !there, err == nil
}

// miss forgets the copy that is to go, of which nothing is left.
//
// Order: 1. the file is queued for replication, 2. the copy is forgotten, 3. caches are told,
// 4. the row is made due anew, or made again: a worker who has looked before 2 counts on the
// copy, and finishes the row as he has it. A crash after 1 leaves it to the next run, as
// the row to move is still queued; after 2 a file that is queued already.
func (r *replicator) miss(ctx context.Context, a *attempt) error {
	fid := a.file.FID
	if err := r.store.Enqueue(ctx, store.ReplicateQueue, missDelay, fid); err != nil {
		return err
	}
	if err := r.forget(ctx, a); err != nil {
		return err
	}
	return r.requeue(ctx, fid)
}

// requeue has a worker look at the file who has not looked yet.
func (r *replicator) requeue(ctx context.Context, fid mogile.FID) error {
	if err := r.store.Postpone(ctx, store.ReplicateQueue, fid, missDelay, 0); err != nil {
		return err
	}
	return r.store.Enqueue(ctx, store.ReplicateQueue, missDelay, fid)
}

// reconsider queues the file when its class is not the one any more that had too many
// copies: who was told of the new one may have looked while the copy was still recorded,
// found enough, and finished the row.
func (r *replicator) reconsider(ctx context.Context, a *attempt) error {
	file, err := r.store.FileByFID(ctx, a.file.FID)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil
	case err != nil:
		return err
	case file.Class == a.file.Class:
		return nil
	}
	return r.requeue(ctx, a.file.FID)
}

// forget is for copies whose bytes are gone.
func (r *replicator) forget(ctx context.Context, a *attempt) error {
	if err := r.store.RemoveCopies(ctx, a.file.FID, a.masked); err != nil {
		return fmt.Errorf("forget copy on device %d: %w", a.masked, err)
	}
	if dm, ok := r.live.Snapshot().DomainByID(a.file.Domain); ok {
		r.changed(dm.Name, a.file.Key)
	}
	return nil
}

// targetsOf reads the devices that a row names. What is none is passed over, as peers do.
func targetsOf(arg string) []mogile.DevID {
	targets := []mogile.DevID{}
	for _, word := range strings.Split(arg, ",") {
		if id, err := mogile.ParseDevID(word); err == nil {
			targets = append(targets, id)
		}
	}
	return targets
}

// thin takes one copy of too many away.
func (r *replicator) thin(ctx context.Context, a *attempt) (result, error) {
	snap := r.live.Snapshot()
	if _, err := r.inspect(ctx, a, snap); err != nil {
		return "", err
	}
	class, p, err := a.policy(snap)
	if err != nil {
		return "", err
	}
	for _, id := range r.spare(a, snap, class, p) {
		if d, ok := snap.Device(id); ok && d.MayDelete() && d.Readable() {
			a.masked, a.from, a.surplus = id, id, true
			break
		}
	}
	if a.masked == 0 {
		return tooHappy, nil
	}
	res, err := r.vacate(ctx, a)
	if res == moved {
		res = thinned
	}
	return res, err
}

// spare lists the copies that may go, the best first: those that are not what they should
// be; those without which enough are left that are; those that the policy would have
// elsewhere. Among equals chance decides.
func (r *replicator) spare(a *attempt, snap *topology.Snapshot, class mogile.Class, p policy.Policy) []mogile.DevID {
	var ids []mogile.DevID
	for _, dev := range a.on {
		if a.found[dev] == missing {
			ids = append(ids, dev)
		}
	}
	for _, f := range []policy.Facts{a.facts(snap, class, missing, unsure), a.facts(snap, class, missing)} {
		shuffle(f.Copies, r.rand)
		ids = append(ids, p.Spare(f)...)
	}
	return ids
}

// vacate makes what the policy lacks without the masked copy, and takes that away then.
//
// Order: 1. the policy is content, without the copy and without those that are found
// missing; 2. the file is still there, and of the same class; 3. of the other copies
// enough are seen to be whole; 4. a row says that the copy is to go, see pledge; 5. those
// that were counted on are still recorded; 6. the node deletes the bytes; 7. the copy is forgotten, and caches are
// told; 8. the file is queued when its class has changed since 2, see reconsider; 9. the row of 4 goes. A crash after a copy was made leaves one too many, which its
// row, that is still queued, or the policy finds out. A crash after 4 has the row removed,
// or the copy, by who works on it. A crash after 6 leaves a copy that is recorded and not
// there: that row is still queued, and the run at it, told by the node that nothing is
// there, forgets the copy; readers take another one. A crash after 7 leaves caches that are
// in this process and have gone with it, and the row, whose run finds the copy forgotten and
// has replication look once more.
func (r *replicator) vacate(ctx context.Context, a *attempt) (result, error) {
	for {
		res, err := r.step(ctx, a)
		if err == nil && res.content() {
			res, err = r.confirm(ctx, a, res)
		}
		switch {
		case err != nil:
			return "", err
		case res == "":
			continue
		case !res.content():
			return res, nil
		}
		snap := r.live.Snapshot()
		fewer, err := r.inspect(ctx, a, snap)
		if err != nil {
			return "", err
		}
		if fewer {
			continue
		}
		if ok, err := a.proven(snap); !ok || err != nil {
			return unproven, err
		}
		return r.remove(ctx, a, snap)
	}
}

// inspect looks at the copies that are to stay and were not looked at yet. It reports
// whether one of them turned out not to be there.
//
// Those that were made in this run have been looked at, when it was known already that
// another was to go. While there is none, what stays are copies that nobody has read for
// long: then their digests are compared as well, if one is recorded, as the copy that goes
// might be the last good one.
func (r *replicator) inspect(ctx context.Context, a *attempt, snap *topology.Snapshot) (fewer bool, err error) {
	for _, dev := range a.on {
		if dev == a.masked || a.found[dev] != 0 {
			continue
		}
		f := r.lookAt(ctx, a, snap, dev)
		if ctx.Err() != nil {
			return false, context.Cause(ctx)
		}
		a.found[dev] = f
		fewer = fewer || f == missing
	}
	return fewer, nil
}

func (r *replicator) lookAt(ctx context.Context, a *attempt, snap *topology.Snapshot, dev mogile.DevID) finding {
	d, known := snap.Device(dev)
	switch {
	case known && d.State.Lost():
		return missing
	case !known || !d.Readable():
		return unsure
	}
	url := d.ReadURL(a.file.FID, topology.Zone{})
	n, there, err := r.nodes.Size(ctx, url)
	switch {
	case err != nil:
		return unsure
	case !there || n != a.file.Length:
		return missing
	case len(a.made) > 0 || a.recorded.IsZero():
		return whole
	}
	sum, err := r.nodes.Digest(ctx, url, a.recorded.Type)
	switch {
	case errors.Is(err, node.ErrMissing):
		return missing
	case err != nil:
		return unsure
	case !sum.Equal(a.recorded):
		return missing
	}
	return whole
}

// proven reports whether the copy may go. Another one that was made just now, and was looked
// at, is enough, as the rest are what they were before. Else those that were seen to be
// whole must be all that the policy wants.
func (a *attempt) proven(snap *topology.Snapshot) (bool, error) {
	if slices.ContainsFunc(a.made, func(dev mogile.DevID) bool { return dev != a.masked && a.found[dev] == whole }) {
		return true, nil
	}
	class, p, err := a.policy(snap)
	if err != nil {
		return false, err
	}
	f := a.facts(snap, class, missing, unsure)
	return len(f.Copies) > 0 && p.Decide(f).Content(), nil
}

// remove deletes the masked copy; see vacate for the order.
func (r *replicator) remove(ctx context.Context, a *attempt, snap *topology.Snapshot) (result, error) {
	fid := a.file.FID
	d, known := snap.Device(a.masked)
	if !known || !d.MayDelete() || !d.Readable() {
		return notOurs, nil
	}
	pledged, ok, err := r.pledge(ctx, a)
	if err != nil || !ok {
		return tooHappy, err
	}
	// Locks don't keep all trackers out (docs/spec/jobs.md §0.1).
	on, err := r.store.Devices(ctx, fid)
	if err != nil {
		return "", err
	}
	if !slices.Contains(on, a.masked) {
		return notThere, nil
	}
	for dev, f := range a.found {
		if f == whole && dev != a.masked && !slices.Contains(on, dev) {
			return unproven, nil
		}
	}
	if err := r.nodes.Delete(ctx, d.WriteURL(fid, topology.Zone{})); err != nil {
		r.log.Warn("copy can't be deleted", zap.Stringer("fid", fid), zap.Stringer("device", d.ID), zap.Error(err))
		return notDeleted, nil
	}
	if err := r.forget(ctx, a); err != nil {
		return "", err
	}
	if err := r.reconsider(ctx, a); err != nil {
		return "", err
	}
	if len(pledged) > 0 {
		err = r.store.Finish(ctx, store.RebalanceQueue, pledged...)
	}
	return moved, err
}

// pledge has a row say that a surplus copy is to go: one that moves it to nowhere. Without
// it nobody would know of a copy whose bytes are deleted and which is not forgotten yet,
// once the file has no copy too many any more. It returns the row, or none for a copy that
// has one anyway; ok is false when the file's row is about another copy, which comes first.
//
// Order: 1. there is a row, due in a while when it is new, 2. it is about the copy, 3. an old
// one is due in a while, too, and not any more as anybody may have claimed it: who is done
// with it does not take it away, 4. it is still there.
func (r *replicator) pledge(ctx context.Context, a *attempt) (pledged []store.Item, ok bool, err error) {
	if !a.surplus {
		return nil, true, nil
	}
	fid := a.file.FID
	if err := r.store.EnqueueWork(ctx, store.WorkRow{FID: fid, Kind: store.RebalanceWork, Dev: a.masked, Delay: pledgeDelay}); err != nil {
		return nil, false, err
	}
	row, err := r.store.Queued(ctx, store.RebalanceQueue, fid)
	if err == nil && row.From != a.masked {
		return nil, false, nil
	}
	if err == nil {
		err = r.store.Postpone(ctx, store.RebalanceQueue, fid, pledgeDelay, 0)
	}
	if err == nil {
		row, err = r.store.Queued(ctx, store.RebalanceQueue, fid)
	}
	if errors.Is(err, store.ErrNotFound) {
		return nil, false, nil
	}
	return []store.Item{{FID: fid, Until: row.NextTry}}, err == nil, err
}
