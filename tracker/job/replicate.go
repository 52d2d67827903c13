package job

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/crew"
	"github.com/mogilefs/caddy-mogilefs/tracker/policy"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
	"github.com/mogilefs/caddy-mogilefs/tracker/topology"
)

// lockWait is how long to wait for whoever else works on the fid (docs/spec/jobs.md §0.1).
const lockWait = time.Second

// lockOf is the lock that all who make or remove copies of a fid take.
func lockOf(fid mogile.FID) string { return "mgfs:fid:" + fid.String() + ":replicate" }

// result is how a run at a file ended (docs/spec/jobs.md §4.1).
type result string

const (
	replicated   result = "replicated"
	lostRace     result = "enough copies already"
	noFile       result = "file is gone"
	locked       result = "another works on it"
	noSource     result = "no copy is known"
	sourceDown   result = "no copy can be read"
	noSuggestion result = "no device can take a copy"
	tooHappy     result = "too many copies"
	thinned      result = "one copy of too many was removed"
)

// outcome is the table of results. A file that had too many copies is looked at again
// when one of them is gone: there may be more.
func (r result) outcome(failCount int, rand func() float64) crew.Outcome {
	switch r {
	case replicated, lostRace, noFile:
		return crew.Outcome{Fate: crew.Finished}
	case locked:
		return crew.Outcome{Fate: crew.Left}
	case noSource:
		return crew.Outcome{Fate: crew.Parked}
	case thinned:
		return crew.Outcome{Fate: crew.Postponed, Delay: crew.Backoff(0, rand), Anew: true}
	default:
		return crew.Outcome{Fate: crew.Postponed, Delay: crew.Backoff(failCount, rand)}
	}
}

// replicateStore is what the job reads and writes. Only move.go forgets copies.
type replicateStore interface {
	FileByFID(ctx context.Context, fid mogile.FID) (store.File, error)
	Devices(ctx context.Context, fid mogile.FID) ([]mogile.DevID, error)
	AddCopy(ctx context.Context, fid mogile.FID, dev mogile.DevID) error
	RemoveCopies(ctx context.Context, fid mogile.FID, devs ...mogile.DevID) error
	LoadFiles(ctx context.Context, fids ...mogile.FID) (map[mogile.FID]store.Known, error)
	SetChecksum(ctx context.Context, fid mogile.FID, sum mogile.Checksum) error
	Enqueue(ctx context.Context, q store.QueueName, delay time.Duration, fids ...mogile.FID) error
	EnqueueWork(ctx context.Context, rows ...store.WorkRow) error
	Queued(ctx context.Context, q store.QueueName, fid mogile.FID) (store.QueueRow, error)
	Postpone(ctx context.Context, q store.QueueName, fid mogile.FID, delay time.Duration, failCount int) error
	Finish(ctx context.Context, q store.QueueName, items ...store.Item) error
	store.Locks
}

// replicator makes the copies that files lack, and removes those that they have too
// many.
type replicator struct {
	store replicateStore
	live  *topology.Live
	nodes interface {
		Copier
		Deleter
		Sizer
	}
	changed func(domain mogile.DomainName, key mogile.Key)
	copied  func(bytes int64)
	rand    func() float64
	aside   func(release func()) // gives a lock back, which nobody has to wait for
	log     *zap.Logger
	slots   *slots
	teller  teller
}

func newReplicator(config Config, aside func(func())) *replicator {
	return &replicator{
		store: config.Store, live: config.Topology, nodes: config.Nodes,
		changed: config.Changed, copied: config.Tally.Copied.Add, rand: config.Rand, aside: aside, slots: newSlots(config.CopiesPerDevice),
		log: config.Logger.With(zap.String("job", string(Replicate))),
	}
}

// queue is where the work comes from.
func (r *replicator) queue(st Store) crew.Source {
	return crew.Source{
		Queue: store.ReplicateQueue, Do: r.do,
		Load: func(ctx context.Context, fids []mogile.FID) (map[mogile.FID]store.Known, error) {
			return st.LoadFiles(ctx, fids...)
		},
	}
}

