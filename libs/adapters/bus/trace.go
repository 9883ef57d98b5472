package bus

import (
	"context"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.opentelemetry.io/otel/attribute"
	otelcodes "go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/neap-project/neap/libs/adapters/telemetry"
	"github.com/neap-project/neap/libs/fleet"
)

// sent is the span in which a message is sent. Whoever receives the message continues it.
type sent struct{ trace.Span }

// sending starts the span of a message about a cluster, with the tracer of the span that ctx
// is in: where all services share a process each has its own. Without such a span the
// message travels in the trace of ctx, if there is one.
func (b *Bus) sending(ctx context.Context, as *telemetry.Span, kind string, cluster fleet.ClusterName, more ...attribute.KeyValue) (context.Context, sent) {
	tracer := trace.SpanFromContext(ctx).TracerProvider().Tracer("neap/bus")
	ctx, span := as.Start(ctx, tracer, trace.WithAttributes(append(more,
		telemetry.AttrCluster.String(string(cluster)),
		telemetry.AttrMessagingSystem.String("nats"),
		telemetry.AttrMessagingOperation.String("publish"),
		telemetry.AttrMessagingType.String("send"),
		telemetry.AttrMessagingDestination.String(subjectOf(b.generation, kind, cluster)),
		telemetry.AttrMessagingTemplate.String(subjectTemplate(kind)),
	)...))
	return ctx, sent{span}
}

// carries tells the span what it sends, before a large payload is moved elsewhere.
func (s sent) carries(msg *nats.Msg) {
	s.SetAttributes(telemetry.AttrMessagingID.String(msg.Header.Get(jetstream.MsgIDHeader)), telemetry.AttrMessagingSize.Int(len(msg.Data)))
}

func (s sent) end(err error) {
	if err != nil {
		s.SetStatus(otelcodes.Error, err.Error())
	}
	s.End()
}

// Processing starts the span of a delivery. One that was delivered before has a link to the
// span in which it was sent: the spans of earlier deliveries are beside it.
func (d *Delivery) Processing(ctx context.Context, tracer trace.Tracer, consumer string) (context.Context, trace.Span) {
	options := []trace.SpanStartOption{trace.WithAttributes(
		telemetry.AttrCluster.String(string(d.Plan.Cluster)),
		telemetry.AttrPlan.String(string(d.Plan.ID)),
		telemetry.AttrAttempt.Int(d.Attempt),
		telemetry.AttrMessagingSystem.String("nats"),
		telemetry.AttrMessagingOperation.String("process"),
		telemetry.AttrMessagingType.String("process"),
		telemetry.AttrMessagingTemplate.String(subjectTemplate(kindPlan)),
		telemetry.AttrMessagingGroup.String(consumer),
		telemetry.AttrMessagingID.String(string(d.Plan.ID)),
	)}
	if sender := trace.SpanContextFromContext(ctx); d.Attempt > 1 && sender.IsValid() {
		options = append(options, trace.WithLinks(trace.Link{SpanContext: sender}))
	}
	return telemetry.SpanProcessPlan.Start(ctx, tracer, options...)
}

// subjectTemplate is a subject as it is for every generation and cluster.
func subjectTemplate(kind string) string { return "neap.v1.{generation}." + kind + ".{cluster}" }
