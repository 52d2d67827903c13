package live

import (
	"time"

	"github.com/mogilefs/caddy-mogilefs/console"
)

// maxPast is how many problems that have passed are kept, keptFor how long.
const (
	maxPast = 50
	keptFor = 24 * time.Hour
)

// Lasting is a problem with its time.
type Lasting struct {
	console.Problem
	// Since and Until are unix times; Until is 0 while it lasts.
	Since int64 `json:"since"`
	Until int64 `json:"until,omitempty"`
}

// journal remembers problems.
type journal struct {
	since map[string]Lasting // that last, by ID
	past  []Lasting          // the latest first
}

// enter notes what was found, and returns it with its times, and what has passed.
func (j *journal) enter(found []console.Problem, now time.Time) (lasting, past []Lasting) {
	lasting = []Lasting{}
	still := map[string]Lasting{}
	for _, p := range found {
		one := Lasting{Problem: p, Since: now.Unix()}
		if before, ok := j.since[p.ID]; ok {
			one.Since = before.Since
		}
		still[p.ID] = one
		lasting = append(lasting, one)
	}
	kept := []Lasting{}
	for id, before := range j.since {
		if _, ok := still[id]; !ok {
			before.Until = now.Unix()
			kept = append(kept, before)
		}
	}
	for _, before := range j.past {
		if len(kept) < maxPast && now.Sub(time.Unix(before.Until, 0)) < keptFor {
			kept = append(kept, before)
		}
	}
	j.since, j.past = still, kept
	return lasting, kept
}
