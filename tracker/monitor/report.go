package monitor

import (
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/node"
	"github.com/mogilefs/caddy-mogilefs/tracker/topology"
)

// report logs what changed. In the eager phase a device that is not there yet is no news.
func (m *Monitor) report(r *round) {
	eager := time.Since(m.began) < eagerPhase
	for _, d := range r.before.Devices() {
		err := r.errors[d.ID]
		log := m.log.With(zap.Stringer("device", d.ID), zap.String("host", string(d.On.Name)), zap.Error(err))
		m.reportHost(r, d, log)
		seen, looked := r.seen.Devices[d.ID]
		silent := errors.Is(err, node.ErrUsage)
		switch {
		case silent && !m.noUsage[d.ID]:
			log.Error("device does not tell its size")
		case !looked || seen.State == d.Seen.State:
		case err != nil && eager:
			log.Debug("device is not in order yet", zap.String("seen", string(seen.State)))
		case err != nil:
			log.Warn("device is not in order", zap.String("seen", string(seen.State)))
		default:
			log.Info("device is in order", zap.String("seen", string(seen.State)))
		}
		m.noUsage[d.ID] = silent
	}
}

func (m *Monitor) reportHost(r *round, d topology.Device, log *zap.Logger) {
	up, looked := r.seen.Hosts[d.Host]
	before, reported := m.hostUp[d.Host]
	switch {
	case !looked:
		return
	case !up && r.errors[d.ID] != nil && (before || !reported):
		log.Warn("host does not answer")
	case up && !before && reported:
		log.Info("host answers again")
	case !up && before: // another of its devices has the reason
		return
	}
	m.hostUp[d.Host] = up
}

// reportStrange tells once of states that somebody else has written into the database and
// that nobody knows. Such a device counts as down, and on such a host nothing is allowed.
func (m *Monitor) reportStrange() {
	strange := map[string]bool{}
	note := func(what string, err error) {
		if err == nil {
			return
		}
		text := fmt.Sprintf("%s: %v", what, err)
		if strange[text] = true; !m.strange[text] {
			m.log.Error("unknown state counts as down", zap.String("of", what), zap.Error(err))
		}
	}
	for _, h := range m.live.Snapshot().Hosts() {
		_, err := mogile.ParseHostState(string(h.State))
		note("host "+string(h.Name), err)
	}
	for _, d := range m.live.Snapshot().Devices() {
		_, err := mogile.ParseDevState(string(d.State))
		note("device "+d.ID.String(), err)
	}
	m.strange = strange
}
