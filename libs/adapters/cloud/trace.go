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

	"github.com/neap-project/neap/libs/fleet"
)

// instruments trace and count calls. The SDK's own instrumentation package is no longer
// supported and links four services that Neap does not call.
type instruments struct {
	tracer trace.Tracer
	calls  metric.Float64Histogram
	events metric.Int64Counter
}

func newInstruments(tracers trace.TracerProvider, meters metric.MeterProvider) *instruments {
	const scope = "github.com/neap-project/neap/libs/adapters/cloud"
	if tracers == nil {
		tracers = otel.GetTracerProvider()
	}
	if meters == nil {
		meters = otel.GetMeterProvider()
	}
	i := &instruments{tracer: tracers.Tracer(scope)}
	meter := meters.Meter(scope)
	// An instrument that cannot be made is one that records nothing: calls go on.
	i.calls, _ = meter.Float64Histogram("neap.aws.call.duration", metric.WithUnit("s"),
		metric.WithDescription("Time a call of AWS took, its waiting for our own rate limit and its retries included"))
	i.events, _ = meter.Int64Counter("neap.aws.events",
		metric.WithDescription("Messages of the event queue, by what became of them"))
	return i
}

// middleware makes a span of each call and records how long it took.
func (i *instruments) middleware() middleware.InitializeMiddleware {
	return middleware.InitializeMiddlewareFunc("NeapTrace", func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
		service, operation := awsmiddleware.GetServiceID(ctx), awsmiddleware.GetOperationName(ctx)
		started := time.Now()
		ctx, span := i.tracer.Start(ctx, service+"."+operation, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
			attribute.String("rpc.system", "aws-api"), attribute.String("rpc.service", service), attribute.String("rpc.method", operation)))
		defer span.End()
		out, metadata, err := next.HandleInitialize(ctx, in)
		if id, ok := awsmiddleware.GetRequestIDMetadata(metadata); ok {
			span.SetAttributes(attribute.String("aws.request_id", id))
		}
		result := "ok"
		if err != nil {
			result = string(Class(translate(err)))
			span.SetStatus(codes.Error, result)
			span.RecordError(err)
		}
		i.calls.Record(ctx, time.Since(started).Seconds(), metric.WithAttributes(
			attribute.String("service", service), attribute.String("operation", operation), attribute.String("result", result)))
		return out, metadata, err
	})
}

// isThrottle reports whether AWS said: too many calls.
func isThrottle(err error) bool {
	var api smithy.APIError
	return errors.As(err, &api) && errors.Is(kinds[api.ErrorCode()], fleet.ErrThrottled)
}
