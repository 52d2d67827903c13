package database

import (
	"errors"
	"fmt"
	"os/exec"
	"syscall"
)

// An engine is what a kind of database server needs to be run.
type engine interface {
	// name is how the server is called in errors and file names.
	name() string
	// recipe names everything a template depends on; the same recipe gives the
	// same template. It is errMissing when the server is not installed.
	recipe() (string, error)
	// account is who the server runs as.
	account() (account, error)
	// prepare is the commands that fill the empty data directory of a template.
	prepare(data string) ([]*exec.Cmd, error)
	// command is the server on a data directory and port; later options override.
	command(data string, port int, options []string) (*exec.Cmd, error)
	// quit is the signal for a clean end that does not wait for clients.
	quit() syscall.Signal
	// dsn is how u reaches a database through driver.
	dsn(addr string, u user, database string) string
	driver() string
	// home is the database that a server always has.
	home() string
	// where is a query for the data directory of the server that answers.
	where() string
	// create is the statements that make a database which u may do anything in,
	// drop the one that removes it though somebody is connected.
	create(name, how string, u user) []string
	drop(name string) string
}

// user is one who may connect. Passwords are no secret: the servers listen on
// loopback and have no data of worth.
type user struct{ name, password string }

var (
	// ordinary is the user of the DSNs handed out, with no rights beyond his
	// databases, as in a real installation.
	ordinary = user{"mogile", "mogile"}
	// admin may do everything.
	admin = user{"admin", "admin"}
)

// errMissing is a server that is not installed.
var errMissing = errors.New("not installed")

// missing words errMissing with the way out.
func missing(what, packages string) error {
	return fmt.Errorf("%s is %w: install %s, or run `make test` as root, which does", what, errMissing, packages)
}

// lookPath finds a command in PATH or in one of the directories, the last one
// first, as they are of rising versions.
func lookPath(command string, dirs ...string) (string, bool) {
	if path, err := exec.LookPath(command); err == nil {
		return path, true
	}
	for i := len(dirs) - 1; i >= 0; i-- {
		if path, err := exec.LookPath(dirs[i] + "/" + command); err == nil {
			return path, true
		}
	}
	return "", false
}

// version is what a command says of itself.
func version(command string) (string, error) {
	text, err := exec.Command(command, "--version").Output()
	if err != nil {
		return "", fmt.Errorf("ask %s for its version: %w", command, err)
	}
	return string(text), nil
}

// run runs a command to its end, and words its failure with what it said.
func run(cmd *exec.Cmd) error {
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("run %s: %w\n%s", cmd.Path, err, tail(text))
	}
	return nil
}
