package fsck

import "github.com/mogilefs/caddy-mogilefs/mogile"

// Seen is what a look at a copy showed.
type Seen uint8

// What a look can show.
const (
	// Unknown: the device could not be asked.
	Unknown Seen = iota
	// Lost: the device is dead, and nobody asks it.
	Lost
	// Absent: the device was asked and does not have it.
	Absent
	// Present: the device has something under its name.
	Present
)

// Copy is a copy as it was seen.
type Copy struct {
	Dev  mogile.DevID
	Seen Seen
	// Length and Sum are those of a copy that is present; Sum is zero when it was not
	// digested.
	Length int64
	Sum    mogile.Checksum
	// New: it is not recorded, a search has come upon it.
	New bool
}

// Searched is how far the search for a copy on all devices has come.
type Searched uint8

// How far a search can be.
const (
	// NotSearched: there was none.
	NotSearched Searched = iota
	// SearchedSome: some devices that are not dead could not be asked.
	SearchedSome
	// SearchedAll: every device has answered, or the search has found something.
	SearchedAll
)

// Evidence is all that is known of a file.
type Evidence struct {
	// Length is what each copy must have.
	Length int64
	// Recorded is what each must digest to; zero when nothing is recorded.
	Recorded mogile.Checksum
	// Class is the algorithm of the file's class, or none.
	Class mogile.HashType
	// Mode is the operator's word on checksums.
	Mode Checksums
	// Violates: the policy is not content with the recorded copies.
	Violates bool
	// Copies are the recorded ones, and those that a search came upon.
	Copies   []Copy
	Searched Searched
}

// Good reports whether a copy has the right length, and the right digest as far as that
// can be told.
func (e Evidence) Good(c Copy) bool {
	return c.Seen == Present && c.Length == e.Length && !e.contradicts(c)
}

// parted is the copies by what they are worth.
type parted struct {
	// good have the right length, and the right digest as far as that is known.
	good []Copy
	// corrupt have the right length, and not the recorded digest.
	corrupt []Copy
	// short have another length.
	short []Copy
	// absent are not there, lost on dead devices, unknown wherever could not be asked.
	absent, lost, unknown []Copy
}

func (e Evidence) part() (p parted) {
	for _, c := range e.Copies {
		switch {
		case c.Seen == Unknown:
			p.unknown = append(p.unknown, c)
		case c.Seen == Lost:
			p.lost = append(p.lost, c)
		case c.Seen == Absent:
			p.absent = append(p.absent, c)
		case e.Good(c):
			p.good = append(p.good, c)
		case c.Length != e.Length:
			p.short = append(p.short, c)
		default:
			p.corrupt = append(p.corrupt, c)
		}
	}
	return p
}

// contradicts reports whether a digest was taken that is not the recorded one. A digest
// of another kind than is recorded proves nothing.
func (e Evidence) contradicts(c Copy) bool {
	return c.Sum.Type == e.Recorded.Type && !c.Sum.Equal(e.Recorded)
}

// agree reports whether there are several copies, and all digest to the same.
func agree(copies []Copy) bool { return len(copies) > 1 && !differ(copies) }

// differ reports whether two copies digest to different things.
func differ(copies []Copy) bool {
	for _, c := range copies {
		if !c.Sum.Equal(copies[0].Sum) {
			return true
		}
	}
	return false
}

func devs(lists ...[]Copy) []mogile.DevID {
	var all []mogile.DevID
	for _, list := range lists {
		for _, c := range list {
			if !c.New {
				all = append(all, c.Dev)
			}
		}
	}
	return all
}
