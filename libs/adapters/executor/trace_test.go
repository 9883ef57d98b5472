package executor_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/neap-project/neap/libs/adapters/executor"
	"github.com/neap-project/neap/libs/adapters/executor/executortest"
	"github.com/neap-project/neap/libs/adapters/service"
	"github.com/neap-project/neap/libs/adapters/telemetry"
	"github.com/neap-project/neap/libs/fleet"
)

// TestRedeliveryIsLinked: each delivery of a plan has a span under the one that sent it. Later
// ones have a link to it, and the steps of an action are under the delivery that recorded it.
func TestRedeliveryIsLinked(t *testing.T) {
	s := executortest.New(t, executortest.Policy())
	spans := tracetest.NewInMemoryExporter()
	tracers := sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))
	first := true
	cfg := executortest.Config()
	cfg.Crash = nil
	bells := &tower{}
	trade := bells.trade()
	s.Start(func(ctx context.Context, p *service.Process) error {
		p.Tracer = tracers.Tracer("test")
		cfg.Crash = func(at executor.Point) error {
			if at == executor.PointRecorded && first {
				first = false
				return errors.New("for the test")
			}
			return nil
		}
		_ = executor.New(p, s.Bus, cfg, trade).Run(ctx) // crashes between ledger and acknowledgement
		return executor.New(p, s.Bus, cfg, trade).Run(ctx)
	})
	ctx, sender := tracers.Tracer("test").Start(t.Context(), "plan")
	p := s.Plan(ctx, time.Now(), fleet.Plan{Actions: []fleet.Action{{
		Kind: fleet.ActionRestore, Restore: &fleet.Restore{Instance: "i-1", ContainerInstance: "ci"},
	}}})
	sender.End()
	s.Finished(p)

	byName := map[string][]tracetest.SpanStub{}
	s.Eventually("the plan was delivered twice and the bell rung", func() bool {
		clear(byName)
		for _, span := range spans.GetSpans() {
			byName[span.Name] = append(byName[span.Name], span)
		}
		return len(byName["process plan"]) == 2 && len(byName["ring"]) == rings
	})
	sent := byName["send plan"][0].SpanContext
	for i, span := range byName["process plan"] {
		if span.Parent.SpanID() != sent.SpanID() || span.SpanKind != trace.SpanKindConsumer {
			t.Errorf("delivery %d is not under the span that sent the plan", i+1)
		}
		if len(span.Links) != i {
			t.Errorf("delivery %d has %d links", i+1, len(span.Links))
		}
		if i == 1 && span.Links[0].SpanContext.SpanID() != sent.SpanID() {
			t.Errorf("delivery 2 has a link to another span")
		}
		if want := attribute.Int64(string(telemetry.AttrAttempt), int64(i+1)); !hasAttribute(span, want) {
			t.Errorf("delivery %d: no %v in %v", i+1, want, span.Attributes)
		}
	}
	for _, ring := range byName["ring"] {
		if ring.Parent.SpanID() != byName["process plan"][0].SpanContext.SpanID() {
			t.Error("a step is not under the delivery that recorded its action")
		}
	}
}

func hasAttribute(span tracetest.SpanStub, want attribute.KeyValue) bool {
	for _, a := range span.Attributes {
		if a == want {
			return true
		}
	}
	return false
}
