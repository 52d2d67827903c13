package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/mogilefs/caddy-mogilefs/tracker/protocol"
)

// Why a request can fail beside what a tracker refuses, which is a [*protocol.Error],
// and what ended the caller's context.
var (
	// ErrUnreachable: no tracker could be asked, or none answered a request that may
	// be repeated. Nothing happened that matters.
	ErrUnreachable = errors.New("no tracker answers")
	// ErrLost: the request went out and no answer came. It may have been carried out,
	// may still be, or may never be.
	ErrLost = errors.New("the tracker's answer was lost, what was asked for may have happened")
	// ErrClosed: the client is closed.
	ErrClosed = errors.New("client is closed")
)

// Client asks trackers. Its methods may be called by many goroutines.
type Client struct {
	config   Config
	trackers []*tracker // the preferred one first

	cancel context.CancelFunc // ends probes
	probes sync.WaitGroup
}

// New returns a Client. It connects to nobody until it is asked something. Close it
// after use.
func New(config Config) (*Client, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	c := &Client{config: config.withDefaults()}
	var ctx context.Context
	ctx, c.cancel = context.WithCancel(context.Background())
	for _, s := range config.Addresses {
		addr, err := parseAddress(s)
		if err != nil {
			return nil, err
		}
		c.trackers = append(c.trackers, &tracker{
			addr: addr, config: c.config, log: c.config.Logger.With(zap.String("tracker", addr.text)),
			probes: &c.probes, ctx: ctx,
			slots: make(chan struct{}, c.config.MaxOpen),
		})
	}
	return c, nil
}

// Close closes all connections; those in use when their requests, which go on to the
// end, are over. Calling it again does nothing. The error is always nil.
func (c *Client) Close() error {
	for _, t := range c.trackers {
		t.close()
	}
	c.cancel()
	c.probes.Wait()
	return nil
}

// Do has a tracker carry out a command. A refusal is a [*protocol.Error]. Without an
// answer the request goes to the next tracker if the first certainly did not carry
// it out, or if the command may be carried out twice; otherwise the error wraps
// [ErrLost].
//
// A repeatable command that one tracker answers with failure or db, because it has lost
// its database or is about to stop, is tried on the others too.
func (c *Client) Do(ctx context.Context, command string, args protocol.Pairs) (protocol.Values, error) {
	if !isCommand(command) {
		return nil, fmt.Errorf("command %q: want letters, digits and _", command)
	}
	line := protocol.AppendRequest(nil, command, args)
	replies, err := c.ask(ctx, question{
		lines: line, count: 1, repeatable: repeatable(command, line), patience: c.config.patience(command),
	})
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", command, err)
	case replies[0].refused != nil:
		return nil, replies[0].refused
	}
	return replies[0].values, nil
}

// ask puts a question to one tracker after the other: first to those that are well, in
// the order of the addresses, and when none of them answers, to the first of the
// others that turns out to be well again.
func (c *Client) ask(ctx context.Context, q question) ([]reply, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	a := asking{question: q}
	var aside []*tracker
	for _, t := range c.trackers {
		if !t.ready() {
			aside = append(aside, t)
			continue
		}
		if replies, done, err := a.put(ctx, t); done {
			return replies, err
		}
	}
	if a.trouble == nil && len(aside) > 0 {
		t, err := a.revive(ctx, aside)
		if err != nil {
			return nil, err
		}
		if t != nil {
			if replies, done, err := a.put(ctx, t); done {
				return replies, err
			}
		}
	}
	if a.trouble != nil {
		return a.trouble, nil
	}
	return nil, fmt.Errorf("%w: %s", ErrUnreachable, strings.Join(a.failures, "; "))
}

// asking is a question on its way from tracker to tracker.
type asking struct {
	question
	failures []string
	// trouble is an answer that another tracker may better.
	trouble []reply
}

// put asks one tracker. done says that there is nothing to ask another for.
func (a *asking) put(ctx context.Context, t *tracker) (replies []reply, done bool, err error) {
	replies, broken := t.try(ctx, a.question)
	if broken == nil {
		if a.repeatable && slices.ContainsFunc(replies, inTrouble) {
			a.trouble = replies
			return nil, false, nil
		}
		return replies, true, nil
	}
	a.failures = append(a.failures, fmt.Sprintf("%s: %v", t.addr.text, broken.err))
	switch {
	case broken.sent && !a.repeatable:
		return nil, true, fmt.Errorf("%w: %s: %w", ErrLost, t.addr.text, broken.err)
	case ctx.Err() != nil:
		return nil, true, fmt.Errorf("%w (%s)", context.Cause(ctx), strings.Join(a.failures, "; "))
	case errors.Is(broken.err, ErrClosed):
		return nil, true, ErrClosed
	}
	return nil, false, nil
}

// inTrouble recognises a tracker that can't do its work, as opposed to one that refuses.
func inTrouble(r reply) bool {
	return r.refused != nil && (r.refused.Code == protocol.Failure || r.refused.Code == protocol.DB)
}

// reviveWait is how long a request waits for trackers that were left aside: long for one
// that is well again, and short for readers whom a cache can serve instead.
const reviveWait = 250 * time.Millisecond

// revive waits for the first of the trackers that were left aside to be well; nil when
// none is, or none in time. All who ask meanwhile wait for the same probes, so that an
// outage of all trackers brings no storm upon the first that is back.
func (a *asking) revive(ctx context.Context, aside []*tracker) (*tracker, error) {
	results := make(chan probed, len(aside))
	for _, t := range aside {
		t.probe(results)
	}
	late := time.NewTimer(reviveWait)
	defer late.Stop()
	for range aside {
		select {
		case p := <-results:
			if p.err == nil {
				return p.tracker, nil
			}
			if errors.Is(p.err, ErrClosed) {
				return nil, ErrClosed
			}
			a.failures = append(a.failures, fmt.Sprintf("%s: %v", p.tracker.addr.text, p.err))
		case <-late.C:
			a.failures = append(a.failures, "others do not answer either")
			return nil, nil
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for a tracker to be back: %w", context.Cause(ctx))
		}
	}
	return nil, nil
}

// try asks the tracker once, and once more on another connection when the one that was
// waiting for use turns out to have ended before.
func (t *tracker) try(ctx context.Context, q question) ([]reply, *breakage) {
	deadline := time.Now().Add(q.patience)
	for again := false; ; again = true {
		c, err := t.borrow(ctx, deadline)
		if err != nil {
			t.judge(ctx, err)
			return nil, &breakage{err: err}
		}
		stale := c.used
		replies, broken := c.exchange(ctx, deadline, q)
		if broken == nil {
			t.answered()
			t.giveBack(c)
			return replies, nil
		}
		t.discard(c)
		if !stale || !broken.silent || ctx.Err() != nil {
			t.judge(ctx, broken.err)
			return nil, broken
		}
		t.dropIdle()
		if again || broken.sent && !q.repeatable {
			return nil, broken
		}
	}
}

// judge leaves the tracker aside for an error that is its own.
func (t *tracker) judge(ctx context.Context, err error) {
	if ctx.Err() == nil && !errors.Is(err, errBusy) && !errors.Is(err, ErrClosed) {
		t.failed(err)
	}
}
