package sqlstore

import "context"

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
	err := s.db.write(ctx, func(t *tx) error {
		_, err := t.exec("REPLACE INTO server_settings (field, value) VALUES (?, ?)", field, value)
		return err
	})
	return wrap(err, "set setting %s", field)
}

// UnsetSetting implements [store.Settings].
func (s *Store) UnsetSetting(ctx context.Context, field string) error {
	err := s.db.write(ctx, func(t *tx) error {
		_, err := t.exec("DELETE FROM server_settings WHERE field = ?", field)
		return err
	})
	return wrap(err, "unset setting %s", field)
}
