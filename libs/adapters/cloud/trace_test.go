package cloud

import (
	"slices"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/neap-project/neap/libs/adapters/telemetry"
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

// TestBudgetIsMeasured: every attempt counts for the bucket that it is charged to, and what is
// used up of our share of it shows.
func TestBudgetIsMeasured(t *testing.T) {
	w := answering(t, func(string) (int, string) { return 400, `{"__type":"ThrottlingException","message":"Rate exceeded"}` })
	reader := metric.NewManualReader()
	meters := metric.NewMeterProvider(metric.WithReader(reader))
	a, err := Open(t.Context(), Config{Region: "us-east-1", Endpoint: w.URL, Unsigned: true, Meters: meters})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Reader(nil).Cluster(t.Context(), "prod"); err == nil {
		t.Fatal("an error was expected")
	}
	var got metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &got); err != nil {
		t.Fatal(err)
	}
	of := attribute.NewSet(attribute.String(telemetry.LabelBucket, "ecs-clusters-read"))
	throttled := attribute.NewSet(attribute.String(telemetry.LabelBucket, "ecs-clusters-read"), attribute.String(telemetry.LabelResult, "throttled"))
	attempts, used := int64(0), 0.0
	for _, m := range got.ScopeMetrics[0].Metrics {
		switch data := m.Data.(type) {
		case metricdata.Sum[int64]:
			if m.Name == telemetry.AWSCalls.Name && data.DataPoints[0].Attributes.Equals(&throttled) {
				attempts = data.DataPoints[0].Value
			}
		case metricdata.Gauge[float64]:
			if m.Name == telemetry.AWSBudgetUsed.Name && data.DataPoints[0].Attributes.Equals(&of) {
				used = data.DataPoints[0].Value
			}
		}
	}
	if attempts != readAttempts || used <= 0 || used > 1 {
		t.Errorf("%d attempts were charged, want %d; %v of the budget is used", attempts, readAttempts, used)
	}
}
