package executor

import (
	"context"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/neap-project/neap/libs/adapters/service"
	"github.com/neap-project/neap/libs/adapters/telemetry"
	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/execute"
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
		for of, count := range e.core.Open() {
			o.ObserveFloat64(open, float64(count), metric.WithAttributes(attribute.String(telemetry.LabelCluster, string(of.Cluster)),
				attribute.String(telemetry.LabelKind, string(of.Kind)), attribute.String(telemetry.LabelPhase, of.Phase)))
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

// observer logs, counts and traces what an executor does.
type observer struct {
	process *service.Process
	meters  *meters
}

func newObserver(p *service.Process) observer { return observer{p, newMeters(p.Meter)} }

func (o observer) Accepted(ctx context.Context, p *fleet.Plan, a *fleet.Action) {
	o.process.Log.InfoContext(ctx, "accepted", "cluster", p.Cluster, "plan", p.ID.Short(), "action", a.ID.Short(), "kind", a.Kind, "reason", a.Reason.String())
}

func (o observer) Unreadable(entry execute.Entry, err error) {
	o.process.Log.Error("unreadable record in the ledger", "cluster", entry.Cluster, "action", entry.Action.Short(), "err", err)
}

func (o observer) Held(ctx context.Context, r *Record, why string) {
	o.log(r).InfoContext(ctx, "held", "why", why)
}

func (o observer) Failed(ctx context.Context, r *Record, err error, failures int, retryAt time.Time) {
	o.log(r).WarnContext(ctx, "turn", "err", err, "failures", failures, "retry_at", retryAt)
}

func (o observer) NotRead(ctx context.Context, r *Record, err error) {
	o.log(r).WarnContext(ctx, "record was not read again; the watch will bring it", "err", err)
}

// Begin starts the span of a step, in the trace of the plan.
func (o observer) Begin(ctx context.Context, r *Record, step string) (context.Context, func(error)) {
	ctx, span := telemetry.SpanStep.StartAs(ctx, o.process.Tracer, step, trace.WithAttributes(
		telemetry.AttrCluster.String(string(r.Cluster)),
		telemetry.AttrPlan.String(string(r.Plan)),
		telemetry.AttrAction.String(string(r.Action.ID)),
		telemetry.AttrKind.String(string(r.Action.Kind)),
		telemetry.AttrOf.String(r.Action.Of()),
	))
	return ctx, func(err error) {
		if err != nil {
			span.RecordError(err)
		}
		span.End()
	}
}

// Told logs and counts an outcome that was published.
func (o observer) Told(ctx context.Context, r *Record, out *fleet.Outcome) {
	labels := []attribute.KeyValue{
		attribute.String(telemetry.LabelCluster, string(out.Cluster)), attribute.String(telemetry.LabelKind, string(out.Kind)),
		attribute.String(telemetry.LabelStep, out.Step), attribute.String(telemetry.LabelClass, string(out.Class)),
	}
	log := o.log(r).With("step", out.Step)
	if len(out.Instances) > 0 {
		log = log.With("instances", len(out.Instances))
	}
	if out.Class != fleet.FailureNone {
		log = log.With("class", out.Class)
	}
	if out.Message != "" {
		log = log.With("reason", out.Message)
	}
	if out.Phase == fleet.PhaseResult {
		o.meters.calls.Add(ctx, 1, metric.WithAttributes(labels...))
		log.InfoContext(ctx, "called", "request", out.RequestID)
		return
	}
	labels = append(labels, attribute.String(telemetry.LabelReason, string(r.Action.Reason.Code)))
	o.meters.over.Add(ctx, 1, metric.WithAttributes(labels...))
	o.meters.instances.Add(ctx, int64(len(out.Instances)), metric.WithAttributes(labels[:2]...))
	o.meters.took.Record(ctx, out.At.Sub(r.PlannedAt).Seconds(), metric.WithAttributes(labels[:3]...))
	log.InfoContext(ctx, "over")
}

// log carries what identifies the action.
func (o observer) log(r *Record) *slog.Logger {
	return o.process.Log.With("cluster", r.Cluster, "plan", r.Plan.Short(), "action", r.Action.ID.Short(), "kind", r.Action.Kind)
}

// Trace is the span in which a plan was made, in the form of W3C; empty if there is none.
func (o observer) Trace(ctx context.Context) string {
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	return carrier.Get("traceparent")
}

// WithTrace continues the trace of a plan.
func (o observer) WithTrace(ctx context.Context, parent string) context.Context {
	return propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{"traceparent": parent})
}

// TraceID is the trace of a W3C parent; empty if there is none.
func (o observer) TraceID(parent string) string {
	span := trace.SpanContextFromContext(o.WithTrace(context.Background(), parent))
	if !span.HasTraceID() {
		return ""
	}
	return span.TraceID().String()
}
