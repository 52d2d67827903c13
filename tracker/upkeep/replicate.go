package upkeep

import (
	"context"
	"fmt"
	"math"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/protocol"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
)

// replicateNow releases what waits to be replicated, also what waits for ever.
func (u *Upkeep) replicateNow(ctx context.Context, in call) error {
	n, err := u.store.ReleaseAll(ctx, store.ReplicateQueue)
	if n > 0 {
		u.jobs.Wake(store.ReplicateQueue)
	}
	if err != nil {
		return fmt.Errorf("release the queue: %w", err)
	}
	in.out.AddInt("count", n)
	return nil
}

// httpCopy makes a copy where the caller says.
func (u *Upkeep) httpCopy(ctx context.Context, in call) error {
	fid, err := mogile.ParseFID(in.Arg("fid"))
	if err == nil && fid > math.MaxInt64 { // no database can be asked for it
		err = fmt.Errorf("fid %d: at most %d", fid, int64(math.MaxInt64))
	}
	if err != nil {
		return protocol.Failf(protocol.CopyErr, "%v", err)
	}
	var devs [2]mogile.DevID
	for i, name := range []string{"sdevid", "ddevid"} {
		if devs[i], err = mogile.ParseDevID(in.Arg(name)); err != nil {
			return protocol.Failf(protocol.CopyErr, "%s: %v", name, err)
		}
	}
	refusal, err := u.jobs.Copy(ctx, fid, devs[0], devs[1])
	if refusal != "" {
		return &protocol.Error{Code: protocol.CopyErr, Text: refusal}
	}
	if err != nil {
		return fmt.Errorf("copy fid %d: %w", fid, err)
	}
	return nil
}
