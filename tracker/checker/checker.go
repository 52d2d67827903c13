package checker

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/fsck"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
	"github.com/mogilefs/caddy-mogilefs/tracker/topology"
)

// maxDevCount is what the column file.devcount holds.
const maxDevCount = 255

// Store is what checks read and write.
type Store interface {
	LoadFiles(ctx context.Context, fids ...mogile.FID) (map[mogile.FID]store.Known, error)
	AddCopy(ctx context.Context, fid mogile.FID, dev mogile.DevID) error
	RemoveCopies(ctx context.Context, fid mogile.FID, devs ...mogile.DevID) error
	SetChecksum(ctx context.Context, fid mogile.FID, sum mogile.Checksum) error
	Enqueue(ctx context.Context, q store.QueueName, delay time.Duration, fids ...mogile.FID) error
	Postpone(ctx context.Context, q store.QueueName, fid mogile.FID, delay time.Duration, failCount int) error
	LogFsck(ctx context.Context, events ...store.FsckEvent) error
}

// Nodes is what they say to storage nodes; package node has the contracts.
type Nodes interface {
	Size(ctx context.Context, url string) (n int64, found bool, err error)
	DigestForFsck(ctx context.Context, url string, t mogile.HashType) (mogile.Checksum, error)
	Delete(ctx context.Context, url string) error
}

// Config is what checks work with.
type Config struct {
	Store    Store
	Topology *topology.Live
	Nodes    Nodes
	// Lock keeps all others away who change a fid's copies, on whatever tracker;
	// store.ErrLocked when one of them does not let go.
	Lock func(ctx context.Context, fid mogile.FID) (release func(), err error)
	// Content says whether a class's policy is content with copies on some devices. An
	// error means that it has nothing to say.
	Content func(snap *topology.Snapshot, class mogile.Class, on []mogile.DevID) (bool, error)
	// Changed is called after the copies of a key's file have changed.
	Changed func(domain mogile.DomainName, key mogile.Key)
	// Wake is called when a file was queued for replication.
	Wake func()
	// Rand returns numbers in [0,1).
	Rand   func() float64
	Logger *zap.Logger
}

// Checker checks files, and has what is wrong with them put right. Its methods may be
// called by many goroutines.
type Checker struct {
	Config
	log            *zap.Logger
	heads, digests *turns
	searches       chan struct{} // holds one for each that is under way
	unjudged       sync.Map      // classes of which the log has said that their policy is not known
}

// New allocates a Checker.
func New(config Config) *Checker {
	return &Checker{
		Config: config, log: config.Logger,
		heads: newTurns(maxHeads), digests: newTurns(maxDigests), searches: make(chan struct{}, maxSearches),
	}
}

// Stall is why a check could not come to its end, empty when it could. The file is to be
// checked again later.
type Stall string

const (
	stalledLock   Stall = "another works on it"
	stalledLook   Stall = "a copy can't be looked at"
	stalledSearch Stall = "no copy is found where it could be looked for"
	stalledErase  Stall = "a bad copy can't be deleted"
)

// subject is a file being checked, and what it is judged by.
type subject struct {
	store.Known
	snap  *topology.Snapshot
	class mogile.Class
	mode  fsck.Checksums
	tries int // that failed before
}

func (c *Checker) subject(item store.Item, file store.Known) subject {
	snap := c.Topology.Snapshot()
	class, _ := snap.ClassOf(file.File) // that of a class that is gone wants nothing
	return subject{
		Known: file, snap: snap, class: class, tries: item.FailCount,
		mode: fsck.ReadChecksums(snap.Setting(fsck.ChecksumField)),
	}
}

func (s subject) evidence(violates bool) fsck.Evidence {
	return fsck.Evidence{
		Length: s.Length, Recorded: s.Checksum, Class: s.class.Hash, Mode: s.mode, Violates: violates,
	}
}

// miscounted reports whether the cached number of copies is wrong, and somebody minds.
func (s subject) miscounted() bool {
	return s.DevCount != min(len(s.Devices), maxDevCount) && !isOn(s.snap.Setting("skip_devcount"))
}

