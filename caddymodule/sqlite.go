package caddymodule

import (
	"context"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/tracker/store"
	"github.com/mogilefs/caddy-mogilefs/tracker/store/sqlstore"
)

// SQLite keeps the metadata in one file, with nothing else to install. It is the
// choice for one tracker; several trackers need MySQL, MariaDB or PostgreSQL.
type SQLite struct {
	// The file; a relative path begins at the working directory. It is created
	// when it is missing, with its directory. Placeholders such as `{env.DATA}`
	// are replaced when the config is loaded. Default: `data/mogilefs.db`.
	Path string `json:"path,omitempty"`

	// Bring the tables of an older MogileFS (schema versions 10 to 16) up to date, and
	// add what is missing in one of version 17. Old trackers that want another version
	// don't start any more then. Default: such a database is refused.
	Upgrade bool `json:"upgrade,omitempty"`
}

const defaultSQLitePath = "data/mogilefs.db"

// CaddyModule returns the Caddy module information.
func (SQLite) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "mogilefs.database.sqlite",
		New: func() caddy.Module { return new(SQLite) },
	}
}

// Provision replaces placeholders in the path.
func (s *SQLite) Provision(caddy.Context) error {
	if s.Path == "" {
		s.Path = defaultSQLitePath
	}
	path, err := caddy.NewReplacer().ReplaceOrErr(s.Path, true, true)
	if err != nil {
		return err
	}
	s.Path, err = caddy.FastAbs(path)
	return err
}

// Identity is the file.
func (s *SQLite) Identity() string { return "sqlite " + s.Path }

// Open opens or creates the file.
func (s *SQLite) Open(ctx context.Context, log *zap.Logger) (store.Store, error) {
	if s.Upgrade {
		return sqlstore.UpgradeSQLite(ctx, s.Path, log)
	}
	return sqlstore.OpenSQLite(ctx, s.Path, log)
}

// UnmarshalCaddyfile reads
//
//	sqlite [<file>] {
//		upgrade
//	}
func (s *SQLite) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the module's name
	if d.NextArg() {
		s.Path = d.Val()
	}
	if d.NextArg() {
		return d.ArgErr()
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if d.Val() != "upgrade" {
			return d.Errf("unrecognized subdirective: %s", d.Val())
		}
		if err := oneFlag(d, &s.Upgrade); err != nil {
			return err
		}
	}
	return nil
}

var (
	_ Database              = (*SQLite)(nil)
	_ caddy.Provisioner     = (*SQLite)(nil)
	_ caddyfile.Unmarshaler = (*SQLite)(nil)
)
