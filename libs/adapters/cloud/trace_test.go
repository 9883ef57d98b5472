package cloud

import (
	"slices"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

// TestCallsAreTraced: a call is one span below the caller's, with AWS's request ID, however
// often it is tried.
func TestCallsAreTraced(t *testing.T) {
	w := answering(t, func(string) (int, string) { return 400, `{"__type":"ThrottlingException","message":"Rate exceeded"}` })
	spans := tracetest.NewInMemoryExporter()
	tracers := trace.NewTracerProvider(trace.WithSyncer(spans))
	a, err := Open(t.Context(), Config{Region: "us-east-1", Endpoint: w.URL, Unsigned: true, Tracers: tracers})
	if err != nil {
		t.Fatal(err)
	}
	ctx, above := tracers.Tracer("test").Start(t.Context(), "above")
	if _, err := a.Reader(nil).Cluster(ctx, "prod"); err == nil {
		t.Fatal("an error was expected")
	}
	ended := spans.GetSpans()
	if len(ended) != 1 || ended[0].Name != "ECS.DescribeClusters" || ended[0].Parent.SpanID() != above.SpanContext().SpanID() {
		t.Fatalf("spans %+v", ended)
	}
	if ended[0].Status.Code != codes.Error || ended[0].Status.Description != "throttled" {
		t.Errorf("status %+v", ended[0].Status)
	}
	for _, want := range []attribute.KeyValue{attribute.String("rpc.method", "DescribeClusters"), attribute.String("aws.request_id", "req-1")} {
		if !slices.Contains(ended[0].Attributes, want) {
			t.Errorf("no %v in %v", want, ended[0].Attributes)
		}
	}
}
