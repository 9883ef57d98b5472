package telemetry

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/prometheus/otlptranslator"
)

// Series are the names under which Prometheus has a metric: one, or the three of a
// histogram.
func (m *Metric) Series() []string {
	name := m.prometheus()
	if m.Kind != Histogram {
		return []string{name}
	}
	return []string{name + "_bucket", name + "_sum", name + "_count"}
}

func (m *Metric) prometheus() string {
	types := map[Kind]otlptranslator.MetricType{
		Counter: otlptranslator.MetricTypeMonotonicCounter, Gauge: otlptranslator.MetricTypeGauge, Histogram: otlptranslator.MetricTypeHistogram,
	}
	namer := otlptranslator.NewMetricNamer("", Translation)
	name, err := namer.Build(otlptranslator.Metric{Name: m.Name, Unit: m.Unit, Type: types[m.Kind]})
	if err != nil {
		panic(fmt.Sprintf("telemetry: metric %q: %v", m.Name, err))
	}
	return name
}

// Translation is how names of OpenTelemetry become names of Prometheus.
var Translation = otlptranslator.UnderscoreEscapingWithSuffixes

// MetricsPage is docs/metrics.md.
func MetricsPage() []byte {
	var b bytes.Buffer
	b.WriteString("# Metrics\n\n" +
		"Each service serves them for Prometheus at `/metrics` of its `HEALTH_ADDR`, and sends them by OTLP where\n" +
		"`OTEL_EXPORTER_OTLP_ENDPOINT` says so; there they have the name of OpenTelemetry. `deploy/grafana` has a dashboard and\n" +
		"`deploy/prometheus` alert rules that use them; what to do about an alert is in [operations.md](operations.md).\n\n" +
		"Gauges of a cluster come from the planner that holds its lease, so there is one of each.\n" +
		"Beside them are those of the libraries: `go_*` and `process_*`, and `db_client_*` of the Redis client.\n")
	for _, kind := range []Kind{Gauge, Counter, Histogram} {
		fmt.Fprintf(&b, "\n## %ss\n\n| Prometheus | OpenTelemetry | unit | labels | from | meaning |\n|---|---|---|---|---|---|\n",
			strings.ToUpper(string(kind[:1]))+string(kind[1:]))
		for _, m := range all {
			if m.Kind == kind {
				fmt.Fprintf(&b, "| `%s` | `%s` | %s | %s | %s | %s |\n", m.prometheus(), m.Name, unitWords(m.Unit), strings.Join(m.Labels, ", "), m.From, m.Help)
			}
		}
	}
	b.WriteString("\nA histogram has the series `…_bucket`, `…_sum` and `…_count`.\n\n## Labels\n\nNone of them grows with what runs: no instance, task, plan or request has a label.\n\n| label | holds |\n|---|---|\n")
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		fmt.Fprintf(&b, "| `%s` | %s |\n", name, labels[name])
	}
	return b.Bytes()
}

// unitWords is a unit for people: annotations are in braces.
func unitWords(unit string) string {
	switch unit {
	case "", "{bool}":
		return ""
	case "1":
		return "ratio"
	case "By":
		return "bytes"
	case "s":
		return "seconds"
	}
	return strings.Trim(unit, "{}")
}
