package main

import "time"

const (
	// latencyStep is how exactly a latency is kept up to maxLatency. Of longer ones
	// only the longest is known.
	latencyStep = time.Microsecond
	maxLatency  = time.Second
)

// latencies counts how many answers took how long. Adding one costs one increment,
// so that counting does not show in what is counted.
type latencies struct {
	counts  [maxLatency / latencyStep]uint32
	all     int
	longest time.Duration
}

func (l *latencies) add(d time.Duration) {
	l.counts[min(max(d/latencyStep, 0), time.Duration(len(l.counts)-1))]++
	l.all++
	l.longest = max(l.longest, d)
}

// quantile is what the given part of all answers did not exceed; 0 without any.
func (l *latencies) quantile(part float64) time.Duration {
	rank := int(part * float64(l.all))
	for i, n := range l.counts {
		if rank -= int(n); n > 0 && rank <= 0 && i < len(l.counts)-1 {
			return time.Duration(i) * latencyStep
		}
	}
	return l.longest
}
