package planner

import (
	"context"
	"io"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/neap-project/neap/libs/adapters/bus"
	"github.com/neap-project/neap/libs/adapters/bus/bustest"
	"github.com/neap-project/neap/libs/adapters/cache"
	"github.com/neap-project/neap/libs/adapters/service"
)

// nowhere takes spans in batches, as an exporter does, and drops them.
type nowhere struct{}

func (nowhere) ExportSpans(context.Context, []sdktrace.ReadOnlySpan) error { return nil }
func (nowhere) Shutdown(context.Context) error                             { return nil }

// BenchmarkTracing is a whole turn over a small cluster in which nothing is to do, the
// cheapest that there is: with every span recorded and handed to an exporter, and without.
func BenchmarkTracing(b *testing.B) {
	batches := sdktrace.NewTracerProvider(sdktrace.WithBatcher(nowhere{}))
	defer func() { _ = batches.Shutdown(context.Background()) }()
	for name, tracers := range map[string]trace.TracerProvider{"without": noop.NewTracerProvider(), "with": batches} {
		b.Run(name, func(b *testing.B) {
			p, d := turning(b, tracers)
			for b.Loop() {
				if err := p.turn(b.Context(), d); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// turning is a planner with a cluster on its desk that it has decided on once.
func turning(b *testing.B, tracers trace.TracerProvider) (*Planner, *desk) {
	b.Helper()
	proc, err := service.New(b.Context(), "planner", service.Config{StallAfter: time.Minute}, io.Discard)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = proc.Stop(context.Background()) })
	proc.Tracer = tracers.Tracer("bench")
	conn := bustest.Open(b)
	s, pol := running(1, 0)
	if _, err := conn.Control().ApplyPolicy(b.Context(), web, pol, nil); err != nil {
		b.Fatal(err)
	}
	p := New(Config{Beat: 15 * time.Second}, conn, cache.Off(), proc)
	d := p.desk(web)
	d.open()
	p.notePolicy(b.Context(), bus.PolicyChange{PolicyRevision: bus.PolicyRevision{Cluster: web, Policy: pol.WithDefaults()}})
	ctx, span := proc.Tracer.Start(b.Context(), "snapshot")
	defer span.End()
	d.put(view{snapshot: s, stored: time.Now().Add(time.Hour), trace: trace.SpanContextFromContext(ctx)})
	if err := p.turn(b.Context(), d); err != nil {
		b.Fatal(err)
	}
	return p, d
}
