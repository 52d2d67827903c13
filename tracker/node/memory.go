package node

import (
	"sync"
	"time"
)

// maxRemembered bounds a memory. Forgetting everything beyond it costs a needless
// request for each, no more.
const maxRemembered = 10_000

// memory holds keys until their time is over.
type memory struct {
	mu    sync.Mutex // guards until
	until map[string]time.Time
}

func newMemory() *memory { return &memory{until: map[string]time.Time{}} }

func (m *memory) add(key string, keep time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.until) >= maxRemembered {
		clear(m.until)
	}
	m.until[key] = time.Now().Add(keep)
}

func (m *memory) has(key string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	until, ok := m.until[key]
	if ok && !time.Now().Before(until) {
		delete(m.until, key)
		return false
	}
	return ok
}