func (r *replicator) do(ctx context.Context, w crew.Work) (crew.Outcome, error) {
	var told story
	res, err := r.replicate(ctx, w, &told)
	if err != nil {
		return crew.Outcome{}, fmt.Errorf("replicate: %w", err)
	}
	out := res.outcome(w.FailCount, r.rand)
	switch {
	case out.Fate == crew.Finished:
	case res == locked, res == thinned:
		r.log.Debug("file is looked at again", zap.Stringer("fid", w.FID), zap.String("because", string(res)))
	default:
		r.tell(w, res, out, &told)
	}
	return out, nil
}

func (r *replicator) replicate(ctx context.Context, w crew.Work, told *story) (result, error) {
	item := w.Item
	// Many files have what they need when their turn comes. To see that takes no lock,
	// and no question to the database that was not asked for many files at once.
	if w.Fresh() {
		if res := r.look(w.Known); res != "" {
			return res, nil
		}
	}
	a, release, res, err := r.take(ctx, item)
	defer r.aside(release)
	if a != nil {
		a.story = told
		a.tell(r.live.Snapshot())
	}
	if res != "" || err != nil {
		return res, err
	}
	for {
		res, err := r.step(ctx, a)
		if err != nil {
			return "", err
		}
		switch res {
		case replicated, lostRace:
			res, err = r.confirm(ctx, a, res)
		case tooHappy:
			return r.thin(ctx, a)
		}
		if res != "" || err != nil {
			return res, err
		}
	}
}

// look reports whether there is nothing to do, with nothing in the way of others. A file that
// is gone may have left copies.
func (r *replicator) look(known store.Known) result {
	if known.FID == 0 {
		return ""
	}
	snap := r.live.Snapshot()
	class, ok := snap.ClassOf(known.File)
	if !ok {
		return ""
	}
	p, err := policy.Parse(class.Policy)
	if err != nil {
		return ""
	}
	a := &attempt{on: known.Devices}
	if len(a.devices(snap)) == len(a.on) && p.Decide(facts(snap, class, a.on, nil, nil)).Verdict == policy.AllGood {
		return lostRace
	}
	return ""
}

// attempt is one run at one file.
type attempt struct {
	file     store.File
	from     mogile.DevID // preferred source, or 0
	recorded mogile.Checksum
	on       []mogile.DevID // where copies are

	badSources, badDests map[mogile.DevID]bool
	made                 []mogile.DevID // what copies were made
	story                *story         // for the log

	leaving // what of it is to go
}

// take begins with a file under its fid's lock. release must be called, whatever comes of it.
func (r *replicator) take(ctx context.Context, item store.Item) (a *attempt, release func(), res result, err error) {
	release, err = r.store.Lock(ctx, lockOf(item.FID), lockWait)
	switch {
	case errors.Is(err, store.ErrLocked):
		return nil, func() {}, locked, nil
	case err != nil:
		return nil, func() {}, "", err
	}
	a, res, err = r.begin(ctx, item)
	return a, release, res, err
}

// begin fetches what is known of the file. A result says that there is nothing to try.
func (r *replicator) begin(ctx context.Context, item store.Item) (*attempt, result, error) {
	loaded, err := r.store.LoadFiles(ctx, item.FID)
	if err != nil {
		return nil, "", err
	}
	file, visible := loaded[item.FID]
	if !visible {
		return nil, noFile, r.bury(ctx, item.FID)
	}
	a := &attempt{
		file: file.File, from: item.From, on: file.Devices, recorded: file.Checksum, leaving: newLeaving(),
		badSources: map[mogile.DevID]bool{}, badDests: map[mogile.DevID]bool{},
	}
	a.story = new(story)
	known := a.devices(r.live.Snapshot())
	if len(known) == 0 && len(a.on) > 0 { // on devices that another tracker has just created?
		if err := r.live.Reload(ctx); err != nil {
			return nil, "", err
		}
		known = a.devices(r.live.Snapshot())
	}
	switch {
	case len(known) == 0:
		return a, noSource, nil
	case !slices.ContainsFunc(known, topology.Device.Readable):
		return a, sourceDown, nil
	}
	return a, "", nil
}

