package service

import (
	"maps"
	"slices"

	"go.opentelemetry.io/otel/sdk/trace"
	oteltrace "go.opentelemetry.io/otel/trace"

	"github.com/neap-project/neap/libs/adapters/telemetry"
)

// samplers are those of OpenTelemetry's specification, by their names there.
var samplers = map[string]func(share float64) trace.Sampler{
	"always_on":                func(float64) trace.Sampler { return trace.AlwaysSample() },
	"always_off":               func(float64) trace.Sampler { return trace.NeverSample() },
	"traceidratio":             func(share float64) trace.Sampler { return decisions{trace.TraceIDRatioBased(share)} },
	"parentbased_always_on":    func(float64) trace.Sampler { return trace.ParentBased(trace.AlwaysSample()) },
	"parentbased_always_off":   func(float64) trace.Sampler { return trace.ParentBased(trace.NeverSample()) },
	"parentbased_traceidratio": func(share float64) trace.Sampler { return decisions{trace.ParentBased(trace.TraceIDRatioBased(share))} },
}

const everyTrace = "parentbased_always_on"

func (c Config) validSampler() error {
	if c.Sampler == "" {
		return nil // not read from the environment
	}
	if err := oneOf("OTEL_TRACES_SAMPLER", c.Sampler, slices.Sorted(maps.Keys(samplers))...); err != nil {
		return err
	}
	if !(c.SamplerShare >= 0 && c.SamplerShare <= 1) {
		return Invalid("OTEL_TRACES_SAMPLER_ARG", c.SamplerShare, "use a share from 0 to 1, such as 0.1")
	}
	return nil
}

func (c Config) sampler() trace.Sampler {
	made, ok := samplers[c.Sampler]
	if !ok {
		made = samplers[everyTrace]
	}
	return made(c.SamplerShare)
}

// decisions keeps what another sampler keeps and, from the span on that sends it, every plan
// that does something. What comes after is in a trace that is kept already.
type decisions struct{ trace.Sampler }

// ShouldSample implements [trace.Sampler].
func (d decisions) ShouldSample(p trace.SamplingParameters) trace.SamplingResult {
	result := d.Sampler.ShouldSample(p)
	kept := oteltrace.SpanContextFromContext(p.ParentContext).IsSampled()
	if result.Decision == trace.Drop && (kept || telemetry.Decides(p.Attributes)) {
		result.Decision = trace.RecordAndSample
	}
	return result
}
