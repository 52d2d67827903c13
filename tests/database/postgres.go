package database

import (
	"fmt"
	"net/url"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver pgx
)

// postgres is the engine of PostgreSQL.
type postgres struct{}

// postgresInit is how the cluster of a template is made: connections over TCP need a
// password, texts are UTF-8 and sort by their bytes.
var postgresInit = []string{
	"--username=" + admin.name, "--auth-host=scram-sha-256", "--auth-local=trust",
	"--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions",
}

// postgresUsers is fed to postgres --single, which wants one statement a line.
var postgresUsers = fmt.Sprintf("ALTER ROLE %s PASSWORD '%s'\n", admin.name, admin.password) +
	fmt.Sprintf("CREATE ROLE %s LOGIN PASSWORD '%s'\n", ordinary.name, ordinary.password)

func (postgres) name() string { return "postgres" }

func (postgres) binary(command string) (string, error) {
	// Debian keeps the servers out of PATH, one directory for each version.
	dirs, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil {
		return "", err
	}
	path, ok := lookPath(command, dirs...)
	if !ok {
		return "", missing(command+" of PostgreSQL", "postgresql")
	}
	return path, nil
}

func (p postgres) recipe() (string, error) {
	server, err := p.binary("postgres")
	if err != nil {
		return "", err
	}
	v, err := version(server)
	return v + fmt.Sprint(postgresInit) + postgresUsers, err
}

func (postgres) account() (account, error) { return accountOf("postgres") }

func (p postgres) prepare(data string) ([]*exec.Cmd, error) {
	initdb, err := p.binary("initdb")
	if err != nil {
		return nil, err
	}
	server, err := p.binary("postgres")
	if err != nil {
		return nil, err
	}
	cluster := exec.Command(initdb, append([]string{"-D", data}, postgresInit...)...)
	users := exec.Command(server, "--single", "-D", data, "-c", "fsync=off", "postgres")
	users.Stdin = strings.NewReader(postgresUsers)
	return []*exec.Cmd{cluster, users}, nil
}

func (p postgres) command(data string, port int, options []string) (*exec.Cmd, error) {
	server, err := p.binary("postgres")
	if err != nil {
		return nil, err
	}
	args := []string{"-D", data, "-p", strconv.Itoa(port)}
	for _, setting := range []string{
		"listen_addresses=127.0.0.1",
		// In the data directory; a whole path can be longer than a socket's may.
		"unix_socket_directories=.",
		"fsync=off", "max_connections=200", "shared_buffers=32MB",
	} {
		args = append(args, "-c", setting)
	}
	return exec.Command(server, append(args, options...)...), nil
}

// quit is a fast shutdown: clients are disconnected.
func (postgres) quit() syscall.Signal { return syscall.SIGINT }

func (postgres) dsn(addr string, u user, database string) string {
	dsn := url.URL{Scheme: "postgres", User: url.UserPassword(u.name, u.password), Host: addr, Path: database}
	return dsn.String() + "?sslmode=disable"
}

func (postgres) driver() string { return "pgx" }
func (postgres) home() string   { return "postgres" }
func (postgres) where() string  { return "SHOW data_directory" }

func (postgres) create(name, how string, u user) []string {
	return []string{fmt.Sprintf("CREATE DATABASE %s OWNER %s %s", name, u.name, how)}
}

func (postgres) drop(name string) string {
	return "DROP DATABASE IF EXISTS " + name + " WITH (FORCE)"
}
