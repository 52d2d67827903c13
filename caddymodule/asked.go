package caddymodule

import (
	"context"
	"errors"
	"time"

	"github.com/mogilefs/caddy-mogilefs/edge"
	"github.com/mogilefs/caddy-mogilefs/mogile"
	"github.com/mogilefs/caddy-mogilefs/tally"
)

// askedTracker counts what edges ask of a tracker, and shows it in traces.
type askedTracker struct {
	edge.Tracker
	tally *tally.Edge
}

var _ edge.Tracker = askedTracker{}

// counted has what is asked of a tracker counted.
func counted(t edge.Tracker, to *tally.Edge) edge.Tracker { return askedTracker{t, to} }

// begin begins a question, and end ends it.
func (t askedTracker) begin(ctx context.Context, question string) (_ context.Context, end func(error)) {
	began := time.Now()
	ctx, endSpan := startSpan(ctx, "tracker "+question)
	return ctx, func(err error) {
		if isAnswer(err) {
			err = nil
		}
		endSpan(err)
		t.tally.Asked.At(tally.Question{Name: question, Answered: err == nil}).Observe(time.Since(began))
	}
}

// isAnswer reports whether an error is one that a tracker gives in good order.
func isAnswer(err error) bool {
	for _, known := range edgeErrors {
		if errors.Is(err, known) {
			return true
		}
	}
	return false
}

// Locate implements [edge.Tracker].
func (t askedTracker) Locate(ctx context.Context, domain mogile.DomainName, key mogile.Key) (loc mogile.Location, err error) {
	ctx, end := t.begin(ctx, "locate")
	defer func() { end(err) }()
	return t.Tracker.Locate(ctx, domain, key)
}

// LocateFID implements [edge.Tracker].
func (t askedTracker) LocateFID(ctx context.Context, domain mogile.DomainName, fid mogile.FID) (loc mogile.Location, err error) {
	ctx, end := t.begin(ctx, "locate")
	defer func() { end(err) }()
	return t.Tracker.LocateFID(ctx, domain, fid)
}

// Open implements [edge.Tracker].
func (t askedTracker) Open(ctx context.Context, up edge.Upload) (opened edge.Opened, err error) {
	ctx, end := t.begin(ctx, "open")
	defer func() { end(err) }()
	return t.Tracker.Open(ctx, up)
}

// Close implements [edge.Tracker].
func (t askedTracker) Close(ctx context.Context, c edge.Closing) (err error) {
	ctx, end := t.begin(ctx, "close")
	defer func() { end(err) }()
	return t.Tracker.Close(ctx, c)
}

// Abandon implements [edge.Tracker].
func (t askedTracker) Abandon(ctx context.Context, domain mogile.DomainName, fid mogile.FID, tried ...mogile.Copy) (err error) {
	ctx, end := t.begin(ctx, "abandon")
	defer func() { end(err) }()
	return t.Tracker.Abandon(ctx, domain, fid, tried...)
}

// Delete implements [edge.Tracker].
func (t askedTracker) Delete(ctx context.Context, domain mogile.DomainName, key mogile.Key) (err error) {
	ctx, end := t.begin(ctx, "delete")
	defer func() { end(err) }()
	return t.Tracker.Delete(ctx, domain, key)
}

// Repair implements [edge.Tracker].
func (t askedTracker) Repair(ctx context.Context, fid mogile.FID) (err error) {
	ctx, end := t.begin(ctx, "repair")
	defer func() { end(err) }()
	return t.Tracker.Repair(ctx, fid)
}
