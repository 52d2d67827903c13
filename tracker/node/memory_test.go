package node

import (
	"strconv"
	"testing"
	"time"
)

func TestMemoryIsBounded(t *testing.T) {
	m := newMemory()
	for i := range 3 * maxRemembered {
		m.add(strconv.Itoa(i), time.Hour)
		if !m.has(strconv.Itoa(i)) {
			t.Fatalf("key %d was forgotten at once", i)
		}
		if len(m.until) > maxRemembered {
			t.Fatalf("got %d keys remembered; want at most %d", len(m.until), maxRemembered)
		}
	}
}
