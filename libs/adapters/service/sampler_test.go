package service

import (
	"strings"
	"testing"

	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	oteltrace "go.opentelemetry.io/otel/trace"

	"github.com/neap-project/neap/libs/adapters/telemetry"
)

// TestSamplingKeepsDecisions: whatever share of the traces is kept, a plan with an action is,
// and all that follows; one without is not.
func TestSamplingKeepsDecisions(t *testing.T) {
	const idle, acting = "snapshot", "send plan process plan launch"
	for sampler, want := range map[string]string{
		"": "snapshot " + idle + " " + acting, "always_on": "snapshot " + idle + " " + acting, "parentbased_always_on": "snapshot " + idle + " " + acting,
		"traceidratio": acting, "parentbased_traceidratio": acting,
		"always_off": "", "parentbased_always_off": "",
	} {
		spans := tracetest.NewInMemoryExporter()
		tracers := trace.NewTracerProvider(trace.WithSyncer(spans), trace.WithSampler(Config{Sampler: sampler, SamplerShare: 0}.sampler()))
		tracer := tracers.Tracer("test")
		ctx, first := telemetry.SpanSnapshot.Start(t.Context(), tracer)
		first.End()
		_, nothing := telemetry.SpanSnapshot.Start(ctx, tracer, oteltrace.WithAttributes(telemetry.AttrActions.Int(0)))
		nothing.End()
		ctx, sent := telemetry.SpanSendPlan.Start(ctx, tracer, oteltrace.WithAttributes(telemetry.AttrActions.Int(2)))
		sent.End()
		// Another process: it knows of the sender what the header says.
		ctx = oteltrace.ContextWithRemoteSpanContext(t.Context(), oteltrace.SpanContextFromContext(ctx))
		ctx, got := telemetry.SpanProcessPlan.Start(ctx, tracer)
		got.End()
		_, step := telemetry.SpanStep.StartAs(ctx, tracer, "launch")
		step.End()
		var names []string
		for _, s := range spans.GetSpans() {
			names = append(names, s.Name)
		}
		if kept := strings.Join(names, " "); kept != want {
			t.Errorf("%q keeps %q, want %q", sampler, kept, want)
		}
	}
}

func TestSamplerSettings(t *testing.T) {
	for _, test := range []struct{ name, value, want string }{
		{"OTEL_TRACES_SAMPLER", "traceidratio", ""},
		{"OTEL_TRACES_SAMPLER", "some", `OTEL_TRACES_SAMPLER is "some": use always_off or always_on or parentbased_always_off or parentbased_always_on or parentbased_traceidratio or traceidratio`},
		{"OTEL_TRACES_SAMPLER_ARG", "1.5", `OTEL_TRACES_SAMPLER_ARG is "1.5": use a share from 0 to 1, such as 0.1`},
		{"OTEL_TRACES_SAMPLER_ARG", "NaN", `OTEL_TRACES_SAMPLER_ARG is "NaN": use a share from 0 to 1, such as 0.1`},
	} {
		t.Run(test.name+" "+test.value, func(t *testing.T) {
			t.Setenv(test.name, test.value)
			_, err := Load[Config]("")
			if got := text(err); got != test.want {
				t.Errorf("\ngot  %s\nwant %s", got, test.want)
			}
		})
	}
}
