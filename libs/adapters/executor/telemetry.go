package executor

import (
	"context"
	"log/slog"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/neap-project/neap/libs/adapters/telemetry"
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
	return &meters{
		calls:     telemetry.ActionCalls.Counter(m),
		over:      telemetry.Actions.Counter(m),
		instances: telemetry.ActionInstances.Counter(m),
		took:      telemetry.ActionDuration.Histogram(m),
	}
}

// measure lets what is under way be read until stop is called.
func (e *Engine[S, E, F]) measure() (stop func()) {
	open, lag := telemetry.ActionsOpen.Gauge(e.process.Meter), telemetry.QueueLag.Gauge(e.process.Meter)
	observed, err := e.process.Meter.RegisterCallback(func(ctx context.Context, o metric.Observer) error {
		for of, count := range e.open() {
			o.ObserveFloat64(open, float64(count), metric.WithAttributes(attribute.String(telemetry.LabelCluster, string(of.cluster)),
				attribute.String(telemetry.LabelKind, string(of.kind)), attribute.String(telemetry.LabelPhase, of.phase)))
		}
		if plans, err := e.bus.PlanLag(ctx, e.trade.Name); err == nil { // else NATS is away, and readiness says so
			o.ObserveFloat64(lag, float64(plans), metric.WithAttributes(attribute.String(telemetry.LabelConsumer, e.trade.Name)))
		}
		return nil
	}, open, lag)
	if err != nil {
		return func() {}
	}
	return func() { _ = observed.Unregister() } // it never fails
}

// stage is a phase of the actions of a kind on a cluster.
type stage struct {
	cluster fleet.ClusterName
	kind    fleet.ActionKind
	phase   string
}

// open counts the actions that are under way.
func (e *Engine[S, E, F]) open() map[stage]int {
	e.mu.Lock()
	defer e.mu.Unlock()
	count := map[stage]int{}
	for _, j := range e.jobs {
		count[stage{j.record.Cluster, j.record.Action.Kind, e.trade.Progress(&j.state).Phase}]++
	}
	return count
}

// begin starts the span of a step, in the trace of the plan.
func (h *hand[S, E, F]) begin(ctx context.Context, step string) (context.Context, trace.Span) {
	return telemetry.SpanStep.StartAs(ctx, h.process.Tracer, step, trace.WithAttributes(
		telemetry.AttrCluster.String(string(h.record.Cluster)),
		telemetry.AttrPlan.String(string(h.record.Plan)),
		telemetry.AttrAction.String(string(h.record.Action.ID)),
		telemetry.AttrKind.String(string(h.record.Action.Kind)),
		telemetry.AttrOf.String(h.record.Action.Of()),
	))
}

// note logs and counts an outcome that was published.
func (h *hand[S, E, F]) note(ctx context.Context, o *fleet.Outcome) {
	labels := []attribute.KeyValue{
		attribute.String(telemetry.LabelCluster, string(o.Cluster)), attribute.String(telemetry.LabelKind, string(o.Kind)),
		attribute.String(telemetry.LabelStep, o.Step), attribute.String(telemetry.LabelClass, string(o.Class)),
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
	labels = append(labels, attribute.String(telemetry.LabelReason, string(h.record.Action.Reason.Code)))
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
