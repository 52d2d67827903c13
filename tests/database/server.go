package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	// startWithin bounds how long a server may take to answer: far more than it
	// needs, as it may have to recover, on a busy machine.
	startWithin = 60 * time.Second
	// stopWithin bounds a clean stop.
	stopWithin = 60 * time.Second
	// pollEvery is how often a server that starts is asked.
	pollEvery = 20 * time.Millisecond
	// startTries is how many ports are tried when others take them first.
	startTries = 5
	// tailBytes is how much of the log an error shows.
	tailBytes = 3 << 10
)

// Place is where a server runs that is to be reached from elsewhere. The zero Place is the
// loopback.
type Place struct {
	// Host is the server's address.
	Host string
	// Start starts the server there; nil means here.
	Start func(*exec.Cmd) error
}

// Server is a private database server: own data directory, own unix socket, own
// loopback port. Its methods are for one goroutine at a time.
type Server struct {
	engine  engine
	place   Place
	dir     string // holds data/ and the log
	port    int
	options []string
	first   []string // more options, for the first start only
	db      *sql.DB  // the admin's connections
	process *process // nil after its end
	// doomed says that nobody wants the data after the test.
	doomed bool
}

// StartMariaDB starts a server in dir, on the data that lies there from an earlier
// one or else on new. Options are more of the command line and override what is set
// here: "--innodb-flush-log-at-trx-commit=1". The caller stops it.
func StartMariaDB(dir string, options ...string) (*Server, error) {
	return start(mariaDB{}, dir, options)
}

// StartPostgres does the same for PostgreSQL: "-c", "fsync=on".
func StartPostgres(dir string, options ...string) (*Server, error) {
	return start(postgres{}, dir, options)
}

func start(e engine, dir string, options []string) (*Server, error) {
	return startFirst(e, Place{}, dir, options, nil)
}

// startFirst starts a server that takes some options for this time only.
func startFirst(e engine, place Place, dir string, options, first []string) (*Server, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	s := &Server{engine: e, place: place, dir: dir, options: options, first: first}
	if err := populate(e, s.data()); err != nil {
		return nil, err
	}
	for range startTries {
		ports, portErr := freePorts(1)
		if portErr != nil {
			return nil, portErr
		}
		s.port = ports[0]
		if err = s.launch(); err == nil {
			s.first = nil
			return s, nil
		}
		if !s.portTaken() {
			break
		}
	}
	return nil, err
}

func (s *Server) data() string    { return filepath.Join(s.dir, "data") }
func (s *Server) logPath() string { return filepath.Join(s.dir, s.engine.name()+".log") }

// Addr is host and port, with the host as a number.
func (s *Server) Addr() string {
	if s.place.Host != "" {
		return net.JoinHostPort(s.place.Host, strconv.Itoa(s.port))
	}
	return loopback(s.port)
}

// Socket is the path of MariaDB's unix socket.
func (s *Server) Socket() string { return filepath.Join(s.data(), s.engine.name()+".sock") }

// Admin is connections of a user who may do everything, to no database of a test.
// They are closed with the server.
func (s *Server) Admin() *sql.DB { return s.db }

// AdminDSN is how such a user connects.
func (s *Server) AdminDSN() string { return s.engine.dsn(s.Addr(), admin, s.engine.home()) }

// launch starts the process and waits until it answers. After an error nothing of
// it is left.
func (s *Server) launch() error {
	if err := s.run(); err != nil {
		return fmt.Errorf("start %s: %w", s.engine.name(), err)
	}
	if err := s.await(); err != nil {
		err = fmt.Errorf("start %s: %w; its log ends with:\n%s", s.engine.name(), err, s.logTail())
		return errors.Join(err, s.Kill())
	}
	return nil
}

// run starts the process, without waiting.
func (s *Server) run() error {
	cmd, err := s.engine.command(s.data(), s.port, slices.Concat(s.options, s.first))
	if err != nil {
		return err
	}
	who, err := s.engine.account()
	if err != nil {
		return err
	}
	if err := who.run(cmd, s.data()); err != nil {
		return err
	}
	log, err := os.OpenFile(s.logPath(), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close() // the process has its own descriptor
	cmd.Stdout, cmd.Stderr = log, log
	db, err := sql.Open(s.engine.driver(), s.AdminDSN())
	if err != nil {
		return err
	}
	if s.process, err = startProcess(cmd, s.place.Start); err != nil {
		return errors.Join(err, db.Close())
	}
	s.db = db
	return nil
}

// await waits until the server answers.
func (s *Server) await() error {
	ctx, cancel := context.WithTimeout(s.process.life, startWithin)
	defer cancel()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		err := s.answers(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-s.process.life.Done():
			return errors.New("it ended by itself")
		case <-ctx.Done():
			return fmt.Errorf("it did not answer within %v: %w", startWithin, err)
		case <-tick.C:
		}
	}
}

// answers asks the server for its data directory: on the port there may be one of
// another test process that was faster.
func (s *Server) answers(ctx context.Context) error {
	var data string
	if err := s.db.QueryRowContext(ctx, s.engine.where()).Scan(&data); err != nil {
		return err
	}
	its, err := os.Stat(data)
	if err != nil {
		return err
	}
	ours, err := os.Stat(s.data())
	if err == nil && !os.SameFile(its, ours) {
		err = fmt.Errorf("a server on %s has the port", data)
	}
	return err
}

// portTaken reports whether the log says that another process has the port.
func (s *Server) portTaken() bool {
	return strings.Contains(strings.ToLower(s.logTail()), "address already in use")
}

func (s *Server) logTail() string {
	text, err := os.ReadFile(s.logPath())
	if err != nil {
		return err.Error()
	}
	return tail(text)
}

func tail(text []byte) string { return string(text[max(0, len(text)-tailBytes):]) }
