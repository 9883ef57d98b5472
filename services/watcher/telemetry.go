package watcher

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/neap-project/neap/libs/adapters/service"
	"github.com/neap-project/neap/libs/fleet"
)

// meter is what the watcher measures. The calls of AWS are measured by package cloud.
type meter struct {
	duration metric.Float64Histogram
	gaps     metric.Int64Counter
}

// newMeter makes the instruments. One that cannot be made records nothing: watching does
// not depend on it.
func newMeter(proc *service.Process) meter {
	var r meter
	r.duration, _ = proc.Meter.Float64Histogram("neap.snapshot.duration", metric.WithUnit("s"),
		metric.WithDescription("Time it took to sweep a cluster and publish its snapshot, by result"))
	r.gaps, _ = proc.Meter.Int64Counter("neap.snapshot.incomplete",
		metric.WithDescription("Sections of published snapshots that could not be read whole"))
	return r
}

func (m *meter) swept(ctx context.Context, cluster fleet.ClusterName, result string, d time.Duration) {
	m.duration.Record(ctx, d.Seconds(), metric.WithAttributes(attribute.String("cluster", string(cluster)), attribute.String("result", result)))
}

func (m *meter) incomplete(ctx context.Context, cluster fleet.ClusterName, section fleet.SectionName) {
	m.gaps.Add(ctx, 1, metric.WithAttributes(attribute.String("cluster", string(cluster)), attribute.String("section", string(section))))
}
