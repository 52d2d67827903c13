package injector

import (
	"context"
	"strconv"
	"strings"

	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tracker/rebalance"
	"github.com/mogilefs/caddy-mogilefs/tracker/store"
	"github.com/mogilefs/caddy-mogilefs/tracker/topology"
)

// What the settings queue_size_for_rebal and queue_rate_for_rebal are when unset
// (docs/spec/schema.md §6).
const (
	defaultRebalanceSize = 10_000
	defaultRebalanceRate = 500
)

// room is how many files may be queued now.
func (b *Rebalance) room(ctx context.Context, settings map[string]string) (int, error) {
	n, err := b.store.WorkLength(ctx, store.RebalanceWork)
	if err != nil {
		return 0, err
	}
	most := numberOr(settings[rebalance.SizeField], defaultRebalanceSize) - n
	return int(max(0, min(most, numberOr(settings[rebalance.RateField], defaultRebalanceRate)))), nil
}

// numberOr reads a number of an operator's; what is none means the default.
func numberOr(text string, otherwise int64) int64 {
	n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 32)
	if err != nil || n <= 0 {
		return otherwise
	}
	return n
}

// queue queues the next files of the current device, and reports whether those were all.
//
// Order: 1. rows for the files, 2. the state that says so. A crash after 1 leaves rows
// that are queued once more: where the first is still there nothing changes, and where
// it was worked on the copy is not there any more.
func (b *Rebalance) queue(ctx context.Context, r *rebalancing) (all bool, err error) {
	limit := r.Policy.Limit
	if r.State.Allowance(limit).Spent(limit.By) {
		return true, nil
	}
	dests := r.Policy.Destinations(devicesOf(r.snap), r.State)
	if len(dests) == 0 {
		return false, b.wait(ctx, r, "no device may take files now")
	}
	room, err := b.room(ctx, r.settings)
	if err != nil || room == 0 {
		return false, err
	}
	files, err := b.store.FilesOn(ctx, r.State.Current, store.Page{
		After: r.State.LastFID, Newest: r.Policy.Newest, Limit: room,
	})
	if err != nil {
		return false, err
	}
	var rows []store.WorkRow
	for _, f := range files {
		if r.State.Allowance(limit).Spent(limit.By) {
			break
		}
		r.State.LastFID = f.FID
		if r.State.Queue(limit, f.Length) {
			rows = append(rows, store.WorkRow{
				FID: f.FID, Kind: store.RebalanceWork, Dev: r.State.Current, Arg: listed(r.Policy.Offered(dests, b.rand)),
			})
		}
	}
	r.State.LatestRun = r.now
	if len(rows) == 0 {
		r.State.EmptyRuns++
		r.State.LatestEmptyRun = r.now
	}
	if len(files) == 0 {
		return true, nil
	}
	if err := b.store.EnqueueWork(ctx, rows...); err != nil {
		return false, err
	}
	if err := b.save(ctx, r, nil); err != nil {
		return false, err
	}
	r.busy = true
	b.config.Queued()
	return r.State.Allowance(limit).Spent(limit.By), nil
}

// devicesOf is what a policy chooses from.
func devicesOf(snap *topology.Snapshot) []rebalance.Device {
	var devs []rebalance.Device
	for _, d := range snap.Devices() {
		devs = append(devs, rebalance.Device{Device: d.Device, MayDelete: d.MayDelete(), TakesNewFiles: d.TakesNewFiles()})
	}
	return devs
}

func listed(devs []mogile.DevID) string {
	words := make([]string, len(devs))
	for i, d := range devs {
		words[i] = d.String()
	}
	return strings.Join(words, ",")
}
