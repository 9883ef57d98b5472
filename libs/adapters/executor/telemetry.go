package executor

import (
	"context"
	"log/slog"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/neap-project/neap/libs/fleet"
)

// meters count what executors do. Clusters and reasons label them, instances never.
type meters struct {
	calls     metric.Int64Counter
	over      metric.Int64Counter
	instances metric.Int64Counter
	took      metric.Float64Histogram
}

func newMeters(m metric.Meter) *meters {
	var t meters
	// An instrument that cannot be made is one that records nothing: actions go on.
	t.calls, _ = m.Int64Counter("neap.action.calls", metric.WithDescription("Calls that change AWS, by what came of them"))
	t.over, _ = m.Int64Counter("neap.actions", metric.WithDescription("Actions that are over, by how they ended"))
	t.instances, _ = m.Int64Counter("neap.action.instances", metric.WithDescription("Instances that actions launched"))
	t.took, _ = m.Float64Histogram("neap.action.duration", metric.WithUnit("s"), metric.WithDescription("Time from plan to end of an action, by the clock of AWS"))
	return &t
}

// begin starts the span of a step, in the trace of the plan.
func (h *hand[S, E, F]) begin(ctx context.Context, step string) (context.Context, trace.Span) {
	return h.process.Tracer.Start(ctx, step, trace.WithAttributes(
		attribute.String("neap.cluster", string(h.record.Cluster)),
		attribute.String("neap.plan", string(h.record.Plan)),
		attribute.String("neap.action", string(h.record.Action.ID)),
		attribute.String("neap.kind", string(h.record.Action.Kind)),
	))
}

// note logs and counts an outcome that was published.
func (h *hand[S, E, F]) note(ctx context.Context, o *fleet.Outcome) {
	labels := []attribute.KeyValue{
		attribute.String("cluster", string(o.Cluster)), attribute.String("kind", string(o.Kind)),
		attribute.String("step", o.Step), attribute.String("class", string(o.Class)),
	}
	log := h.log().With("step", o.Step)
	if len(o.Instances) > 0 {
		log = log.With("instances", len(o.Instances))
	}
	if o.Class != fleet.FailureNone {
		log = log.With("class", o.Class)
	}
	if o.Message != "" {
		log = log.With("reason", o.Message)
	}
	if o.Phase == fleet.PhaseResult {
		h.meters.calls.Add(ctx, 1, metric.WithAttributes(labels...))
		log.InfoContext(ctx, "called", "request", o.RequestID)
		return
	}
	labels = append(labels, attribute.String("reason", string(h.record.Action.Reason.Code)))
	h.meters.over.Add(ctx, 1, metric.WithAttributes(labels...))
	h.meters.instances.Add(ctx, int64(len(o.Instances)), metric.WithAttributes(labels[:2]...))
	h.meters.took.Record(ctx, o.At.Sub(h.record.PlannedAt).Seconds(), metric.WithAttributes(labels[:3]...))
	log.InfoContext(ctx, "over")
}

// log carries what identifies the action.
func (h *hand[S, E, F]) log() *slog.Logger {
	return h.process.Log.With("cluster", h.record.Cluster, "plan", h.record.Plan.Short(),
		"action", h.record.Action.ID.Short(), "kind", h.record.Action.Kind)
}

// traceID is the trace of a W3C parent; empty if there is none.
func traceID(parent string) string {
	span := trace.SpanContextFromContext(withTrace(context.Background(), parent))
	if !span.HasTraceID() {
		return ""
	}
	return span.TraceID().String()
}
