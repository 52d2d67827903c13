package sqlstore

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
	"github.com/mogilefs/caddy-mogilefs/tracker/store/sqlstore/recent"
)

const (
	// replicaConnect is slave_connect_timeout, and replicaRetry slave_dead_retry_timeout,
	// where they are unset.
	replicaConnect = time.Second
	replicaRetry   = 15 * time.Second
	// maxReplicaTimeout bounds both: more is a slip of the operator's.
	maxReplicaTimeout = time.Hour
	// replicaTimeout bounds a look-up. It takes a millisecond or two, and the master can
	// be asked instead.
	replicaTimeout = 2 * time.Second
)

// replicas are databases that follow the master's some way behind. Operators name them in
// the settings slave_* (docs/spec/schema.md §6), in words of the Perl tracker's or the Go
// driver's. [Store.Locate] asks them first, but for what was changed here of late, and
// the master for what they don't have or can't say. How far behind they are is not
// looked at.
//
// The peer leaves out replicas in other zones unless slave_skip_filtering says otherwise;
// a tracker here has no zone, and asks all of them.
type replicas struct {
	master MySQL
	log    *zap.Logger
	now    func() time.Time
	recent recent.Changes

	set     atomic.Pointer[replicaSet] // nil when there is none
	closing sync.WaitGroup             // sets that were replaced

	mu     sync.Mutex // guards the two below
	known  replicaSettings
	closed bool
}

func newReplicas(master MySQL, log *zap.Logger) *replicas {
	return &replicas{master: master, log: log, now: time.Now}
}

// replicaSettings is all there is to say about replicas. A higher version means that they
// are to be connected to anew, whether anything else has changed or not.
type replicaSettings struct {
	version, sources string
	connect, retry   time.Duration
}

func readReplicaSettings(settings map[string]string) replicaSettings {
	r := replicaSettings{
		version: settings["slave_version"],
		connect: settingSeconds(settings["slave_connect_timeout"], replicaConnect),
		retry:   settingSeconds(settings["slave_dead_retry_timeout"], replicaRetry),
	}
	for key := range strings.SplitSeq(settings["slave_keys"], ",") {
		// A Perl client's library may write a weight behind the key. The peer then finds
		// no such slave.
		key, _, _ = strings.Cut(strings.TrimSpace(key), "=")
		if source := settings["slave_"+key]; key != "" && source != "" {
			r.sources += key + "\x00" + source + "\x00"
		}
	}
	return r
}

func settingSeconds(text string, unset time.Duration) time.Duration {
	if n, err := strconv.ParseUint(strings.TrimSpace(text), 10, 16); err == nil && n > 0 {
		return min(time.Duration(n)*time.Second, maxReplicaTimeout)
	}
	return unset
}

// learn connects to other replicas when the settings name others. It waits for no server.
func (r *replicas) learn(settings map[string]string) {
	if r == nil {
		return
	}
	now := readReplicaSettings(settings)
	r.mu.Lock()
	defer r.mu.Unlock()
	if now == r.known || r.closed {
		return
	}
	r.known = now
	next := r.open(now)
	if next != nil && r.set.Load() == nil {
		r.recent.ForgetNothingBefore(r.now()) // nobody remembered until now
	}
	r.retire(r.set.Swap(next))
}

// retire closes a set when those who still use it are done.
func (r *replicas) retire(old *replicaSet) {
	if old == nil {
		return
	}
	r.closing.Go(func() {
		if err := old.close(); err != nil {
			r.log.Warn("close replicas", zap.Error(err))
		}
	})
}

func (r *replicas) open(s replicaSettings) *replicaSet {
	var set replicaSet
	fields := strings.Split(s.sources, "\x00")
	for i := 0; i+1 < len(fields); i += 2 {
		name := "slave_" + fields[i]
		db, err := openReplica(r.master, fields[i+1], s.connect, r.log)
		if err != nil {
			r.log.Warn("replica left out: its setting is not dsn|user|password", zap.String("setting", name), zap.Error(err))
			continue
		}
		set.all = append(set.all, &replica{name: name, db: db, retry: s.retry, log: r.log})
	}
	if len(set.all) == 0 {
		return nil
	}
	return &set
}

// locate is nil when the master has to be asked.
func (r *replicas) locate(ctx context.Context, dm mogile.DomainID, key mogile.Key) []located {
	if r == nil {
		return nil
	}
	set := r.set.Load()
	if set == nil || r.recent.Has(r.now(), recent.Change{Domain: dm, Key: key}) {
		return nil
	}
	began := r.now()
	one := set.pick(began)
	if one == nil {
		return nil
	}
	found, err := locate(ctx, one.db, dm, key)
	if ctx.Err() == nil && !errors.Is(err, errClosed) {
		one.note(began, r.now(), err)
	}
	if err != nil || r.recent.Has(r.now(), recent.Change{FID: found[0].file.FID}) {
		return nil
	}
	return found
}

// changed remembers that replicas may not know of what a call did. It is told of failed
// calls as well, since they may have done it all the same.
func (r *replicas) changed(what ...recent.Change) {
	if r == nil || r.set.Load() == nil {
		return
	}
	r.recent.Add(r.now(), what)
}

func (r *replicas) close() error {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	r.closed = true
	r.retire(r.set.Swap(nil))
	r.mu.Unlock()
	r.closing.Wait()
	return nil
}

// replicaSet is the replicas of one state of the settings.
type replicaSet struct{ all []*replica }

// pick is nil when none is well.
func (s *replicaSet) pick(now time.Time) *replica {
	first := rand.IntN(len(s.all))
	for i := range s.all {
		if r := s.all[(first+i)%len(s.all)]; r.ready(now) {
			return r
		}
	}
	return nil
}

func (s *replicaSet) close() error {
	var errs []error
	for _, r := range s.all {
		errs = append(errs, r.db.close())
	}
	return errors.Join(errs...)
}

// replica is one of them. One that fails is left aside, the longer the more often it
// failed without an answer between.
type replica struct {
	name  string
	db    *serverDB
	retry time.Duration
	log   *zap.Logger

	mu       sync.Mutex // guards all below
	failures int
	// failed is when it did last, and aside until when nobody asks it.
	failed, aside time.Time
}

// ready lets one caller find out whether a replica that had failed is back, while the
// others go on without it.
func (r *replica) ready(now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failures == 0 {
		return true
	}
	if now.Before(r.aside) {
		return false
	}
	r.aside = now.Add(r.pauseLocked())
	return true
}

func (r *replica) pauseLocked() time.Duration {
	return min(time.Duration(r.failures)*r.retry, maxReplicaTimeout)
}

// note hears what became of a look-up. That a key is not there is an answer, too. Many who
// fail at the same time count as one.
func (r *replica) note(began, now time.Time, err error) {
	well := err == nil || errors.Is(err, store.ErrNotFound)
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case well && r.failures > 0:
		r.failures = 0
		r.log.Info("replica answers again", zap.String("setting", r.name))
	case !well && (r.failures == 0 || !began.Before(r.failed)):
		if r.failures++; r.failures == 1 {
			r.log.Warn("replica fails; the master is asked instead", zap.String("setting", r.name), zap.Error(err))
		}
		r.failed, r.aside = now, now.Add(r.pauseLocked())
	}
}
