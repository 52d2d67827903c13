package policy

import (
	"cmp"
	"slices"

	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// Spare is the copies of which one may go when [Policy.Decide] says TooGood; else there
// are none. Without it, whichever it is, the file has no fewer copies than are wanted and
// is nearer to what the policy wants. Only one may go before asking again.
//
// The best comes first: those that share a host with the most others, as without them
// the file is on as many hosts; among these the ones on draining devices. That the copies
// that stay can be read is for the caller to see: a policy counts those on devices that
// are down.
//
// (The peer takes any copy, and may so take the one that it will then make anew.)
func (p Policy) Spare(f Facts) []mogile.DevID {
	f.Copies = living(f.Copies)
	if !p.overdone(f) {
		return nil
	}
	spare := p.dispensable(f)
	if len(spare) == 0 {
		// MultipleHosts with copies enough on too few hosts: one of those that share a
		// host makes room for the one on another host, which it will want then.
		spare = where(f.Copies, func(d Device) bool { return f.onHost(d.Host) > 1 })
	}
	slices.SortStableFunc(spare, func(a, b Device) int {
		return cmp.Or(f.onHost(b.Host)-f.onHost(a.Host), index(b.State == mogile.DevDrain)-index(a.State == mogile.DevDrain))
	})
	ids := make([]mogile.DevID, len(spare))
	for i, d := range spare {
		ids[i] = d.ID
	}
	return ids
}

// dispensable is the copies that are counted as too many and without which none is
// lacking.
func (p Policy) dispensable(f Facts) []Device {
	surplus := p.surplus(f)
	if surplus == 0 {
		return nil
	}
	return where(f.Copies, func(d Device) bool {
		rest := f
		rest.Copies = where(f.Copies, func(other Device) bool { return other.ID != d.ID })
		return p.surplus(rest) < surplus && p.lacks(rest).Content()
	})
}

// onHost is how many copies a host has.
func (f Facts) onHost(host mogile.HostID) int {
	n := 0
	for _, d := range f.Copies {
		n += index(d.Host == host)
	}
	return n
}
