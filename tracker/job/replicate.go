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
	"github.com/mogilefs/caddy-mogilefs/tracker/node"
	"github.com/mogilefs/caddy-mogilefs/tracker/policy"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
	"github.com/mogilefs/caddy-mogilefs/tracker/topology"
)

const (
	// lockWait is how long to wait for whoever else works on the fid
	// (docs/spec/jobs.md §0.1).
	lockWait = time.Second
	// discardTime bounds taking back what a failed copy left, also when everything
	// is to stop.
	discardTime = 5 * time.Second
)

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

// look reports whether there is nothing to do, with nothing in the way of others.
func (r *replicator) look(known store.Known) result {
	if known.FID == 0 {
		return noFile
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
		return nil, noFile, nil
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

// route is one copy to be made.
type route struct {
	snap         *topology.Snapshot
	class        mogile.Class
	source, dest topology.Device
	free         func() // gives the slots back; for transfer to call
}

// follow makes one copy, between the first two devices that have a slot. What goes wrong
// with a node bars that node for this run; an error ends the run.
func (r *replicator) follow(ctx context.Context, a *attempt, way route, sources, dests []topology.Device) error {
	p, err := r.slots.take(ctx, a.file.Length, sources, dests)
	if err != nil {
		return err
	}
	way.source, way.dest, way.free = p.source, p.dest, p.free
	err = r.copy(ctx, a, way)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, node.ErrSource):
		a.badSources[way.source.ID] = true
		a.story.failed(way, true, err)
	case errors.Is(err, node.ErrDestination):
		a.badDests[way.dest.ID] = true
		a.story.failed(way, false, err)
	default:
		return err
	}
	r.log.Warn("copy failed", zap.Stringer("fid", a.file.FID), zap.Stringer("from", way.source.ID),
		zap.Stringer("to", way.dest.ID), zap.Error(err))
	return nil
}

func (r *replicator) order(snap *topology.Snapshot, ids []mogile.DevID) []topology.Device {
	var devs []topology.Device
	for _, id := range ids {
		if d, ok := snap.Device(id); ok {
			devs = append(devs, d)
		}
	}
	return topology.ForWriting(devs, r.rand)
}

// copy makes one copy and records it.
//
// Order: 1. the bytes reach the destination, 2. they are verified there, 3. the
// checksum is recorded when there was none, 4. the copy is recorded, 5. caches are
// told. A crash after 1 or 2 leaves bytes that no row names; after 3 also a checksum,
// which is that of the content whoever holds it. The queue row is still there, and the
// next run makes the copy again: over the same bytes, if it picks the same device. A
// crash after 4 leaves caches that don't know the new copy yet; they are in this
// process and have gone with it.
func (r *replicator) copy(ctx context.Context, a *attempt, way route) error {
	sum, err := r.transfer(ctx, a, way)
	if err != nil {
		return err
	}
	fid := a.file.FID
	if a.recorded.IsZero() && !sum.IsZero() {
		if err := r.store.SetChecksum(ctx, fid, sum); err != nil {
			return fmt.Errorf("record checksum: %w", err)
		}
		a.recorded = sum
	}
	if err := r.store.AddCopy(ctx, fid, way.dest.ID); err != nil {
		return fmt.Errorf("record copy on device %d: %w", way.dest.ID, err)
	}
	a.on = append(a.on, way.dest.ID)
	a.made = append(a.made, way.dest.ID)
	r.copied(a.file.Length)
	if !sum.IsZero() || a.masked != 0 { // else nobody has looked at it yet
		a.found[way.dest.ID] = whole
	}
	if d, ok := way.snap.DomainByID(a.file.Domain); ok {
		r.changed(d.Name, a.file.Key)
	}
	return nil
}

// transfer has the bytes copied and verified, and takes them back when that fails. The
// devices have to do with it that long: what the database does then is not theirs.
func (r *replicator) transfer(ctx context.Context, a *attempt, way route) (mogile.Checksum, error) {
	defer way.free()
	fid := a.file.FID
	r.nodes.MakeDirs(ctx, way.dest.ID, base(way.dest, way.dest.On.Port), fid)
	to := way.dest.WriteURL(fid, topology.Zone{})
	sum, err := r.nodes.Copy(ctx, node.CopyArgs{
		From: way.source.WriteURL(fid, topology.Zone{}), To: to,
		Length: a.file.Length, Want: a.recorded, Hash: way.class.Hash,
	})
	switch {
	case errors.Is(err, node.ErrLeftover):
		r.discard(ctx, a, way.dest)
		return sum, err
	case err != nil:
		return sum, err
	}
	if err := r.verify(ctx, a, way.dest, to, sum); err != nil {
		r.discard(ctx, a, way.dest)
		return sum, fmt.Errorf("verify copy: %w: %w", node.ErrDestination, err)
	}
	return sum, nil
}

// verify looks at a copy that its node says to have stored. Without a digest, only one is
// looked at for which another will be deleted, and only how long it is. (The peer takes the
// node's word for it.)
func (r *replicator) verify(ctx context.Context, a *attempt, dest topology.Device, url string, sum mogile.Checksum) error {
	switch {
	case sum.IsZero() && a.masked == 0, verifiedByNode(a.recorded, dest):
		return nil
	case sum.IsZero():
		n, there, err := r.nodes.Size(ctx, url)
		if err == nil && (!there || n != a.file.Length) {
			err = fmt.Errorf("%s has length %d; want %d", url, n, a.file.Length)
		}
		return err
	}
	there, err := r.nodes.Digest(ctx, url, sum.Type)
	if err == nil && !there.Equal(sum) {
		err = fmt.Errorf("%s digests to %s; want %s", url, there, sum)
	}
	return err
}

// verifiedByNode reports whether the node has compared the bytes with a digest that was
// sent ahead. (The peer also trusts it when there was none to send.)
func verifiedByNode(recorded mogile.Checksum, dest topology.Device) bool {
	return recorded.Type == mogile.HashMD5 && dest.Seen.RejectsBadMD5 == "1"
}

// discard takes back what a failed copy left, unless the device is recorded as holding
// the file: then another tracker, whose lock did not keep us out, was quicker.
func (r *replicator) discard(ctx context.Context, a *attempt, dest topology.Device) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), discardTime)
	defer cancel()
	on, err := r.store.Devices(ctx, a.file.FID)
	if err == nil && !slices.Contains(on, dest.ID) {
		err = r.nodes.Delete(ctx, dest.WriteURL(a.file.FID, topology.Zone{}))
	}
	if err != nil {
		r.log.Warn("failed copy may be left", zap.Stringer("fid", a.file.FID),
			zap.Stringer("device", dest.ID), zap.Error(err))
	}
}

// confirm looks at the file once more before its row goes: a row that is queued again
// in the meantime is the same row. It clears the result when the class has changed, and
// hands the copies to the delete job when the file is gone.
func (r *replicator) confirm(ctx context.Context, a *attempt, res result) (result, error) {
	file, err := r.store.FileByFID(ctx, a.file.FID)
	switch {
	case errors.Is(err, store.ErrNotFound) && len(a.made) > 0:
		return noFile, r.store.Enqueue(ctx, store.DeleteQueue, 0, a.file.FID)
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
