package cloud

import (
	"context"
	"errors"
	"time"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/neap-project/neap/libs/adapters/telemetry"
	"github.com/neap-project/neap/libs/fleet"
)

// instruments trace and count calls. The SDK's own instrumentation package is no longer
// supported and links four services that Neap does not call.
type instruments struct {
	tracer  trace.Tracer
	calls   metric.Float64Histogram
	events  metric.Int64Counter
	charged metric.Int64Counter // attempts, by the bucket they are charged to
}

// newInstruments also watches how much of our limits is used up.
func newInstruments(tracers trace.TracerProvider, meters metric.MeterProvider, l *limits) *instruments {
	const scope = "github.com/neap-project/neap/libs/adapters/cloud"
	if tracers == nil {
		tracers = otel.GetTracerProvider()
	}
	if meters == nil {
		meters = otel.GetMeterProvider()
	}
	i := &instruments{tracer: tracers.Tracer(scope)}
	meter := meters.Meter(scope)
	i.calls = telemetry.AWSCallDuration.Histogram(meter)
	i.events = telemetry.AWSEvents.Counter(meter)
	i.charged = telemetry.AWSCalls.Counter(meter)
	used := telemetry.AWSBudgetUsed.Gauge(meter)
	_, _ = meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		l.eachUsed(func(bucket string, share float64) {
			o.ObserveFloat64(used, share, metric.WithAttributes(attribute.String(telemetry.LabelBucket, bucket)))
		})
		return nil
	}, used)
	return i
}

// middleware makes a span of each call and records how long it took.
func (i *instruments) middleware() middleware.InitializeMiddleware {
	return middleware.InitializeMiddlewareFunc("NeapTrace", func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
		service, operation := awsmiddleware.GetServiceID(ctx), awsmiddleware.GetOperationName(ctx)
		started := time.Now()
		ctx, span := telemetry.SpanCall.StartAs(ctx, i.tracer, service+"."+operation, trace.WithAttributes(
			telemetry.AttrRPCSystem.String("aws-api"), telemetry.AttrRPCService.String(service), telemetry.AttrRPCMethod.String(operation)))
		defer span.End()
		out, metadata, err := next.HandleInitialize(ctx, in)
		if id, ok := awsmiddleware.GetRequestIDMetadata(metadata); ok {
			span.SetAttributes(telemetry.AttrRequestID.String(id))
		}
		result := "ok"
		if err != nil {
			result = string(Class(translate(err)))
			span.SetStatus(codes.Error, result)
			span.SetAttributes(telemetry.AttrError.String(result))
			span.RecordError(err)
		}
		i.calls.Record(ctx, time.Since(started).Seconds(), metric.WithAttributes(
			attribute.String(telemetry.LabelService, service), attribute.String(telemetry.LabelOperation, operation), attribute.String(telemetry.LabelResult, result)))
		return out, metadata, err
	})
}

// isThrottle reports whether AWS said: too many calls.
func isThrottle(err error) bool {
	var api smithy.APIError
	return errors.As(err, &api) && errors.Is(kinds[api.ErrorCode()], fleet.ErrThrottled)
}
