package sqlstore

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
	"github.com/mogilefs/caddy-mogilefs/tracker/store/sqlstore/follower"
	"github.com/mogilefs/caddy-mogilefs/tracker/store/sqlstore/recent"
)

const (
	// replicaConnect is slave_connect_timeout, and replicaRetry slave_dead_retry_timeout,
	// where they are unset.
	replicaConnect = time.Second
	replicaRetry   = 15 * time.Second
	// maxReplicaTimeout bounds both: more is a slip of the operator's.
	maxReplicaTimeout = time.Hour
	// replicaTimeout is when a look-up counts as failed. Another replica, or the master, is
	// asked long before.
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

	set     atomic.Pointer[follower.Set[*serverDB]] // nil when there is none
	closing sync.WaitGroup                          // sets that were replaced

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
func (r *replicas) retire(old *follower.Set[*serverDB]) {
	if old == nil {
		return
	}
	r.closing.Go(func() {
		if err := old.Close((*serverDB).close); err != nil {
			r.log.Warn("close replicas", zap.Error(err))
		}
	})
}

func (r *replicas) open(s replicaSettings) *follower.Set[*serverDB] {
	var all []*follower.Follower[*serverDB]
	fields := strings.Split(s.sources, "\x00")
	for i := 0; i+1 < len(fields); i += 2 {
		name := "slave_" + fields[i]
		db, err := openReplica(r.master, fields[i+1], s.connect, r.log)
		if err != nil {
			r.log.Warn("replica left out: its setting is not dsn|user|password", zap.String("setting", name), zap.Error(err))
			continue
		}
		all = append(all, &follower.Follower[*serverDB]{Name: name, DB: db})
	}
	if len(all) == 0 {
		return nil
	}
	return follower.NewSet(follower.Config{
		Within: replicaTimeout, Retry: s.retry, Now: r.now, Logger: r.log,
		WellAnswered: func(err error) bool { return errors.Is(err, store.ErrNotFound) },
	}, all)
}

// locate is nil when the master has to be asked.
func (r *replicas) locate(ctx context.Context, dm mogile.DomainID, key mogile.Key) []located {
	if r == nil {
		return nil
	}
	set, change := r.set.Load(), recent.Change{Domain: dm, Key: key}
	if set == nil || !r.recent.MayBeRead(r.now(), change) {
		return nil
	}
	found, ok := follower.Ask(ctx, set, func(ctx context.Context, db *serverDB) ([]located, error) { return locate(ctx, db, dm, key) })
	if !ok {
		return nil
	}
	change.Since = found[0].file.FID
	if r.recent.Has(r.now(), change) || r.recent.Has(r.now(), recent.Change{FID: change.Since}) {
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
