package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/tracker/store"
	"github.com/mogilefs/caddy-mogilefs/tracker/store/sqlstore"
)

// Postgres keeps the metadata in a PostgreSQL database, which several trackers may use
// at the same time, those of the Perl MogileFS among them. The tables are created when
// the database is empty. Placeholders such as `{env.PGPASSWORD}` and
// `{file./run/secrets/db}` are replaced in all texts when the config is loaded.
type Postgres struct {
	// Where the database is: `postgres://mogile@db1/mogilefs`, libpq's
	// `host=db1 dbname=mogilefs`, or what stands in a mogilefsd.conf,
	// `DBI:Pg:dbname=mogilefs;host=db1`. Parameters of libpq may follow, such as
	// `?sslmode=verify-full`. With several hosts, `db1,db2`, the one that takes writes
	// is used.
	DSN string `json:"dsn,omitempty"`

	// Who connects. Default: the user in the DSN.
	User string `json:"user,omitempty"`

	// The user's password. Default: the one in the DSN, or that of libpq's password file.
	Password string `json:"password,omitempty"`

	// The encoding of keys between tracker and database (PostgreSQL's
	// `client_encoding`). Default: what finds the keys that a Perl tracker has stored:
	// `LATIN1` for a database in UTF8, any byte for any other. `UTF8` is right for a
	// database in UTF8 whose keys are not the Perl tracker's and are to be read by
	// people: then a key has to be valid UTF-8.
	Charset string `json:"charset,omitempty"`

	// How many connections the tracker opens at most, besides the one that holds its
	// locks. Default: 32.
	Connections int `json:"connections,omitempty"`

	// How long the server may take for one statement. Default: `10s`.
	Timeout caddy.Duration `json:"timeout,omitempty"`

	// Bring the tables of an older MogileFS (schema versions 10 to 16) up to date, and
	// add what is missing in one of version 17. Old trackers that want another version
	// don't start any more then. Default: such a database is refused.
	Upgrade bool `json:"upgrade,omitempty"`

	identity string
}

// CaddyModule returns the Caddy module information.
func (Postgres) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "mogilefs.database.postgres",
		New: func() caddy.Module { return new(Postgres) },
	}
}

// Provision replaces placeholders and checks the DSN; nothing is connected yet.
func (p *Postgres) Provision(caddy.Context) (err error) {
	replacer := caddy.NewReplacer()
	for _, text := range []*string{&p.DSN, &p.User, &p.Password, &p.Charset} {
		if *text, err = replacer.ReplaceOrErr(*text, true, true); err != nil {
			return err
		}
	}
	switch {
	case p.DSN == "":
		return errors.New("dsn is missing: want one such as postgres://mogile@db1/mogilefs")
	case p.Connections < 0 || p.Timeout < 0:
		return errors.New("connections and timeout can't be negative")
	}
	p.identity, err = p.settings().Identity()
	return err
}

func (p *Postgres) settings() sqlstore.Postgres {
	return sqlstore.Postgres{
		DSN: p.DSN, User: p.User, Password: p.Password, Charset: p.Charset,
		Connections: p.Connections, Timeout: time.Duration(p.Timeout), Upgrade: p.Upgrade,
	}
}

// Identity is the server and the database.
func (p *Postgres) Identity() string { return p.identity }

// Open connects to the database.
func (p *Postgres) Open(ctx context.Context, log *zap.Logger) (store.Store, error) {
	s, err := sqlstore.OpenPostgres(ctx, p.settings(), log)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.identity, err)
	}
	return s, nil
}

// UnmarshalCaddyfile reads
//
//	postgres <dsn> {
//		user        <name>
//		password    <word>
//		charset     <encoding>
//		connections <count>
//		timeout     <duration>
//		upgrade
//	}
func (p *Postgres) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the module's name
	if !d.AllArgs(&p.DSN) {
		return d.ArgErr()
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if err := p.parseOption(d); err != nil {
			return err
		}
	}
	return nil
}

func (p *Postgres) parseOption(d *caddyfile.Dispenser) error {
	switch d.Val() {
	case "user":
		return oneArg(d, &p.User)
	case "password":
		return oneArg(d, &p.Password)
	case "charset":
		return oneArg(d, &p.Charset)
	case "connections":
		return oneCount(d, &p.Connections)
	case "timeout":
		return oneDuration(d, &p.Timeout)
	case "upgrade":
		return oneFlag(d, &p.Upgrade)
	}
	return d.Errf("unrecognized subdirective: %s", d.Val())
}

// oneCount reads exactly one number of a word that may stand once.
func oneCount(d *caddyfile.Dispenser, to *int) error {
	if *to != 0 {
		return d.Errf("%s stands twice", d.Val())
	}
	var word string
	if err := oneArg(d, &word); err != nil {
		return err
	}
	n, err := strconv.Atoi(word)
	if err != nil || n <= 0 {
		return d.Errf("%s: want a number greater than 0", word)
	}
	*to = n
	return nil
}

var (
	_ Database              = (*Postgres)(nil)
	_ caddy.Provisioner     = (*Postgres)(nil)
	_ caddyfile.Unmarshaler = (*Postgres)(nil)
)
