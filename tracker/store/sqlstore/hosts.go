package sqlstore

import (
	"context"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

// maxHostID is what the column host.hostid holds (docs/spec/schema.md §1).
const maxHostID = 1<<24 - 1

// CreateHost implements [store.Topology].
func (s *Store) CreateHost(ctx context.Context, h mogile.Host) (id mogile.HostID, err error) {
	err = s.db.write(ctx, func(t *tx) error {
		err := none(t, store.ErrDup, "SELECT 1 FROM host WHERE hostname = ? OR hostip = ? OR altip = NULLIF(?, '')", h.Name, h.IP, h.AltIP)
		if err != nil {
			return err
		}
		next, err := nextNumber(t, maxHostID, "SELECT COALESCE(MAX(hostid), 0) + 1 FROM host")
		if err != nil {
			return err
		}
		id = mogile.HostID(next)
		_, err = t.exec(`INSERT INTO host (hostid, hostname, status, hostip, altip, altmask, http_port, http_get_port)
			VALUES (?, ?, ?, ?, NULLIF(?, ''), NULLIF(?, ''), ?, NULLIF(?, 0))`,
			id, h.Name, h.State, h.IP, h.AltIP, h.AltMask, h.Port, h.GetPort)
		return orAgain(err)
	})
	if err != nil {
		return 0, wrap(err, "create host %q", h.Name)
	}
	return id, nil
}

// UpdateHost implements [store.Topology].
func (s *Store) UpdateHost(ctx context.Context, h mogile.Host) error {
	err := s.db.write(ctx, func(t *tx) error {
		return t.must(`UPDATE host SET hostname = ?, status = ?, hostip = ?, altip = NULLIF(?, ''), altmask = NULLIF(?, ''),
			http_port = ?, http_get_port = NULLIF(?, 0) WHERE hostid = ?`,
			h.Name, h.State, h.IP, h.AltIP, h.AltMask, h.Port, h.GetPort, h.ID)
	})
	return wrap(err, "update host %q", h.Name)
}

// DeleteHost implements [store.Topology].
func (s *Store) DeleteHost(ctx context.Context, id mogile.HostID) error {
	err := s.db.write(ctx, func(t *tx) error {
		if err := t.must("DELETE FROM host WHERE hostid = ?", id); err != nil {
			return err
		}
		return none(t, store.ErrHasDevices, "SELECT 1 FROM device WHERE hostid = ? LIMIT 1", id)
	})
	return wrap(err, "delete host %d", id)
}

// CreateDevice implements [store.Topology].
func (s *Store) CreateDevice(ctx context.Context, d mogile.Device) error {
	err := s.db.write(ctx, func(t *tx) error {
		_, err := t.exec("INSERT INTO device (devid, hostid, status, weight) VALUES (?, ?, ?, ?)",
			d.ID, d.Host, d.State, d.Weight)
		return err
	})
	return wrap(err, "create dev %d", d.ID)
}

// SetDeviceState implements [store.Topology].
func (s *Store) SetDeviceState(ctx context.Context, dev mogile.DevID, state mogile.DevState) error {
	err := s.db.write(ctx, func(t *tx) error {
		return t.must("UPDATE device SET status = ? WHERE devid = ?", state, dev)
	})
	return wrap(err, "set state of dev %d", dev)
}

// SetDeviceWeight implements [store.Topology].
func (s *Store) SetDeviceWeight(ctx context.Context, dev mogile.DevID, weight int) error {
	err := s.db.write(ctx, func(t *tx) error {
		return t.must("UPDATE device SET weight = ? WHERE devid = ?", weight, dev)
	})
	return wrap(err, "set weight of dev %d", dev)
}

// SetDeviceUsage implements [store.Topology].
func (s *Store) SetDeviceUsage(ctx context.Context, devs []mogile.Device) error {
	err := s.db.write(ctx, func(t *tx) error {
		for _, d := range devs {
			_, err := t.exec("UPDATE device SET mb_total = ?, mb_used = ?, mb_asof = ? WHERE devid = ?",
				d.MBTotal, d.MBUsed, d.AsOf, d.ID)
			if err != nil {
				return err
			}
		}
		return nil
	})
	return wrap(err, "set usage of %d devices", len(devs))
}
