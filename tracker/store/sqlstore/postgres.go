package sqlstore

import (
	"cmp"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/tracker/store/sqlstore/dsn"
	"github.com/mogilefs/caddy-mogilefs/tracker/store/sqlstore/patience"
	"github.com/mogilefs/caddy-mogilefs/tracker/store/sqlstore/pipe"
)

const (
	// postgresTimeout bounds a statement: far more than the longest takes on a server
	// that is well, and less than a client waits.
	postgresTimeout = 10 * time.Second
	// postgresConnect bounds the way to one server.
	postgresConnect = 5 * time.Second
)

// Postgres says where a PostgreSQL database is and how to use it.
type Postgres struct {
	// DSN is postgres://user@host:port/database, "host=… dbname=…" or what the Perl
	// tracker has, "DBI:Pg:dbname=…;host=…". Options of libpq work in the first two;
	// with several hosts, the one that takes writes is used.
	DSN string
	// User and Password replace those of the DSN, unless empty.
	User, Password string
	// Charset is the client_encoding. Empty: that of the DSN, or else what stores the
	// same bytes as the Perl tracker does. That one (DBD::Pg 3 under it) hands every
	// byte as a character to a UTF8 database, which is LATIN1, and bytes to any other.
	// UTF8 on a UTF8 database is right where keys were not stored by it.
	Charset string
	// Connections is how many statements run at the same time at most; 0: 32. One more
	// connection holds the locks.
	Connections int
	// Timeout bounds a statement, at the server and, should that be frozen, here; half
	// of it is how long one statement waits for another's lock. 0: 10 s.
	Timeout time.Duration
	// Upgrade brings a database of an older version up to date (versions 10 to 16), and
	// adds what is missing in one that is. Peers of the older version don't start any
	// more then.
	Upgrade bool

	// host stands in for the name of this machine, in tests.
	host string
}

// OpenPostgres opens a PostgreSQL database, in which it creates the tables when there
// are none. It returns store.ErrSchema when they are something else's.
func OpenPostgres(ctx context.Context, p Postgres, log *zap.Logger) (*Store, error) {
	s, err := openPostgres(ctx, p, log)
	return s, wrap(err, "open PostgreSQL database")
}

func openPostgres(ctx context.Context, p Postgres, log *zap.Logger) (*Store, error) {
	if p.Timeout == 0 {
		p.Timeout = postgresTimeout
	}
	config, err := p.config()
	if err != nil {
		return nil, err
	}
	if p.host == "" {
		if p.host, err = os.Hostname(); err != nil {
			return nil, err
		}
	}
	d := postgresDialect(p.host)
	db := newServerDB(sql.OpenDB(postgresConnector{stdlib.GetConnector(*config)}), d, p.Connections, log)
	if err := prepare(ctx, db, p.Upgrade, log); err != nil {
		return nil, errors.Join(err, db.close())
	}
	s, err := open(ctx, db, log)
	if err == nil {
		s.inCompany(d)
	}
	return s, err
}

// prepare makes sure of the tables, and completes the dialect with what it depends on.
func prepare(ctx context.Context, db *serverDB, upgrade bool, log *zap.Logger) error {
	var is postgresFacts
	var found survey
	err := db.write(ctx, func(t *tx) (err error) {
		if err := checkPostgresVersion(t); err != nil {
			return err
		}
		// Several trackers may find an empty database at the same time.
		if _, err := t.exec("SELECT pg_advisory_xact_lock(?, ?)", allHosts, lockID("mogilefs:schema")); err != nil {
			return err
		}
		if found, err = ensureSchema(t, upgrade); err != nil {
			return err
		}
		is, err = learnPostgres(t)
		return err
	})
	if err != nil {
		return err
	}
	found.report(log)
	is.teach(db.d)
	is.warn(log)
	return db.checkLocks(ctx)
}

