package disk

import "testing"

func TestADiskThatFailsAgainIsLeftAloneForLonger(t *testing.T) {
	var c cure
	var now int64
	for _, want := range []int64{1, 2, 4, 8, 16, 32, 60, 60} {
		broken := new(trouble)
		begin := now
		for !c.due(broken, now) {
			now++
		}
		if now-begin != want {
			t.Errorf("first try: got after %d ticks; want %d", now-begin, want)
		}
		c.well = now
		now++
	}
	now += soonAgain
	broken := new(trouble)
	if begin := now; c.due(broken, now) || !c.due(broken, begin+firstPause) {
		t.Error("after a long time without trouble: want the first pause again")
	}
}
