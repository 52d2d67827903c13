package edge

import (
	"cmp"
	"errors"
	"io/fs"
	"slices"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/edge/health"
	"github.com/mogilefs/caddy-mogilefs/edge/upload"
	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// How copies are ranked. Within a rank the tracker's order stands: by nearness, and then
// by weight and by how busy the devices are.
const (
	rankLocal      = iota
	rankNear       // at a node near the client, by the tracker's word
	rankNearLoaded // the same, but the node has much more to do for us than another
	rankFar        // at any other, or when nobody knows
	rankFarLoaded
	rankDoubtful // slow, or silent for a moment
	rankBad      // failed lately
	rankSilent   // the same, and requests wait for it in vain now
	rankAside    // not the file, when it was looked at last
)

// ranked is a copy with what its order depends on.
type ranked struct {
	mogile.Copy
	rank     int
	inFlight int64
}

// maxRanked is how many copies are ordered without allocating: more than a file has.
const maxRanked = 8

func (e *Edge) local(c mogile.Copy) bool { return e.config.Disks != nil && e.config.Disks.Local(c) }

// order returns the copies of a location as they are to be tried. It does not change the
// list, which is shared, and makes a new one only when the order differs.
func (e *Edge) order(loc mogile.Location) []mogile.Copy { return e.orderCopies(loc.Copies, loc.Near) }

// orderCopies is order for copies of which the first near ones are near the client.
func (e *Edge) orderCopies(copies []mogile.Copy, near int) []mogile.Copy {
	if len(copies) < 2 {
		return copies
	}
	var room [maxRanked]ranked
	all := room[:0]
	for i, c := range copies {
		all = append(all, e.rank(c, i < near))
	}
	spread(all)
	byRank := func(a, b ranked) int { return cmp.Compare(a.rank, b.rank) }
	if slices.IsSortedFunc(all, byRank) {
		return copies
	}
	slices.SortStableFunc(all, byRank)
	ordered := make([]mogile.Copy, len(all))
	for i, r := range all {
		ordered[i] = r.Copy
	}
	return ordered
}

func (e *Edge) rank(c mogile.Copy, near bool) ranked {
	at := e.health.Place(c)
	r := ranked{Copy: c, inFlight: at.Node.InFlight()}
	level := at.Level()
	local := e.local(c)
	if local {
		level = at.Device.Level()
	}
	if level != health.Good {
		e.findOut(c, at, local)
	}
	switch {
	case e.health.Aside(c.URL):
		r.rank = rankAside
	case local && (level == health.Good || level == health.Bad && at.Device.Try()):
		r.rank = rankLocal
	case level == health.Bad && at.Silent():
		r.rank = rankSilent
	case level == health.Bad:
		r.rank = rankBad
	case level == health.Doubtful:
		r.rank = rankDoubtful
	case near:
		r.rank = rankNear
	default:
		r.rank = rankFar
	}
	return r
}

// A node is left to others of the same rank when we have more than loadFactor times as
// much to do there as at the least busy of them, and loadMargin more. So the tracker's order
// decides as long as nodes keep up, and a node that does not gets less.
const (
	loadFactor = 2
	loadMargin = 8
)

// spread moves the near copies of loaded nodes behind the other near ones, and likewise the
// far ones.
func spread(all []ranked) {
	for _, rank := range [...]int{rankNear, rankFar} {
		least := int64(-1)
		for _, r := range all {
			if r.rank == rank && (least < 0 || r.inFlight < least) {
				least = r.inFlight
			}
		}
		for i, r := range all {
			if r.rank == rank && r.inFlight > loadFactor*least+loadMargin {
				all[i].rank++
			}
		}
	}
}

// healthy reports whether one of the copies is better than bad.
func (e *Edge) healthy(copies []mogile.Copy) bool {
	return slices.ContainsFunc(copies, func(c mogile.Copy) bool {
		at := e.health.Place(c)
		if e.local(c) {
			return at.Device.Level() < health.Bad && !e.health.Aside(c.URL)
		}
		return at.Level() < health.Bad && !e.health.Aside(c.URL)
	})
}

// goodFirst is destinations in the tracker's order, but those last that failed lately.
func (e *Edge) goodFirst(to []mogile.Copy) []mogile.Copy {
	bad := func(c mogile.Copy) int {
		at := e.health.Place(c)
		if local := e.local(c); at.Device.Level() == health.Bad || !local && at.Node.Level() == health.Bad {
			e.findOut(c, at, local)
			return 1
		}
		return 0
	}
	return slices.SortedStableFunc(slices.Values(to), func(a, b mogile.Copy) int { return cmp.Compare(bad(a), bad(b)) })
}

// errNode marks a failure of the node, beside which those of a device are.
var errNode = upload.ErrNode

// blame logs why a copy was passed over, and draws the consequences: for the copy, when it
// is not the file, and else for the node or the device. A device that has no room for more
// is none the worse.
func (e *Edge) blame(c mogile.Copy, fid mogile.FID, err error) {
	e.log.Warn("copy failed", zap.Uint64("fid", uint64(fid)), zap.Uint32("dev", uint32(c.Dev)),
		zap.String("url", c.URL), zap.Error(err))
	at := e.health.Place(c)
	switch {
	case errors.Is(err, errWrongCopy), errors.Is(err, fs.ErrNotExist):
		e.setAside(c, fid)
	case errors.Is(err, ErrNoSpace), errors.Is(err, health.ErrStalled): // of the latter, health knows
	case errors.Is(err, errNode):
		at.Node.Failed(err)
	default:
		at.Device.Failed(err)
	}
}
