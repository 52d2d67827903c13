package tracker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

// stateError is an error of a PostgreSQL server.
type stateError string

func (e stateError) Error() string    { return "server says " + string(e) }
func (e stateError) SQLState() string { return string(e) }

func TestADatabaseThatIsNotThereIsAwaited(t *testing.T) {
	refused := fmt.Errorf("open: %w", &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED})
	for name, tt := range map[string]struct {
		err error
		// there is when the database comes.
		there time.Duration
		// waited is how long Await takes, fails whether it does.
		waited time.Duration
		fails  bool
	}{
		"there at once":      {},
		"refused at first":   {err: refused, there: 10 * time.Second, waited: 10 * time.Second},
		"starting":           {err: stateError(startingUp), there: 3 * time.Second, waited: 3 * time.Second},
		"never there":        {err: refused, there: time.Hour, waited: awaitTime + awaitPause, fails: true},
		"a wrong password":   {err: stateError("28P01"), there: time.Hour, fails: true},
		"a wrong schema":     {err: store.ErrSchema, there: time.Hour, fails: true},
		"a lost connection":  {err: &net.OpError{Op: "read", Err: syscall.ECONNRESET}, there: time.Hour, fails: true},
		"a name nobody has":  {err: &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host"}}, there: time.Second, waited: time.Second},
		"an unknown failure": {err: errors.New("unknown"), there: time.Hour, fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				core, logs := observer.New(zapcore.WarnLevel)
				began := time.Now()
				_, err := Await(t.Context(), zap.New(core), func(context.Context) (store.Store, error) {
					if time.Since(began) < tt.there {
						return nil, tt.err
					}
					return nil, nil
				})
				if waited := time.Since(began); waited != tt.waited || (err != nil) != tt.fails {
					t.Errorf("got %v after %v; want failure %v after %v", err, waited, tt.fails, tt.waited)
				}
				if tt.fails && !errors.Is(err, tt.err) {
					t.Errorf("got %v; want %v", err, tt.err)
				}
				if got, want := logs.Len(), min(int(tt.waited), 1); got != want {
					t.Errorf("got %d lines in the log; want %d", got, want)
				}
			})
		})
	}
}

func TestAwaitingEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		refused := &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
		began := time.Now()
		_, err := Await(ctx, zap.NewNop(), func(context.Context) (store.Store, error) { return nil, refused })
		if waited := time.Since(began); !errors.Is(err, refused) || waited != 2*time.Second {
			t.Errorf("got %v after %v; want %v after 2s", err, waited, refused)
		}
	})
}
