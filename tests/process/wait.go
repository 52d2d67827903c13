package process

import (
	"context"
	"testing"
	"time"
)

// pollEvery is how often Eventually looks: often enough not to slow a test down,
// seldom enough to leave the processors to what is waited for.
const pollEvery = 20 * time.Millisecond

// Eventually waits until cond holds, and fails the test when it does not within
// the given time; what names it in the failure. It is for what other processes do;
// inside a process a channel is better.
func Eventually(t testing.TB, within time.Duration, what string, cond func() bool) {
	t.Helper()
	if !poll(t.Context(), within, cond) {
		t.Fatalf("got no %s within %v", what, within)
	}
}

// poll reports whether cond came to hold in time. It asks at least once, and once
// more when the time is over.
func poll(ctx context.Context, within time.Duration, cond func() bool) bool {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return cond()
		}
	}
	return true
}
