package upkeep

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/fsck"
	"github.com/mogilefs/caddy-mogilefs/tracker/protocol"
	"github.com/mogilefs/caddy-mogilefs/tracker/rebalance"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

// readRebalance reads a policy; what is wrong with it is the answer.
func readRebalance(text string) (rebalance.Policy, error) {
	p, err := rebalance.Parse(text)
	if err != nil {
		return p, &protocol.Error{Code: protocol.BadRebalPolicy, Text: err.Error()}
	}
	return p, nil
}

// rebalanceSetPolicy without a policy removes the one there is.
func (u *Upkeep) rebalanceSetPolicy(ctx context.Context, in call) error {
	text := in.Arg("policy")
	_, invalid := readRebalance(text)
	return u.change(ctx, func(now map[string]string) (store.SettingChanges, error) {
		switch {
		case now[rebalance.HostField] != "":
			return store.SettingChanges{}, protocol.Failf(protocol.NoSetRebal, "cannot change rebalance policy while rebalance is running")
		case invalid != nil:
			return store.SettingChanges{}, invalid
		case text == "":
			return store.SettingChanges{Unset: append(forgotten(), rebalance.PolicyField)}, nil
		}
		return store.SettingChanges{Set: map[string]string{rebalance.PolicyField: text}, Unset: forgotten()}, nil
	})
}

// forgotten is the settings that a run leaves behind. What a device was before is not
// among them: whoever puts it back forgets that.
func forgotten() []string {
	return []string{rebalance.StateField, rebalance.SinceField, rebalance.WaitsField}
}

// rebalanceDevices is what a policy chooses from.
func (u *Upkeep) rebalanceDevices(ctx context.Context) ([]rebalance.Device, error) {
	if err := u.topology.Reload(ctx); err != nil {
		return nil, err
	}
	var devs []rebalance.Device
	for _, d := range u.topology.Snapshot().Devices() {
		devs = append(devs, rebalance.Device{Device: d.Device, MayDelete: d.MayDelete(), TakesNewFiles: d.TakesNewFiles()})
	}
	return devs, nil
}

// storedPolicy is the policy among the settings.
func storedPolicy(settings map[string]string) (rebalance.Policy, error) {
	text := settings[rebalance.PolicyField]
	if text == "" {
		return rebalance.Policy{}, protocol.Fail(protocol.NoRebalPolicy)
	}
	return readRebalance(text)
}

// rebalanceTest shows what a rebalance that begins now would do.
func (u *Upkeep) rebalanceTest(ctx context.Context, in call) error {
	settings, err := u.store.AllSettings(ctx)
	if err != nil {
		return fmt.Errorf("read settings: %w", err)
	}
	p, err := storedPolicy(settings)
	if err != nil {
		return err
	}
	devs, err := u.rebalanceDevices(ctx)
	if err != nil {
		return err
	}
	sources := p.Sources(devs)
	in.out.Add("sdevs", joinDevs(sources))
	in.out.Add("ddevs", joinDevs(p.Destinations(devs, p.Begin(sources, 0))))
	return nil
}

func joinDevs(devs []mogile.DevID) string {
	words := make([]string, len(devs))
	for i, d := range devs {
		words[i] = d.String()
	}
	return strings.Join(words, ",")
}

// rebalanceStart goes on from the state there is, also from that of a rebalance that came
// to its end; rebalance_reset begins anew. A stop that nobody heard is forgotten.
func (u *Upkeep) rebalanceStart(ctx context.Context, in call) error {
	self, err := u.self()
	if err != nil {
		return err
	}
	devs, err := u.rebalanceDevices(ctx)
	if err != nil {
		return err
	}
	at, err := u.store.Now(ctx)
	if err != nil {
		return fmt.Errorf("start rebalance: %w", err)
	}
	queued, err := u.store.WorkLength(ctx, store.RebalanceWork)
	if err != nil {
		return fmt.Errorf("start rebalance: %w", err)
	}
	var state string
	err = u.change(ctx, func(now map[string]string) (store.SettingChanges, error) {
		switch {
		case now[rebalance.HostField] != "":
			return store.SettingChanges{}, protocol.Failf(protocol.RebalRunning, "rebalance is already running")
		case now[fsck.HostField] != "":
			return store.SettingChanges{}, protocol.Failf(protocol.FsckRunning, "fsck running; cannot run rebalance at same time")
		}
		p, err := storedPolicy(now)
		if state = now[rebalance.StateField]; state == "" {
			state = p.Begin(p.Sources(devs), at).String()
		}
		so, _ := rebalance.ParseState(state) // one that nobody can read has done nothing
		since := rebalance.Since{Time: at, Done: so.FIDs - queued}
		return store.SettingChanges{
			Set: map[string]string{
				rebalance.HostField: self, rebalance.StateField: state, rebalance.SinceField: since.String(),
			},
			Unset: []string{rebalance.SignalField, rebalance.WaitsField},
		}, err
	})
	if err == nil {
		u.jobs.Wake(store.RebalanceQueue)
		in.out.Add("state", state)
	}
	return err
}

// rebalanceStatus answers with the state, as peers do, and with what can be seen of the run
// besides.
func (u *Upkeep) rebalanceStatus(ctx context.Context, in call) error {
	settings, err := u.store.AllSettings(ctx)
	if err != nil {
		return fmt.Errorf("read settings: %w", err)
	}
	state := settings[rebalance.StateField]
	if state == "" {
		return protocol.Fail(protocol.NoRebalState)
	}
	at, err := u.store.Now(ctx)
	if err != nil {
		return fmt.Errorf("read the state of the rebalance: %w", err)
	}
	queued, err := u.store.WorkLength(ctx, store.RebalanceWork)
	if err != nil {
		return fmt.Errorf("read the state of the rebalance: %w", err)
	}
	run, _ := rebalance.Read(settings) // what can't be read shows as it is
	p := run.Progress(settings[rebalance.SinceField], queued, at)
	in.out.Add("state", state)
	in.out.Add("running", flag(run.Host != ""))
	in.out.Add("host", run.Host)
	in.out.AddInt("queued", p.Queued)
	in.out.AddInt("done", p.Done)
	if p.Rate > 0 {
		in.out.Add("rate", strconv.FormatFloat(p.Rate, 'f', 1, 64))
	}
	if run.Waits != "" {
		in.out.Add("waits", run.Waits)
	}
	return nil
}

// rebalanceStop asks the tracker that queues files to stop, whichever it is.
func (u *Upkeep) rebalanceStop(ctx context.Context, _ call) error {
	err := u.change(ctx, func(now map[string]string) (store.SettingChanges, error) {
		if now[rebalance.HostField] == "" {
			return store.SettingChanges{}, protocol.Fail(protocol.RebalNotStarted)
		}
		return store.SettingChanges{Set: map[string]string{rebalance.SignalField: rebalance.StopSignal}}, nil
	})
	if err == nil {
		u.jobs.Wake(store.RebalanceQueue)
	}
	return err
}

func (u *Upkeep) rebalanceReset(ctx context.Context, _ call) error {
	return u.change(ctx, func(now map[string]string) (store.SettingChanges, error) {
		if now[rebalance.HostField] != "" {
			return store.SettingChanges{}, protocol.Failf(protocol.RebalRunning, "rebalance is running")
		}
		return store.SettingChanges{Unset: forgotten()}, nil
	})
}
