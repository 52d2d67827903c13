package policy

import (
	"slices"

	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// A Union holds a file to all of its parts at once. (The peer parses it and can't answer
// for it.)
//
// A copy is wanted as long as one of the parts lacks one, also while another part has
// too many. So a part that can't get its copy now keeps no other from getting its own,
// and TempFail is said only when no part has a suggestion. A copy is too many only when
// a part counts it so and no part would lack it. So what is suggested is never what was
// just too many, and the other way round: whoever follows the answers adds copies until
// no part lacks any or none can be made, takes away those that nobody misses, and is
// done.

// partsLack suggests what serves the most parts: ideal are the devices that are so for
// as many of those that lack a copy as any device, before them in doubt those that are
// at least desperate ones of the rest.
func (p Policy) partsLack(f Facts) Answer {
	answer := Answer{Verdict: AllGood}
	merits := map[mogile.DevID]merit{}
	for _, part := range p.parts {
		a := part.lacks(f)
		if a.Verdict == TempFail {
			answer.Verdict = TempFail
		}
		for _, id := range a.Ideal {
			m := merits[id]
			merits[id] = merit{m.ideal + 1, m.desperate}
		}
		for _, id := range a.Desperate {
			m := merits[id]
			merits[id] = merit{m.ideal, m.desperate + 1}
		}
	}
	if len(merits) == 0 {
		return answer
	}
	var best merit
	for _, m := range merits {
		if best.less(m) {
			best = m
		}
	}
	lists := f.tiers(3, func(d Device) int {
		switch m, ok := merits[d.ID]; {
		case !ok:
			return 2
		case m == best && best.ideal > 0:
			return 0
		}
		return 1
	})
	return suggest(lists[0], lists[1])
}

// merit is for how many parts a device is an ideal or a desperate place.
type merit struct{ ideal, desperate int }

func (m merit) less(n merit) bool {
	return m.ideal < n.ideal || m.ideal == n.ideal && m.desperate < n.desperate
}

// partsSurplus adds up what the parts count, so that it shrinks when it does for one of
// them.
func (p Policy) partsSurplus(f Facts) int {
	n := 0
	for _, part := range p.parts {
		n += part.surplus(f)
	}
	return n
}

// flat is the parts with those of unions among them.
func flat(parts []Policy) []Policy {
	var all []Policy
	for _, part := range parts {
		if part.kind() == union {
			all = append(all, part.parts...)
		} else {
			all = append(all, part)
		}
	}
	return slices.Clip(all)
}
