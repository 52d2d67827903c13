package database

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"testing"
	"time"
)

// statementWithin bounds a statement of the harness.
const statementWithin = 60 * time.Second

// Create makes a new empty database with a unique name and returns its DSN in the
// form of the Go driver: go-sql-driver's for MariaDB, a postgres:// URL for
// PostgreSQL. Its user may do everything in it and nothing else. How is appended to
// CREATE DATABASE: "CHARACTER SET latin1",
// "ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0".
func (s *Server) Create(how string) (dsn string, err error) {
	dsn, _, err = s.create(how)
	return dsn, err
}

// MustCreate is Create for a test, which fails when it does. The database is
// dropped with the test, if the server still runs.
func (s *Server) MustCreate(t testing.TB, how string) (dsn string) {
	t.Helper()
	dsn, name, err := s.create(how)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if s.doomed || s.process == nil {
			return
		}
		if err := s.exec(s.engine.drop(name)); err != nil {
			t.Errorf("drop database %s: %v", name, err)
		}
	})
	return dsn
}

func (s *Server) create(how string) (dsn, name string, err error) {
	name = "mogile_" + strings.ToLower(rand.Text())
	for _, statement := range s.engine.create(name, how, ordinary) {
		if err := s.exec(statement); err != nil {
			return "", "", fmt.Errorf("create a database on %s: %w", s.engine.name(), err)
		}
	}
	return s.engine.dsn(s.Addr(), ordinary, name), name, nil
}

// exec runs a statement as admin.
func (s *Server) exec(statement string) error {
	ctx, cancel := context.WithTimeout(context.Background(), statementWithin)
	defer cancel()
	_, err := s.db.ExecContext(ctx, statement)
	return err
}
