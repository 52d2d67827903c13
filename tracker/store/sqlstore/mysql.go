package sqlstore

import (
	"cmp"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/tracker/store/sqlstore/dsn"
)

const (
	// mysqlTimeout bounds a statement: far more than the longest takes on a server that
	// is well, and less than a client waits.
	mysqlTimeout = 10 * time.Second
	// mysqlConnect bounds the way to the server.
	mysqlConnect = 5 * time.Second
	// mysqlCharset is that of the Perl tracker with MariaDB's client library.
	mysqlCharset = "utf8mb4"
)

// MySQL says where a MySQL or MariaDB database is and how to use it.
type MySQL struct {
	// DSN is user:password@tcp(host:port)/database, user@unix(/path)/database, or what
	// the Perl tracker has, "DBI:mysql:database=…;host=…;port=…".
	DSN string
	// User and Password replace those of the DSN, unless empty.
	User, Password string
	// Charset is that of the connection. It must be the one that keys were stored with,
	// or those beyond ASCII are not found (docs/spec/schema.md §2.3). Empty: that of the
	// DSN, or else utf8mb4. It does not matter in a database that this package created.
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
}

// OpenMySQL opens a MySQL or MariaDB database, in which it creates the tables when there
// are none. It returns store.ErrSchema when they are something else's.
func OpenMySQL(ctx context.Context, m MySQL, log *zap.Logger) (*Store, error) {
	s, err := openMySQL(ctx, m, log)
	return s, wrap(err, "open MySQL database")
}

func openMySQL(ctx context.Context, m MySQL, log *zap.Logger) (*Store, error) {
	config, err := m.config()
	if err != nil {
		return nil, err
	}
	connector, err := newMySQLConnector(config, m.timeout())
	if err != nil {
		return nil, err
	}
	d := mysqlDialect()
	db := newServerDB(sql.OpenDB(connector), d, m.Connections, log)
	if err := prepareMySQL(ctx, db, connector, m.Upgrade, log); err != nil {
		return nil, errors.Join(err, db.close())
	}
	s, err := open(ctx, db, log)
	if err == nil {
		s.readFrom(newReplicas(m, log))
		s.inCompany(d)
	}
	return s, err
}

// openReplica is what a setting of docs/spec/schema.md §6 names, dsn|user|password. Nothing
// is asked of the server yet. Its connections have the charset of the master's.
func openReplica(master MySQL, source string, connect time.Duration, log *zap.Logger) (*serverDB, error) {
	fields := append(strings.SplitN(source, "|", 3), "", "")
	m := MySQL{DSN: fields[0], User: fields[1], Password: fields[2], Charset: master.charset(), Timeout: replicaTimeout}
	config, err := m.config()
	if err != nil {
		return nil, err
	}
	config.Timeout = connect
	connector, err := newMySQLConnector(config, m.timeout())
	if err != nil {
		return nil, err
	}
	return newServerDB(sql.OpenDB(connector), mysqlDialect(), master.Connections, log), nil
}

// charset is that of connections; the first when the DSN has several to try.
func (m MySQL) charset() string {
	_, named, _ := dsn.MySQL(m.DSN)
	first, _, _ := strings.Cut(named, ",")
	return cmp.Or(m.Charset, first, mysqlCharset)
}

func (m MySQL) timeout() time.Duration { return cmp.Or(m.Timeout, mysqlTimeout) }

// Identity names the server and the database, and nobody who may use it. It fails when
// the DSN can't be understood.
func (m MySQL) Identity() (string, error) {
	config, err := m.config()
	if err != nil {
		return "", err
	}
	return "mysql " + config.Net + " " + config.Addr + "/" + config.DBName, nil
}

