package health

import (
	"sync"
	"sync/atomic"
	"time"
)

const (
	// asideFor is how long a copy that is not the file is left aside: what a repair takes,
	// more or less.
	asideFor = time.Minute
	// maxAside bounds how many are remembered. A device that has lost more has other
	// copies passed over one by one.
	maxAside = 4096
)

// aside is copies that are missing or wrong, by URL, and until when that is believed.
type aside struct {
	n atomic.Int64 // how many; mostly none, which costs readers no lock

	mu    sync.Mutex // guards until
	until map[string]time.Time
}

// SetAside leaves a copy aside for a minute, and reports whether it was not yet.
func (b *Board) SetAside(url string) bool {
	a, now := &b.aside, time.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	if now.Before(a.until[url]) {
		return false
	}
	if len(a.until) >= maxAside {
		a.tidyLocked(now)
	}
	if a.until == nil {
		a.until = map[string]time.Time{}
	}
	if len(a.until) < maxAside {
		a.until[url] = now.Add(asideFor)
		a.n.Store(int64(len(a.until)))
	}
	return true
}

func (a *aside) tidyLocked(now time.Time) {
	for url, until := range a.until {
		if !now.Before(until) {
			delete(a.until, url)
		}
	}
	a.n.Store(int64(len(a.until)))
}

// Aside reports whether the copy at a URL is left aside.
func (b *Board) Aside(url string) bool {
	a := &b.aside
	if a.n.Load() == 0 {
		return false
	}
	now := time.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	until, ok := a.until[url]
	if ok && !now.Before(until) {
		delete(a.until, url)
		a.n.Store(int64(len(a.until)))
	}
	return now.Before(until)
}
