package injector

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/rebalance"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

const (
	rebalanceLock = "mgfs:rebalance"
	// rebalanceEvery is the time from one pass to the next. The rate of a rebalance is
	// what one pass queues, so it is files in a second.
	rebalanceEvery = time.Second
)

// RebalanceStore is what a [Rebalance] reads and writes.
type RebalanceStore interface {
	FilesOn(ctx context.Context, dev mogile.DevID, p store.Page) ([]store.File, error)
	EnqueueWork(ctx context.Context, rows ...store.WorkRow) error
	WorkLength(ctx context.Context, k store.WorkKind) (int64, error)
	SetDeviceState(ctx context.Context, dev mogile.DevID, state mogile.DevState) error
	AllSettings(ctx context.Context) (map[string]string, error)
	ChangeSettings(ctx context.Context, decide func(map[string]string) (store.SettingChanges, error)) error
	store.Clock
	store.Locks
}

// Rebalance queues the copies that a rebalance is to move, on the tracker that the
// settings name; on all others it watches that one.
type Rebalance struct {
	config Config
	store  RebalanceStore
	rand   func() float64
	rounds

	// Only Run touches these.
	drained mogile.DevID // the device that this tracker has seen to be in drain
	beat    time.Time    // the last sign of life while waiting
	vigil   vigil        // over a run on another tracker
}

// NewRebalance allocates one; nothing happens until [Rebalance.Run]. rand returns numbers in
// [0,1).
func NewRebalance(st RebalanceStore, rand func() float64, config Config) *Rebalance {
	return &Rebalance{
		config: config.withDefaults(), store: st, rand: rand,
		rounds: newRounds(config.Logger.With(zap.String("job", "rebalance"))),
	}
}

// Run does what there is to do until ctx is over.
func (b *Rebalance) Run(ctx context.Context) {
	b.run(ctx, "rebalance does not go on", func(ctx context.Context, called bool) (time.Duration, error) {
		began := time.Now()
		if b.held.Load() || (!called && !b.suspects()) {
			b.vigil.end()
			return rebalanceEvery, nil
		}
		err := b.turn(ctx)
		return max(0, rebalanceEvery-time.Since(began)), err
	})
}

// suspects reports whether there is something to do, by what the monitor has read: so as
// long as there is no rebalance the database is not asked.
func (b *Rebalance) suspects() bool {
	snap := b.config.Topology.Snapshot()
	return snap.Setting(rebalance.HostField) != "" || rebalance.ParseWas(snap.Setting(rebalance.WasField)).Held()
}

// errLost: the run is another tracker's by now, or an operator has changed it.
var errLost = errors.New("the rebalance was changed by another")

// turn looks at the settings and does what falls to this tracker. The lock keeps those
// apart that have one name.
func (b *Rebalance) turn(ctx context.Context) error {
	self, err := b.config.self()
	if err != nil {
		return err
	}
	settings, err := b.store.AllSettings(ctx)
	if err != nil {
		return err
	}
	host := settings[rebalance.HostField]
	if host != self && host != "" {
		return b.watch(ctx, self, settings)
	}
	b.vigil.end()
	if host == "" && !rebalance.ParseWas(settings[rebalance.WasField]).Held() {
		return nil
	}
	release, err := b.store.Lock(ctx, rebalanceLock, 0)
	if errors.Is(err, store.ErrLocked) {
		return nil
	}
	if err != nil {
		return err
	}
	defer release()
	err = b.pass(ctx, self)
	if errors.Is(err, errLost) {
		b.log.Info("rebalance goes on elsewhere, or is over")
		return nil
	}
	return err
}

// watch takes the run of another tracker over when that shows no sign of life although
// it could go on, or should stop. (At the peer it stays where it is until an operator
// starts it anew.) The old one, should it live, finds another's name in the settings.
func (b *Rebalance) watch(ctx context.Context, self string, settings map[string]string) error {
	sight := strings.Join([]string{
		settings[rebalance.HostField], settings[rebalance.StateField], settings[rebalance.SignalField],
	}, "\n")
	room, err := b.room(ctx, settings)
	if err != nil {
		return err
	}
	reason := room > 0 || settings[rebalance.SignalField] != ""
	if !b.vigil.keep(sight, reason, b.config.Now()) {
		return nil
	}
	release, err := b.store.Lock(ctx, rebalanceLock, 0)
	if errors.Is(err, store.ErrLocked) { // it is at it this very moment
		return nil
	}
	if err != nil {
		return err
	}
	defer release()
	host := settings[rebalance.HostField]
	err = b.store.ChangeSettings(ctx, func(now map[string]string) (store.SettingChanges, error) {
		if now[rebalance.HostField] != host || now[rebalance.StateField] != settings[rebalance.StateField] {
			return store.SettingChanges{}, errLost
		}
		return store.SettingChanges{Set: map[string]string{rebalance.HostField: self}}, nil
	})
	b.vigil.end()
	if errors.Is(err, errLost) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("take over from %s: %w", host, err)
	}
	b.log.Warn("rebalance is taken over from a tracker that shows no sign of life", zap.String("tracker", host))
	b.drained = 0
	b.Wake()
	return nil
}
