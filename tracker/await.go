package tracker

import (
	"context"
	"errors"
	"net"
	"time"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

const (
	// awaitTime is how long a database may take to be there: as much as one that starts
	// with the machine needs to repair what a power cut left. Service managers wait
	// longer.
	awaitTime = 60 * time.Second
	// awaitPause lies between two tries.
	awaitPause = 500 * time.Millisecond
	// startingUp is how a PostgreSQL server that is not ready yet says so (SQLSTATE
	// cannot_connect_now).
	startingUp = "57P03"
)

// Await opens a database, and tries again for a while when nothing is there yet: on a
// machine that boots, nobody says which of its servers starts first. A server that
// answers and refuses, such as for a wrong password, is not asked again.
func Await(ctx context.Context, log *zap.Logger, open func(context.Context) (store.Store, error)) (store.Store, error) {
	last := time.Now().Add(awaitTime)
	for told := false; ; told = true {
		st, err := open(ctx)
		if err == nil || !isAway(err) || time.Now().After(last) {
			return st, err
		}
		if !told {
			log.Warn("the database can't be reached; trying again", zap.Duration("for", awaitTime), zap.Error(err))
		}
		select {
		case <-time.After(awaitPause):
		case <-ctx.Done():
			return nil, err
		}
	}
}

// isAway reports whether nobody answered, or one who is not ready yet.
func isAway(err error) bool {
	var dialing *net.OpError
	if errors.As(err, &dialing) {
		return dialing.Op == "dial"
	}
	var coded interface{ SQLState() string }
	return errors.As(err, &coded) && coded.SQLState() == startingUp
}