// config is the DSN with what this package needs of a connection.
func (m MySQL) config() (*mysql.Config, error) {
	config, charset, err := dsn.MySQL(m.DSN)
	if err != nil {
		return nil, err
	}
	if config.DBName == "" {
		return nil, errors.New("the DSN names no database: add /<name> behind the address")
	}
	config.User = cmp.Or(m.User, config.User)
	config.Passwd = cmp.Or(m.Password, config.Passwd)
	config.Timeout = cmp.Or(config.Timeout, mysqlConnect)
	// A quarter more than the server's own timeout, so that one that is only slow can
	// say so.
	config.ReadTimeout = m.timeout() + m.timeout()/4
	config.WriteTimeout = config.ReadTimeout
	config.ClientFoundRows = true // an UPDATE that changes nothing found its row all the same
	config.ParseTime, config.MultiStatements, config.InterpolateParams = false, false, false
	config.Logger = mysql.Logger(&mysql.NopLogger{}) // what goes wrong is an error that somebody logs
	config.AllowAllFiles = false                     // no server is to read the tracker's files
	if m.Charset != "" || charset == "" {
		err = config.Apply(mysql.Charset(cmp.Or(m.Charset, mysqlCharset), ""))
	}
	return config, err
}

// mysqlConnector sets up each connection.
type mysqlConnector struct {
	driver.Connector
	setup []string
}

func newMySQLConnector(config *mysql.Config, timeout time.Duration) (*mysqlConnector, error) {
	inner, err := mysql.NewConnector(config)
	if err != nil {
		return nil, err
	}
	return &mysqlConnector{Connector: inner, setup: []string{
		// A server that closes idle connections after a minute would take the locks with
		// them, and nobody would know.
		"SET SESSION wait_timeout = GREATEST(@@wait_timeout, 28800), innodb_lock_wait_timeout = " +
			fmt.Sprint(max(int(timeout.Seconds()/2), 1)) +
			// MariaDB does not read what is for MySQL 5.7 to 9.
			fmt.Sprintf(" /*M!100101 , max_statement_time = %.3f */ /*!50708 , max_execution_time = %d */",
				timeout.Seconds(), timeout.Milliseconds()),
		// What does not fit is an error, and a difference may be less than 0.
		"SET SESSION sql_mode = CONCAT(@@sql_mode, ',STRICT_TRANS_TABLES,NO_UNSIGNED_SUBTRACTION')",
	}}, nil
}

// readCommitted keeps transactions from locking the gaps between rows, where they would
// stand in each other's way.
const readCommitted = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED"

// Connect implements driver.Connector, and says more clearly why there is no connection.
func (c *mysqlConnector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	switch mysqlCode(err) {
	case 1040, 1203, 1226: // ER_CON_COUNT_ERROR, ER_TOO_MANY_USER_CONNECTIONS, ER_USER_LIMIT_REACHED
		return nil, fmt.Errorf("the server has no connection left: raise its max_connections or the user's "+
			"max_user_connections, or lower the number here: %w", err)
	}
	if err != nil {
		return nil, err
	}
	for _, text := range c.setup {
		if _, err := conn.(driver.ExecerContext).ExecContext(ctx, text, nil); err != nil {
			return nil, errors.Join(fmt.Errorf("%s: %w", text, err), conn.Close())
		}
	}
	return conn, nil
}

// prepareMySQL makes sure of the tables, and completes the dialect with what it depends
// on.
func prepareMySQL(ctx context.Context, db *serverDB, c *mysqlConnector, upgrade bool, log *zap.Logger) error {
	var is mysqlFacts
	var found survey
	err := db.read(ctx, func(t *tx) (err error) {
		if is, err = learnServer(t); err != nil {
			return err
		}
		if found, err = ensureMySQLSchema(t, upgrade); err != nil {
			return err
		}
		return is.learnTables(t)
	})
	if err != nil {
		return err
	}
	found.report(log)
	is.teach(db.d, c)
	is.warn(log)
	db.sessions.forget() // they were set up before this was known
	return nil
}

// ensureMySQLSchema is ensureSchema, by one tracker at a time: creating a table commits,
// so no transaction keeps others from a half of it.
func ensureMySQLSchema(t *tx, upgrade bool) (found survey, err error) {
	var got sql.Null[int]
	const name = "CONCAT('mogilefs:schema:', LEFT(MD5(DATABASE()), 16))"
	if err := t.row("SELECT GET_LOCK(" + name + ", 30)").Scan(&got); err != nil {
		return found, err
	}
	if got.V != 1 {
		return found, errors.New("another tracker has been creating the tables for half a minute")
	}
	found, err = ensureSchema(t, upgrade)
	return found, errors.Join(err, t.row("SELECT RELEASE_LOCK("+name+")").Scan(&got))
}
