package health

import (
	"slices"
	"time"

	"go.uber.org/zap"
)

// Silence is counted in ticks and not by the clock: when this process gets no processor
// for a second, no node was silent.
const (
	tickEvery = 100 * time.Millisecond
	// doubtAfter is how many ticks of silence make new requests go elsewhere. A disk that
	// seeks among others' requests is not silent for so long.
	doubtAfter = 3
	// failedAfter is how many make those leave that wait. A disk that has to spin up first
	// takes longer; its readers are better off with another copy.
	failedAfter = 10
	// judgeEvery is how many ticks pass between two comparisons of nodes.
	judgeEvery = 5
)

const (
	// slowFactor times what the others take, and slowMargin more, is slow. Nodes of one
	// kind differ by less than half of it, even when one of them is rebalanced or checked.
	slowFactor = 8
	slowMargin = 50 * time.Millisecond
	// minAnswers is how many answers a judgement needs.
	minAnswers = 16
	// freshFor is how many ticks ago the last of them may be.
	freshFor = 100
)

func (b *Board) run() {
	ticker := time.NewTicker(tickEvery)
	defer ticker.Stop()
	for {
		select {
		case <-b.stop:
			return
		case <-ticker.C:
			b.look(b.tick.Add(1) + 1)
		}
	}
}

// look looks at everything once.
func (b *Board) look(tick int64) {
	nodes := *b.nodes.Load()
	for _, n := range nodes {
		// Told without a lock held. Who is told may have ended meanwhile, and then
		// does not mind.
		for _, leave := range lookAt(n, tick) {
			leave(ErrStalled)
		}
	}
	if tick%judgeEvery == 0 {
		compare(nodes, tick)
	}
}

// lookAt looks at a node's calls, and returns how those are told that should leave.
func lookAt(n *Node, tick int64) []func(error) {
	devices := *n.devices.Load()
	n.quiet = 0
	for _, u := range devices {
		u.quiet = 0
		if u.opening.Load() > 0 {
			u.quiet = u.silence(u.openSince.Load(), tick)
		}
	}
	n.eachWaiting(func(c *Call, since int64) {
		n.quiet = max(n.quiet, n.silence(since, tick))
		c.place.Device.quiet = max(c.place.Device.quiet, c.place.Device.silence(since, tick))
	})
	for _, u := range devices {
		u.settle()
	}
	n.settle()
	var stalled []func(error)
	n.eachWaiting(func(c *Call, since int64) {
		if c.leave != nil && tick-since >= failedAfter && max(n.quiet, c.place.Device.quiet) >= failedAfter {
			stalled = append(stalled, c.leave)
		}
	})
	return stalled
}

// eachWaiting calls f, which does little, for each call that waits for the node.
func (n *Node) eachWaiting(f func(c *Call, since int64)) {
	n.listed.Lock()
	defer n.listed.Unlock()
	for c := n.calls.first; c != nil; c = c.next {
		if since := c.since.Load(); since != 0 {
			f(c, since)
		}
	}
}

// silence is for how many ticks nothing came although somebody waited.
func (u *Unit) silence(since, tick int64) int64 { return tick - max(since, u.progress.Load()) }

// settle draws the consequences of the silence.
func (u *Unit) settle() {
	if silent := u.quiet >= doubtAfter; silent || u.Level() != Good {
		u.setSilent(silent)
	}
	if u.quiet >= failedAfter {
		u.Failed(ErrStalled)
	}
}

// compare looks for nodes that are much slower than the others.
func compare(nodes map[string]*Node, tick int64) {
	var judged []*Node
	for _, n := range nodes {
		if n.Level() != Bad && n.answers.Load() >= minAnswers && tick-n.answered.Load() <= freshFor {
			judged = append(judged, n)
		}
	}
	if len(judged) < 2 {
		return
	}
	slices.SortFunc(judged, func(a, b *Node) int { return int(a.typical.Load() - b.typical.Load()) })
	for i, n := range judged {
		others := len(judged) - 1
		median := (others - 1) / 2 // the faster one of two
		if median >= i {
			median++ // n itself is left out
		}
		usual := judged[median].typical.Load()
		limit := max(slowFactor*usual, usual+int64(slowMargin))
		if n.typical.Load() <= limit {
			continue
		}
		n.slowOver.Store(limit)
		if n.setSlow() {
			n.log.Warn("slow, and left aside", zap.Duration("first byte", time.Duration(n.typical.Load())),
				zap.Duration("that of others", time.Duration(usual)))
		}
	}
}
