package watcher

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/neap-project/neap/libs/adapters/service"
	"github.com/neap-project/neap/libs/adapters/telemetry"
	"github.com/neap-project/neap/libs/fleet"
)

// meter is what the watcher measures. The calls of AWS are measured by package cloud.
type meter struct {
	duration metric.Float64Histogram
	gaps     metric.Int64Counter
}

func newMeter(proc *service.Process) meter {
	return meter{duration: telemetry.SnapshotDuration.Histogram(proc.Meter), gaps: telemetry.SnapshotIncomplete.Counter(proc.Meter)}
}

func (m *meter) swept(ctx context.Context, cluster fleet.ClusterName, result string, d time.Duration) {
	m.duration.Record(ctx, d.Seconds(), metric.WithAttributes(attribute.String(telemetry.LabelCluster, string(cluster)), attribute.String(telemetry.LabelResult, result)))
}

func (m *meter) incomplete(ctx context.Context, cluster fleet.ClusterName, section fleet.SectionName) {
	m.gaps.Add(ctx, 1, metric.WithAttributes(attribute.String(telemetry.LabelCluster, string(cluster)), attribute.String(telemetry.LabelSection, string(section))))
}
