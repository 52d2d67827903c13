package crash

import (
	"slices"
	"sync"
)

// absent is the content of a key that is not there.
const absent = -1

// ledger knows what each key may hold. Many goroutines use it, but only one
// changes the same key at a time.
type ledger struct {
	mu       sync.Mutex // guards possible
	possible map[string][]int
}

func newLedger() *ledger { return &ledger{possible: map[string][]int{}} }

// begin notes that a change was sent: from now on the key may hold content.
func (l *ledger) begin(key string, content int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.possible[key] == nil {
		l.possible[key] = []int{absent}
	}
	l.possible[key] = append(l.possible[key], content)
}

// settle notes that the key holds content and nothing else: the change was
// acknowledged, or it was read.
func (l *ledger) settle(key string, content int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.possible[key] = []int{content}
}

// allows reports whether the key may hold content.
func (l *ledger) allows(key string, content int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Contains(l.possible[key], content)
}

// keys lists all keys that were ever changed.
func (l *ledger) keys() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var keys []string
	for key := range l.possible {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// present lists the keys that surely hold something.
func (l *ledger) present() []string {
	var keys []string
	for _, key := range l.keys() {
		if !l.allows(key, absent) {
			keys = append(keys, key)
		}
	}
	return keys
}
