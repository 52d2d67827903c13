package caddymodule

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/mogilefs/caddy-mogilefs/mogile"
)

// tracerName says whose spans ours are.
const tracerName = "github.com/mogilefs/caddy-mogilefs"

// startSpan begins a span below that of the context, and end ends it. Without one that is recorded, which
// the directive tracing begins, it does nothing.
func startSpan(ctx context.Context, name string, about ...attribute.KeyValue) (_ context.Context, end func(error)) {
	above := trace.SpanFromContext(ctx)
	if !above.IsRecording() {
		return ctx, noEnd
	}
	ctx, span := above.TracerProvider().Tracer(tracerName).Start(ctx, "mogilefs."+name, trace.WithAttributes(about...))
	return ctx, func(err error) {
		if err != nil {
			span.RecordError(err)
			span.SetStatus(codes.Error, err.Error())
		}
		span.End()
	}
}

func noEnd(error) {}

// traceStep is startSpan for the steps of a request to an edge.
func traceStep(ctx context.Context, what string, dev mogile.DevID) (_ context.Context, end func(error)) {
	if dev == 0 || !trace.SpanFromContext(ctx).IsRecording() {
		return startSpan(ctx, what)
	}
	return startSpan(ctx, what, attribute.Int64("mogilefs.device", int64(dev)))
}
