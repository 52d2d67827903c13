package top

import (
	"bufio"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mogilefs/caddy-mogilefs/cli/frame"
)

// answerWithin bounds how long a tracker may take for its counters.
const answerWithin = 2 * time.Second

// counters are what a tracker counts, and when it was asked.
type counters struct {
	at     time.Time
	counts map[string]int64
	err    error
}

// ask has a tracker tell its counters (docs/spec/tracker-protocol.md §9).
func ask(ctx context.Context, c *frame.Call, address string) counters {
	counts, err := askLines(ctx, c, address)
	return counters{at: time.Now(), counts: counts, err: err}
}

func askLines(ctx context.Context, c *frame.Call, address string) (map[string]int64, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	conn, err := c.Conn(ctx, address)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if _, err := conn.Write([]byte("!stats\r\n")); err != nil {
		return nil, err
	}
	counts := map[string]int64{}
	lines := bufio.NewScanner(conn)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if line == "." {
			return counts, nil
		}
		if why, refused := strings.CutPrefix(line, "ERROR: "); refused {
			return nil, fmt.Errorf("%s", why)
		}
		name, value, _ := strings.Cut(line, " ")
		if n, err := strconv.ParseInt(value, 10, 64); err == nil {
			counts[name] = n
		}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("the tracker hung up")
}

// rate is how much a counter grows in a second; a dash when that is not known.
func rate(before, now counters, name string) string {
	seconds := now.at.Sub(before.at).Seconds()
	grown := now.counts[name] - before.counts[name]
	if before.counts == nil || now.counts == nil || seconds <= 0 || grown < 0 { // it was started anew
		return "-"
	}
	return strconv.FormatFloat(float64(grown)/seconds, 'f', 1, 64)
}

// Counters of the jobs are named so, with the job behind.
const (
	queueFor = "work_queue_for_"
	sentTo   = "work_sent_to_"
)

// jobs are those that a tracker counts.
func jobs(c counters) []string {
	names := map[string]bool{}
	for name := range c.counts {
		for _, prefix := range []string{queueFor, sentTo} {
			if job, ok := strings.CutPrefix(name, prefix); ok {
				names[job] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(names))
}
