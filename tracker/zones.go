package tracker

import (
	"context"
	"fmt"
	"strings"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/tracker/policy"
	"github.com/mogilefs/caddy-mogilefs/tracker/topology"
)

// validPolicy says what is wrong with a policy that a class is to have. A zone that
// nobody has described is a slip of the pen: its files would lack copies for ever, and
// only the log would say why. (The peer takes any name.)
func validPolicy(live *topology.Live) func(ctx context.Context, text string) error {
	return func(ctx context.Context, text string) error {
		p, err := policy.Parse(text)
		if err != nil {
			return err
		}
		if unknownZone(live.Snapshot(), p) == nil {
			return nil
		}
		// The setting may be younger than the snapshot. A database that can't be read
		// won't take the class either.
		_ = live.Reload(ctx)
		if err := unknownZone(live.Snapshot(), p); err != nil {
			return fmt.Errorf("replication policy %q: %w", text, err)
		}
		return nil
	}
}

// unknownZone is about the first zone of a policy that no setting describes, or nil.
func unknownZone(snap *topology.Snapshot, p policy.Policy) error {
	for _, zone := range p.Zones() {
		if snap.HasZone(zone) {
			continue
		}
		known := "there are none yet"
		if zones := snap.Zones(); len(zones) > 0 {
			known = "known are " + strings.Join(zones, ", ")
		}
		return fmt.Errorf("there is no zone %s (%s): name it in the setting network_zones and set zone_%s to its netmasks first",
			zone, known, zone)
	}
	return nil
}

// warnOfZones lets declared classes name zones that are not there: a new database has no
// settings before the first start.
func (t *Tracker) warnOfZones(d Declaration) {
	snap := t.topology.Snapshot()
	for _, domain := range d.Domains {
		for _, c := range domain.Classes {
			p, err := policy.Parse(c.Policy)
			if err == nil {
				err = unknownZone(snap, p)
			}
			if err != nil {
				t.log.Warn("files of a class can't have their copies", zap.String("domain", string(domain.Name)),
					zap.String("class", string(c.Name)), zap.String("replpolicy", c.Policy), zap.Error(err))
			}
		}
	}
}