// tell notes what the log will say of the file.
func (a *attempt) tell(snap *topology.Snapshot) {
	a.story.on = slices.Clone(a.on)
	if class, ok := snap.ClassOf(a.file); ok {
		a.story.class, a.story.wanted = string(class.Name), class.MinDevCount
	}
}

// devices are those of the copies that the snapshot knows.
func (a *attempt) devices(snap *topology.Snapshot) []topology.Device {
	var known []topology.Device
	for _, id := range a.on {
		if d, ok := snap.Device(id); ok {
			known = append(known, d)
		}
	}
	return known
}

// step asks the policy and does what it says; a result ends the run.
func (r *replicator) step(ctx context.Context, a *attempt) (result, error) {
	snap := r.live.Snapshot()
	class, p, err := a.policy(snap)
	if err != nil {
		return "", err
	}
	answer := a.ask(p, snap, class)
	switch answer.Verdict {
	case policy.TooGood:
		return tooHappy, nil
	case policy.TempFail:
		return noSuggestion, nil
	case policy.AllGood:
		if len(a.made) == 0 {
			return lostRace, nil
		}
		return replicated, nil
	}
	dests := r.order(snap, answer.Ideal)
	if len(dests) == 0 {
		dests = r.order(snap, answer.Desperate)
	}
	sources := r.sources(a, snap)
	switch {
	case len(dests) == 0:
		return wouldSpoil, nil
	case len(sources) == 0:
		return sourceDown, nil
	}
	return "", r.follow(ctx, a, route{snap: snap, class: class}, sources, dests)
}

// policy is the file's class, and what that wants.
func (a *attempt) policy(snap *topology.Snapshot) (mogile.Class, policy.Policy, error) {
	class, ok := snap.ClassOf(a.file)
	if !ok {
		return class, policy.Policy{}, fmt.Errorf("domain %d has no class %d", a.file.Domain, a.file.Class)
	}
	p, err := policy.Parse(class.Policy)
	return class, p, err
}

// sources are where the bytes can come from, in the order to ask for a slot: the preferred
// source if it will do, else all that will in the tracker's zone, else all that will.
func (r *replicator) sources(a *attempt, snap *topology.Snapshot) []topology.Device {
	var up []topology.Device
	for _, d := range a.devices(snap) {
		if !d.Readable() || a.badSources[d.ID] || a.found[d.ID] == missing {
			continue
		}
		if d.ID == a.from {
			return []topology.Device{d}
		}
		up = append(up, d)
	}
	shuffle(up, r.rand)
	if near, _ := snap.Near(netip.Addr{}, up); len(near) > 0 {
		return near
	}
	return up
}

// shuffle changes an order as chance has it; rand returns numbers in [0,1).
func shuffle[T any](list []T, rand func() float64) {
	for i := range list {
		j := i + int(rand()*float64(len(list)-i))
		list[i], list[j] = list[j], list[i]
	}
}

// confirm looks at the file once more before its row goes: a row that is queued again
// in the meantime is the same row. It clears the result when the class has changed. The copies
// of a file that is gone are the delete job's.
func (r *replicator) confirm(ctx context.Context, a *attempt, res result) (result, error) {
	file, err := r.store.FileByFID(ctx, a.file.FID)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return noFile, nil
	case err != nil:
		return "", err
	case file.Class != a.file.Class:
		a.file = file
		return "", nil
	}
	return res, nil
}

// bury hands the copies of a file that is gone to the delete job, unless it has them: one that
// was made while the file went, by a peer that lost its lock, is else nobody's.
func (r *replicator) bury(ctx context.Context, fid mogile.FID) error {
	on, err := r.store.Devices(ctx, fid)
	if err != nil || len(on) == 0 {
		return err
	}
	if _, err := r.store.Queued(ctx, store.DeleteQueue, fid); !errors.Is(err, store.ErrNotFound) {
		return err
	}
	return r.store.Enqueue(ctx, store.DeleteQueue, 0, fid)
}