// Identity names the servers and the database, and nobody who may use it. It fails when
// the DSN can't be understood.
func (p Postgres) Identity() (string, error) {
	config, err := p.config()
	if err != nil {
		return "", err
	}
	return "postgres " + strings.Join(servers(config), ",") + "/" + cmp.Or(config.Database, config.User), nil
}

// servers are those of the DSN; each has a second entry to be tried without TLS.
func servers(config *pgx.ConnConfig) []string {
	all := []string{net.JoinHostPort(config.Host, strconv.Itoa(int(config.Port)))}
	for _, other := range config.Fallbacks {
		addr := net.JoinHostPort(other.Host, strconv.Itoa(int(other.Port)))
		if !slices.Contains(all, addr) {
			all = append(all, addr)
		}
	}
	return all
}

// config is the DSN with what this package needs of a connection. What the DSN says
// itself counts.
func (p Postgres) config() (*pgx.ConnConfig, error) {
	config, err := pgx.ParseConfig(dsn.Libpq(p.DSN))
	if err != nil {
		return nil, err
	}
	if p.User != "" {
		config.User = p.User
	}
	if p.Password != "" {
		config.Password = p.Password
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = postgresConnect
	}
	config.DialFunc = p.dial
	if config.ValidateConnect == nil && len(servers(config)) > 1 {
		config.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	}
	p.setParams(config)
	return config, nil
}

// setParams sets what the server shall do in each session. The server itself frees the
// locks of a machine that has vanished, instead of after the two hours that TCP takes.
func (p Postgres) setParams(config *pgx.ConnConfig) {
	if p.Charset != "" {
		config.RuntimeParams["client_encoding"] = p.Charset
	}
	asked := maps.Clone(config.RuntimeParams)
	for name, value := range map[string]string{
		"application_name":                    "mogilefs",
		"client_encoding":                     "SQL_ASCII",
		"statement_timeout":                   milliseconds(p.Timeout),
		"lock_timeout":                        milliseconds(p.Timeout / 2),
		"idle_in_transaction_session_timeout": milliseconds(p.Timeout),
		"tcp_keepalives_idle":                 "60",
		"tcp_keepalives_interval":             "10",
		"tcp_keepalives_count":                "3",
	} {
		if _, ok := asked[name]; !ok {
			config.RuntimeParams[name] = value
		}
	}
	config.AfterConnect = func(ctx context.Context, conn *pgconn.PgConn) error {
		return conn.Exec(ctx, sessionSettings(asked, conn.ParameterStatus("server_encoding"))).Close()
	}
}

// sessionSettings are those that depend on the server's: see [Postgres.Charset], and
// what was acknowledged is on disk, unless the DSN says otherwise.
func sessionSettings(asked map[string]string, encoding string) (text string) {
	if _, ok := asked["client_encoding"]; !ok && encoding == "UTF8" {
		text = "SET client_encoding = LATIN1;"
	}
	if _, ok := asked["synchronous_commit"]; !ok {
		text += "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off';"
	}
	return text
}

func milliseconds(d time.Duration) string {
	return strconv.FormatInt(max(d.Milliseconds(), 1), 10)
}

// dial gives the server a quarter more than its own timeout, so that one that is only
// slow can say so.
func (p Postgres) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	return patience.New(conn, p.Timeout+p.Timeout/4), nil
}

// postgresConnector says more clearly why there is no connection.
type postgresConnector struct{ driver.Connector }

// Connect implements driver.Connector.
func (c postgresConnector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err == nil {
		return pipe.New(conn.(*stdlib.Conn)), nil
	}
	var refusal *pgconn.PgError
	if !errors.As(err, &refusal) {
		return nil, err
	}
	switch refusal.Code {
	case "53300": // too_many_connections
		err = fmt.Errorf("the server has no connection left: raise its max_connections, or lower the number here: %w", err)
	case "08P01": // protocol_violation
		err = fmt.Errorf("is this a pooler? Connect to PostgreSQL itself, or have the pooler keep one server connection "+
			"for each session (session mode) and let the parameter pass: %w", err)
	}
	return nil, err
}
