package simulation

import (
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"sync"
	"time"
)

// trace is what happened, in order.
type trace struct {
	began time.Time

	mu    sync.Mutex
	lines []line // guarded by mu
}

// line is one thing that happened. Most are never read: they are put into words when
// somebody asks.
type line struct {
	at    time.Duration
	words [4]string
}

func (l line) String() string {
	return fmt.Sprintf("%.6f ", l.at.Seconds()) + strings.Join(l.words[:], "")
}

func newTrace() *trace { return &trace{began: time.Now()} }

func (t *trace) add(format string, args ...any) { t.note(fmt.Sprintf(format, args...), "", "", "") }

// note is add for a line whose words are there already.
func (t *trace) note(words ...string) {
	l := line{at: time.Since(t.began)}
	copy(l.words[:], words)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lines = append(t.lines, l)
}

// text is all lines.
func (t *trace) text() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := make([]string, len(t.lines))
	for i, l := range t.lines {
		all[i] = l.String()
	}
	return all
}

// hash is the same for two days in which the same happened.
func (t *trace) hash() uint64 {
	h := fnv.New64a()
	for _, text := range t.text() {
		_, _ = h.Write([]byte(text))
	}
	return h.Sum64()
}

// about is the lines that mention a word.
func (t *trace) about(word string) []string {
	var found []string
	for _, text := range t.text() {
		if slices.Contains(strings.FieldsFunc(text, func(r rune) bool { return r == ' ' || r == ':' || r == ',' }), word) {
			found = append(found, text)
		}
	}
	return found
}
