package sqlstore

import (
	"slices"
	"testing"
)

func TestInTwosNamesEachRowOnceInFewSizes(t *testing.T) {
	for n := range 3*maxChanges + 2 {
		rows := make([]int, n)
		for i := range rows {
			rows[i] = i
		}
		var all []int
		for some := range inTwos(rows) {
			if len(some)&(len(some)-1) != 0 || len(some) > maxChanges {
				t.Errorf("of %d rows: got %d at a time; want a power of two up to %d", n, len(some), maxChanges)
			}
			all = append(all, some...)
		}
		if !slices.Equal(all, rows) {
			t.Errorf("of %d rows: got %v; want each once", n, all)
		}
	}
}
