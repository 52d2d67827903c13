package rebalance

import (
	"slices"
	"strconv"

	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// Device is what is known of a device when it is chosen or not.
type Device struct {
	mogile.Device
	// MayDelete: the operator lets us take copies away from it.
	MayDelete bool
	// TakesNewFiles: new copies can be put on it now.
	TakesNewFiles bool
}

// Bound is a number that something must be greater than. The zero Bound bounds nothing.
type Bound struct {
	number float64
	set    bool
}

// Over is a bound.
func Over(n float64) Bound { return Bound{number: n, set: true} }

func (b Bound) String() string {
	if !b.set {
		return ""
	}
	return strconv.FormatFloat(b.number, 'f', -1, 64)
}

// Filter picks devices: those that are in all lists that are not empty, and beyond all
// bounds that are set.
type Filter struct {
	Hosts   []mogile.HostID
	Devices []mogile.DevID
	// PercentUsed and PercentFree are of the device's size, SpaceUsed and SpaceFree are
	// MiB. A device whose size is not known is beyond no bound.
	PercentUsed, PercentFree, SpaceUsed, SpaceFree Bound
}

func (f Filter) write(prefix string, add func(name, value string)) {
	add(prefix+"hosts", joinIDs(f.Hosts))
	add(prefix+"devices", joinIDs(f.Devices))
	add(prefix+"percent_used", f.PercentUsed.String())
	add(prefix+"percent_free", f.PercentFree.String())
	add(prefix+"space_used", f.SpaceUsed.String())
	add(prefix+"space_free", f.SpaceFree.String())
}

func (f Filter) picks(d Device) bool {
	if !among(f.Hosts, d.Host) || !among(f.Devices, d.ID) {
		return false
	}
	free, known := d.MBFree()
	share := 100 * d.FreeShare()
	for _, c := range []struct {
		bound Bound
		value float64
	}{
		{f.PercentUsed, 100 - share}, {f.PercentFree, share},
		{f.SpaceUsed, float64(d.MBUsed)}, {f.SpaceFree, float64(free)},
	} {
		if c.bound.set && (!known || c.value <= c.bound.number) {
			return false
		}
	}
	return true
}

// among reports whether a list does not stand in the way.
func among[ID comparable](list []ID, id ID) bool { return len(list) == 0 || slices.Contains(list, id) }

// Sources are the devices that files are taken from, in the order given.
func (p Policy) Sources(devs []Device) []mogile.DevID {
	var ids []mogile.DevID
	for _, d := range devs {
		if d.MayDelete && p.From.picks(d) {
			ids = append(ids, d.ID)
		}
	}
	return ids
}

// Destinations are the devices that files may be put on, in the order given: none that
// files are, will be or were taken from.
func (p Policy) Destinations(devs []Device, s State) []mogile.DevID {
	var ids []mogile.DevID
	for _, d := range devs {
		switch {
		case !d.TakesNewFiles || !p.To.picks(d) || s.Takes(d.ID):
		case slices.Contains(p.NotToHosts, d.Host) || slices.Contains(p.NotToDevices, d.ID):
		default:
			ids = append(ids, d.ID)
		}
	}
	return ids
}

// Offered are the destinations that one file is offered: all, or as many as the policy
// says, drawn with rnd, which returns numbers in [0,1).
func (p Policy) Offered(dests []mogile.DevID, rnd func() float64) []mogile.DevID {
	if p.Offer == 0 || p.Offer >= len(dests) {
		return dests
	}
	drawn := slices.Clone(dests)
	for i := range p.Offer {
		j := i + int(rnd()*float64(len(drawn)-i))
		drawn[i], drawn[j] = drawn[j], drawn[i]
	}
	return drawn[:p.Offer]
}
