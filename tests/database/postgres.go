package database

import (
	"fmt"
	"net/url"
	"os"
	"os/exec"
	osuser "os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver pgx
)

// postgres is the engine of PostgreSQL.
type postgres struct{}

// postgresInit is how the cluster of a template is made: every connection needs a
// password, texts are UTF-8 and sort by their bytes.
var postgresInit = []string{
	"--username=" + admin.name, "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C",
	"--no-sync", "--no-instructions",
}

// postgresUsers is fed to postgres --single.
var postgresUsers = fmt.Sprintf("CREATE ROLE %s LOGIN PASSWORD '%s'\n", ordinary.name, ordinary.password)

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
	if err != nil {
		return "", err
	}
	who, err := p.credential()
	if err != nil {
		return "", err
	}
	return v + fmt.Sprint(postgresInit, who) + postgresUsers, nil
}

// credential is the user that PostgreSQL runs as: it refuses to be root. Nil means
// the user of this process.
func (postgres) credential() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	who, err := osuser.Lookup("postgres")
	if err != nil {
		who, err = osuser.Lookup("nobody")
	}
	if err != nil {
		return nil, fmt.Errorf("find a user for PostgreSQL, which refuses to run as root: %w", err)
	}
	uid, err := strconv.ParseUint(who.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(who.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

// as makes a command of PostgreSQL run as the user it may run as, who must own the
// data directory and reach it.
func (p postgres) as(data, command string, args ...string) (*exec.Cmd, error) {
	path, err := p.binary(command)
	if err != nil {
		return nil, err
	}
	who, err := p.credential()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(path, args...)
	if who == nil {
		return cmd, nil
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: who}
	cmd.Dir = filepath.Dir(data)
	return cmd, open(filepath.Dir(data))
}

func (p postgres) prepare(dir string) error {
	who, err := p.credential()
	if err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	if who != nil {
		if err := os.Chown(dir, int(who.Uid), int(who.Gid)); err != nil {
			return err
		}
	}
	password := dir + ".password"
	if err := os.WriteFile(password, []byte(admin.password), 0o644); err != nil {
		return err
	}
	defer os.Remove(password)
	initdb, err := p.as(dir, "initdb", append([]string{"-D", dir, "--pwfile=" + password}, postgresInit...)...)
	if err != nil {
		return err
	}
	if err := run(initdb); err != nil {
		return err
	}
	single, err := p.as(dir, "postgres", "--single", "-D", dir, "-c", "fsync=off", "postgres")
	if err != nil {
		return err
	}
	single.Stdin = strings.NewReader(postgresUsers)
	return run(single)
}

func (p postgres) command(data string, port int, options []string) (*exec.Cmd, error) {
	args := []string{"-D", data, "-p", strconv.Itoa(port)}
	for _, setting := range []string{
		"listen_addresses=127.0.0.1",
		// In the data directory; a whole path can be longer than a socket's may.
		"unix_socket_directories=.",
		"fsync=off", "max_connections=200", "shared_buffers=32MB",
	} {
		args = append(args, "-c", setting)
	}
	return p.as(data, "postgres", append(args, options...)...)
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
