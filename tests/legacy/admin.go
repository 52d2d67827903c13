package legacy

import (
	"context"
	"database/sql"
	"errors"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

// SetSetting replaces a setting, or removes it when value is empty
// (docs/spec/schema.md §6).
func (t *Tracker) SetSetting(ctx context.Context, field, value string) error {
	if value == "" {
		_, err := t.exec(ctx, "DELETE FROM server_settings WHERE field = ?", field)
		return err
	}
	if t.kind != Postgres {
		_, err := t.exec(ctx, "REPLACE INTO server_settings (field, value) VALUES (?, ?)", field, value)
		return err
	}
	return t.emulateReplace(ctx,
		"INSERT INTO server_settings (value, field) VALUES (?, ?)",
		"UPDATE server_settings SET value = ? WHERE field = ?", value, field)
}

// Setting is empty when it is unset.
func (t *Tracker) Setting(ctx context.Context, field string) (value string, err error) {
	var found sql.NullString
	err = t.row(ctx, "SELECT value FROM server_settings WHERE field = ?", field).Scan(&found)
	if errors.Is(err, store.ErrNotFound) {
		err = nil
	}
	return found.String, err
}

// SetDeviceState is set_state.
func (t *Tracker) SetDeviceState(ctx context.Context, dev mogile.DevID, state mogile.DevState) error {
	_, err := t.exec(ctx, "UPDATE device SET status = ? WHERE devid = ?", string(state), dev)
	return err
}

// DeviceState is what it polls every four seconds.
func (t *Tracker) DeviceState(ctx context.Context, dev mogile.DevID) (state string, err error) {
	var found sql.NullString
	err = t.row(ctx, "SELECT status FROM device WHERE devid = ?", dev).Scan(&found)
	return found.String, err
}

// SetHostState is update_host.
func (t *Tracker) SetHostState(ctx context.Context, host mogile.HostName, state mogile.HostState) error {
	_, err := t.exec(ctx, "UPDATE host SET status = ? WHERE hostname = ?", string(state), string(host))
	return err
}

// SaveUsage is what the monitor writes while it has its lock (docs/spec/schema.md §7.1);
// false when another has.
func (t *Tracker) SaveUsage(ctx context.Context, dev mogile.DevID, total, used, asOf int64) (bool, error) {
	err := t.locking(ctx, "mgfs:device_update", 0, func() error {
		_, err := t.exec(ctx, "UPDATE device SET mb_total = ?, mb_used = ?, mb_asof = ? WHERE devid = ?", total, used, asOf, dev)
		return err
	})
	if errors.Is(err, store.ErrLocked) {
		return false, nil
	}
	return err == nil, err
}

// CreateDomain numbers it as the highest plus one.
func (t *Tracker) CreateDomain(ctx context.Context, name mogile.DomainName) (id mogile.DomainID, err error) {
	if err := t.row(ctx, "SELECT COALESCE(MAX(dmid), 0) + 1 FROM domain").Scan(&id); err != nil {
		return 0, err
	}
	_, err = t.exec(ctx, "INSERT INTO domain (dmid, namespace) VALUES (?, ?)", id, string(name))
	return id, err
}

// HostState is a host's.
func (t *Tracker) HostState(ctx context.Context, host mogile.HostName) (state mogile.HostState, err error) {
	err = t.row(ctx, "SELECT status FROM host WHERE hostname = ?", string(host)).Scan(&state)
	return state, err
}
