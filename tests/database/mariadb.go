package database

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/go-sql-driver/mysql"
)

// mariaDB is the engine of MariaDB.
type mariaDB struct{}

// mariaFiles is the sizes of files that a template has; a server that is started
// on it must be told the same.
var mariaFiles = []string{"--innodb-log-file-size=16M", "--innodb-use-native-aio=0"}

// mariaUsers is fed to mariadbd --bootstrap, which wants one statement a line.
var mariaUsers = strings.Join([]string{
	"FLUSH PRIVILEGES;", // without it, bootstrap knows no users
	fmt.Sprintf("CREATE USER '%s'@'%%' IDENTIFIED BY '%s';", ordinary.name, ordinary.password),
	fmt.Sprintf("CREATE USER '%s'@'%%' IDENTIFIED BY '%s';", admin.name, admin.password),
	fmt.Sprintf("GRANT ALL ON *.* TO '%s'@'%%' WITH GRANT OPTION;", admin.name),
}, "\n") + "\n"

func (mariaDB) name() string { return "mariadb" }

func (mariaDB) binary(command string) (string, error) {
	path, ok := lookPath(command, "/usr/libexec", "/usr/bin", "/usr/sbin")
	if !ok {
		return "", missing(command, "mariadb-server")
	}
	return path, nil
}

func (m mariaDB) recipe() (string, error) {
	server, err := m.binary("mariadbd")
	if err != nil {
		return "", err
	}
	v, err := version(server)
	return v + fmt.Sprint(mariaFiles) + mariaUsers, err
}

func (mariaDB) account() (account, error) { return accountOf("mysql") }

func (m mariaDB) prepare(data string) ([]*exec.Cmd, error) {
	install, err := m.binary("mariadb-install-db")
	if err != nil {
		return nil, err
	}
	server, err := m.binary("mariadbd")
	if err != nil {
		return nil, err
	}
	tables := exec.Command(install, append(m.arguments(data), "--skip-test-db", "--auth-root-authentication-method=normal")...)
	users := exec.Command(server, append(m.arguments(data), "--bootstrap")...)
	users.Stdin = strings.NewReader(mariaUsers)
	return []*exec.Cmd{tables, users}, nil
}

// arguments is what every start on a data directory needs. The machine's own
// configuration is not read.
func (mariaDB) arguments(data string) []string {
	return append([]string{"--no-defaults", "--datadir=" + data}, mariaFiles...)
}

func (m mariaDB) command(data string, port int, options []string) (*exec.Cmd, error) {
	server, err := m.binary("mariadbd")
	if err != nil {
		return nil, err
	}
	args := append(m.arguments(data),
		"--port="+strconv.Itoa(port), "--bind-address=127.0.0.1", "--skip-name-resolve",
		// In the data directory; a whole path can be longer than a socket's may.
		"--socket=mariadb.sock", "--pid-file="+filepath.Join(data, "mariadb.pid"),
		"--skip-log-bin", "--innodb-flush-log-at-trx-commit=2", "--innodb-buffer-pool-size=64M",
		"--key-buffer-size=1M", "--aria-pagecache-buffer-size=1M", "--max-connections=500",
		"--performance-schema=OFF",
		// As in Debian's configuration, which is not read.
		"--character-set-server=utf8mb4", "--collation-server=utf8mb4_general_ci",
	)
	return exec.Command(server, append(args, options...)...), nil
}

func (mariaDB) quit() syscall.Signal { return syscall.SIGTERM }

func (mariaDB) dsn(addr string, u user, database string) string {
	c := mysql.NewConfig()
	c.User, c.Passwd, c.Net, c.Addr, c.DBName = u.name, u.password, "tcp", addr, database
	return c.FormatDSN()
}

func (mariaDB) driver() string { return "mysql" }
func (mariaDB) home() string   { return "mysql" }

// where reads a table: a node of a cluster answers other queries before it is ready.
func (mariaDB) where() string { return "SELECT @@datadir FROM mysql.global_priv LIMIT 1" }

func (mariaDB) create(name, how string, u user) []string {
	return []string{
		"CREATE DATABASE `" + name + "` " + how,
		fmt.Sprintf("GRANT ALL ON `%s`.* TO '%s'@'%%'", name, u.name),
	}
}

func (mariaDB) drop(name string) string { return "DROP DATABASE IF EXISTS `" + name + "`" }
