package outage

import (
	"testing"
	"time"
)

const (
	// window is over what a rate is taken, sampleEvery how closely windows follow each
	// other.
	window      = time.Second
	sampleEvery = 50 * time.Millisecond
	// backWithin is how soon after the database the throughput has to be back.
	backWithin = 5 * time.Second
	// backPart of the usual throughput counts as back: the machine may have other work
	// than before.
	backPart = 0.33
)

// counts is how often each sort of clients has succeeded.
type counts [4]int64

// rates is how often each succeeds in a second.
type rates [4]float64

func (l *load) counts() (c counts) {
	for i, s := range l.sorts() {
		c[i] = s.done.Load()
	}
	return c
}

// since is what was done in a time, by the second.
func (c counts) since(before counts, took time.Duration) (r rates) {
	for i := range c {
		r[i] = float64(c[i]-before[i]) / took.Seconds()
	}
	return r
}

// measure is the rates over the time.
func (l *load) measure(d time.Duration) rates {
	before, began := l.counts(), time.Now()
	<-time.After(d)
	return l.counts().since(before, time.Since(began))
}

// awaitReturn waits until all sorts of clients are about as fast as usual, each in a
// window of its own that begins no later than backWithin.
func (l *load) awaitReturn(t *testing.T, usual rates) {
	t.Helper()
	type sample struct {
		at time.Time
		counts
	}
	began := time.Now()
	samples := []sample{{began, l.counts()}}
	tick := time.NewTicker(sampleEvery)
	defer tick.Stop()
	var back [len(counts{})]time.Duration
	for time.Since(samples[0].at) < window || samples[0].at.Sub(began) <= backWithin {
		<-tick.C
		samples = append(samples, sample{time.Now(), l.counts()})
		for len(samples) > 1 && time.Since(samples[1].at) >= window {
			samples = samples[1:]
		}
		if time.Since(samples[0].at) < window {
			continue
		}
		missing := 0
		for i, rate := range l.counts().since(samples[0].counts, time.Since(samples[0].at)) {
			if back[i] == 0 && rate >= backPart*usual[i] {
				back[i] = max(samples[0].at.Sub(began), 1)
			}
			if back[i] == 0 {
				missing++
			}
		}
		if missing == 0 {
			break
		}
	}
	for i, s := range l.sorts() {
		if back[i] == 0 {
			t.Errorf("%s: got no second with %.0f of them within %v; usual is %.0f", s.name, backPart*usual[i], backWithin, usual[i])
			continue
		}
		t.Logf("%s: back after %v", s.name, back[i].Round(sampleEvery))
	}
}
