package sqlstore

import (
	"context"
	"maps"
	"slices"

	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

// Setting implements [store.Settings].
func (s *Store) Setting(ctx context.Context, field string) (value string, err error) {
	err = s.db.read(ctx, func(t *tx) (err error) {
		value, err = setting(t, field)
		return err
	})
	return value, wrap(err, "read setting %s", field)
}

func setting(t *tx, field string) (value string, err error) {
	err = t.row("SELECT COALESCE(value, '') FROM server_settings WHERE field = ?", field).Scan(&value)
	return value, err
}

// SetSetting implements [store.Settings].
func (s *Store) SetSetting(ctx context.Context, field, value string) error {
	err := s.db.write(ctx, func(t *tx) error { return setSetting(t, field, value) })
	return wrap(err, "set setting %s", field)
}

func setSetting(t *tx, field, value string) error {
	_, err := t.exec("REPLACE INTO server_settings (field, value) VALUES (?, ?)", field, value)
	return err
}

// UnsetSetting implements [store.Settings].
func (s *Store) UnsetSetting(ctx context.Context, field string) error {
	err := s.db.write(ctx, func(t *tx) error { return unsetSetting(t, field) })
	return wrap(err, "unset setting %s", field)
}

func unsetSetting(t *tx, field string) error {
	_, err := t.exec("DELETE FROM server_settings WHERE field = ?", field)
	return err
}

// AllSettings implements [store.Settings].
func (s *Store) AllSettings(ctx context.Context) (all map[string]string, err error) {
	err = s.db.read(ctx, func(t *tx) error {
		all = map[string]string{}
		return loadSettings(t, all)
	})
	return all, wrap(err, "read settings")
}

// ChangeSettings implements [store.Settings].
func (s *Store) ChangeSettings(ctx context.Context, decide func(map[string]string) (store.SettingChanges, error)) error {
	var refusal error
	err := s.db.write(ctx, func(t *tx) error {
		refusal = nil
		return changeSettings(t, func(now map[string]string) (c store.SettingChanges, err error) {
			c, refusal = decide(now)
			return c, refusal
		})
	})
	if err != nil && refusal != nil {
		return refusal
	}
	return wrap(err, "change settings")
}

// changeSettings locks one row for all. It is the one that every database has: a row that
// is not there can't be locked, and what is changed here often is not there. It is locked
// before the settings are read, so that those of whoever was before are among them.
func changeSettings(t *tx, decide func(map[string]string) (store.SettingChanges, error)) error {
	if _, err := t.exists("SELECT 1 FROM server_settings WHERE field = 'schema_version' FOR UPDATE"); err != nil {
		return err
	}
	now := map[string]string{}
	if err := loadSettings(t, now); err != nil {
		return err
	}
	changes, err := decide(now)
	if err != nil {
		return err
	}
	for _, field := range slices.Sorted(maps.Keys(changes.Set)) {
		if err := setSetting(t, field, changes.Set[field]); err != nil {
			return err
		}
	}
	for _, field := range changes.Unset {
		if err := unsetSetting(t, field); err != nil {
			return err
		}
	}
	return nil
}
