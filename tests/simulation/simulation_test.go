package simulation

import (
	"flag"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
)

var (
	seeds = flag.Int("seeds", usualSeeds, "how many days are simulated")
	first = flag.Uint64("seed", 1, "the first of their seeds")
	story = flag.Bool("story", false, "print what happened")
	only  = flag.String("days", "", "bloody or rough days only; otherwise as they come")
)

// day simulates one and returns what was wrong in it.
func day(t *testing.T, seed uint64, prepare func(*sim)) (wrongs []string, tr *trace) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, seed)
		if prepare != nil {
			prepare(s)
		}
		s.live()
		wrongs, tr = s.wrongs, s.clock.trace
		for fid := range s.suspects {
			if fid != 0 {
				wrongs = append(wrongs, strings.Join(append([]string{"fid" + fid.String() + ":"}, tr.about("fid"+fid.String())...), "\n\t\t"))
			}
		}
	})
	return wrongs, tr
}

func TestFilesKeepTheirCopiesWhateverHappens(t *testing.T) {
	for i := range *seeds {
		seed := *first + uint64(i)
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			t.Parallel()
			wrongs, tr := day(t, seed, func(s *sim) { s.kind = *only })
			if *story {
				t.Log("\n" + strings.Join(tr.text(), "\n"))
			}
			for _, w := range wrongs {
				t.Error(w)
			}
			if len(wrongs) > 0 {
				t.Errorf("replay with: go test ./tests/simulation -run TestFilesKeepTheirCopiesWhateverHappens -days '%s' -seed %d -seeds 1 -story", *only, seed)
			}
		})
	}
}

func TestADayIsTheSameWhenItIsReplayed(t *testing.T) {
	seeds := []uint64{1, 67, 128} // which were not the same now and then
	for seed := uint64(2); seed <= replays; seed++ {
		seeds = append(seeds, seed)
	}
	for _, seed := range seeds {
		_, one := day(t, seed, nil)
		_, two := day(t, seed, nil)
		if one.hash() == two.hash() {
			continue
		}
		a, b := one.text(), two.text()
		for i := range min(len(a), len(b)) {
			if a[i] != b[i] {
				t.Errorf("seed %d: line %d of %d and %d is\n%s\nand\n%s", seed, i, len(a), len(b), a[i], b[i])
				break
			}
		}
	}
}
