package fsck

import (
	"slices"

	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// Event is what is logged of a file: about one device, or about none when that is 0.
type Event struct {
	Code Code
	Dev  mogile.DevID
}

// Verdict is what is to become of a file.
type Verdict struct {
	// Search: no copy is good; all devices are to be searched before anything is decided.
	Search bool
	// Stalled: a copy could not be looked at, or a search asked some devices only. What
	// can be done is done, and the file looked at again later.
	Stalled bool
	// Events is what was found.
	Events []Event
	// Add is copies that are good and not recorded.
	Add []mogile.DevID
	// Erase is recorded copies that are bad while another is good: their bytes are
	// deleted. All of them are in Drop, too.
	Erase []mogile.DevID
	// Drop is recorded copies to be forgotten.
	Drop []mogile.DevID
	// Record is the checksum to be recorded, or zero.
	Record mogile.Checksum
	// Spread: there is a good copy, so that the policy may ask for more.
	Spread bool
}

// Clean reports whether there is nothing to be done, and nothing to be said.
func (v Verdict) Clean() bool { return !v.Search && !v.Stalled && v.idle() && len(v.Events) == 0 }

// idle reports whether there is nothing to be done now.
func (v Verdict) idle() bool {
	return len(v.Add) == 0 && len(v.Drop) == 0 && v.Record.IsZero()
}

// Judge decides (docs/spec/jobs.md §7.2). It gives up a copy only for one that is good:
// of the right length, and with the recorded digest where there is one to compare. While
// no copy is good, only those are forgotten of which nothing is left, after a search that
// every device has answered. Where nothing is recorded and the copies differ, it can't tell
// which is right, and leaves all of them: many copies of a fault are no proof.
func Judge(e Evidence) Verdict {
	p := e.part()
	var v Verdict
	switch {
	case len(p.good) == 0:
		v = e.judgeBad(p)
	case differ(p.good):
		v = e.judgeMixed(p)
	default:
		v = e.judgeGood(p)
	}
	if v.Stalled && v.idle() && !(v.Spread && e.Violates) {
		v.Events = nil // they come with the last word
	}
	return v
}

// judgeGood replaces what is bad.
func (e Evidence) judgeGood(p parted) Verdict {
	v := Verdict{Stalled: len(p.unknown) > 0, Events: e.faults(p), Spread: true}
	if e.Searched != NotSearched {
		v.Events = append(v.Events, Event{Code: Search})
	}
	for _, c := range p.good {
		if c.New {
			v.Add = append(v.Add, c.Dev)
			v.Events = append(v.Events, Event{Code: Found})
		}
	}
	v.Erase = devs(p.short, p.corrupt)
	v.Drop = devs(p.lost, p.absent, p.short, p.corrupt)
	for _, c := range p.corrupt {
		v.Events = append(v.Events, Event{Code: BadChecksum, Dev: c.Dev})
	}
	e.judgeRecord(&v, p)
	return v
}

// judgeRecord compares what is recorded with what should be, once all copies are known.
func (e Evidence) judgeRecord(v *Verdict, p parted) {
	sum := p.good[0].Sum
	switch wanted := e.Mode.wanted(e.Class); {
	case v.Stalled || sum.IsZero():
	case e.Recorded.IsZero() && sum.Type == e.Class:
		v.Record = sum
		v.Events = append(v.Events, Event{Code: NoChecksum})
	case !e.Recorded.IsZero() && wanted != mogile.HashNone && e.Recorded.Type != wanted:
		v.Events = append(v.Events, Event{Code: BadAlgorithm})
	}
}

// judgeMixed leaves copies that differ as they are.
func (e Evidence) judgeMixed(p parted) Verdict {
	code := BadChecksum
	if e.Mode.Hash != mogile.HashNone {
		code = MixedChecksums
	}
	return Verdict{Stalled: len(p.unknown) > 0, Events: append(e.faults(p), Event{Code: code})}
}

// judgeBad is for files of which no copy is good. Several copies that agree with each
// other and not with the checksum are left at that: it is likelier the checksum that is
// wrong than that there is another copy.
func (e Evidence) judgeBad(p parted) Verdict {
	v := Verdict{Events: e.faults(p)}
	switch {
	case agree(p.corrupt):
		v.Stalled = len(p.unknown) > 0
		v.Events = append(v.Events, Event{Code: BadChecksum})
		return v
	case e.Searched == NotSearched:
		return Verdict{Search: true}
	case e.Searched == SearchedSome, len(p.unknown) > 0:
		return Verdict{Stalled: true}
	}
	v.Events = append(v.Events, Event{Code: Search})
	if len(p.corrupt) > 0 {
		v.Events = append(v.Events, Event{Code: BadChecksum})
		return v
	}
	v.Events = append(v.Events, Event{Code: Gone})
	v.Drop = devs(p.lost, p.absent)
	return v
}

// faults is what is said of the file and of each of its copies.
func (e Evidence) faults(p parted) []Event {
	var events []Event
	recorded := slices.ContainsFunc(e.Copies, func(c Copy) bool { return !c.New })
	switch {
	case !recorded:
		events = append(events, Event{Code: NoPath})
	case e.Violates:
		events = append(events, Event{Code: PolicyViolation})
	}
	for _, dev := range devs(p.absent) {
		events = append(events, Event{Code: Missing, Dev: dev})
	}
	for _, dev := range devs(p.short) {
		events = append(events, Event{Code: BadLength, Dev: dev})
	}
	return events
}