// Check looks at a visible file as it was known a moment ago, and takes its lock only when
// something is wrong with it (docs/spec/jobs.md §7.1). What it changes goes by what is
// known then. item is its row in the queue.
func (c *Checker) Check(ctx context.Context, item store.Item, file store.Known) (Stall, error) {
	s := c.subject(item, file)
	if s.miscounted() {
		if why, err := c.recount(ctx, item); why != "" || err != nil {
			return why, err
		}
	}
	unsummed := s.class.Hash != mogile.HashNone && s.Checksum.IsZero()
	if len(s.Devices) == 0 || unsummed || c.violates(s, s.Devices) {
		return c.fix(ctx, item)
	}
	if fsck.PolicyOnly(s.snap.Setting) {
		return "", nil
	}
	e := s.evidence(false)
	e.Copies = c.look(ctx, s, s.mode.Casual(s.class.Hash, s.Checksum))
	switch v := fsck.Judge(e); {
	case v.Clean():
		return "", nil
	case v.Stalled && len(v.Events) == 0:
		return stalledLook, nil
	}
	return c.fix(ctx, item)
}

// violates reports whether the policy is not content with copies on some devices: there
// are too few, too many, or they lie in the wrong places. A policy that is not known has
// nothing to say.
func (c *Checker) violates(s subject, on []mogile.DevID) bool {
	content, err := c.Content(s.snap, s.class, on)
	if s.class.Name == "" {
		err = errors.New("no such class")
	}
	if err != nil {
		if _, told := c.unjudged.LoadOrStore([2]any{s.Domain, s.Class}, true); !told {
			c.log.Warn("policy of files is not checked", zap.Any("domain", s.Domain), zap.Any("class", s.Class), zap.Error(err))
		}
		return false
	}
	return !content
}

// lock takes the fid's lock, and loads what is known of it then. visible is false when
// the file is gone.
func (c *Checker) lock(ctx context.Context, item store.Item) (s subject, visible bool, release func(), err error) {
	release, err = c.Lock(ctx, item.FID)
	if err != nil {
		return s, false, nil, err
	}
	known, err := c.Store.LoadFiles(ctx, item.FID)
	if err != nil {
		release()
		return s, false, nil, err
	}
	file, visible := known[item.FID]
	return c.subject(item, file), visible, release, nil
}

// recount puts the cached number of copies right.
func (c *Checker) recount(ctx context.Context, item store.Item) (Stall, error) {
	s, visible, release, err := c.lock(ctx, item)
	if errors.Is(err, store.ErrLocked) {
		return stalledLock, nil
	}
	if err != nil {
		return "", err
	}
	defer release()
	if !visible || !s.miscounted() {
		return "", nil
	}
	if err := c.report(ctx, s.FID, fsck.Event{Code: fsck.BadCount}); err != nil {
		return "", err
	}
	return "", c.Store.RemoveCopies(ctx, s.FID) // none: it counts
}

// fix looks at a file again, with nobody else at it, and puts it right
// (docs/spec/jobs.md §7.2).
func (c *Checker) fix(ctx context.Context, item store.Item) (Stall, error) {
	s, visible, release, err := c.lock(ctx, item)
	if errors.Is(err, store.ErrLocked) {
		return stalledLock, nil
	}
	if err != nil {
		return "", err
	}
	defer release()
	if !visible {
		return "", nil
	}
	e := s.evidence(len(s.Devices) > 0 && c.violates(s, s.Devices))
	e.Copies = c.look(ctx, s, s.mode.Careful(s.class.Hash, s.Checksum))
	v := fsck.Judge(e)
	if v.Search {
		if e, err = c.search(ctx, s, e); err != nil {
			return "", err
		}
		v = fsck.Judge(e)
	}
	why, err := c.mend(ctx, s, v)
	if why == stalledLook && e.Searched == fsck.SearchedSome {
		why = stalledSearch
	}
	return why, err
}

// isOn reads a boolean setting, which is stored as 0 or 1.
func isOn(setting string) bool { return setting != "" && setting != "0" }
