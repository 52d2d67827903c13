package caddymodule

import (
	"context"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

// Database is a guest module in the namespace mogilefs.database: where a tracker
// keeps its metadata.
type Database interface {
	// Identity tells databases apart: two configs with the same identity use
	// the same data.
	Identity() string
	// Open connects to the database, creating what is missing on an empty one.
	// The caller closes the store.
	Open(ctx context.Context, log *zap.Logger) (store.Store, error)
}
