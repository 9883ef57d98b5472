// Package telemetry declares every metric that Neap emits and every span of its traces:
// what they are called, what they say and by which labels and attributes. docs/metrics.md
// and docs/traces.md are written from these declarations; dashboards and alert rules are
// checked against them.
//
//	duration := telemetry.PlanDuration.Histogram(proc.Meter)
//	duration.Record(ctx, took.Seconds(), metric.WithAttributes(attribute.String(telemetry.LabelCluster, "web")))
//
// Labels are of a kind that stays few, however long Neap runs: clusters, reasons, steps,
// operations. What is one of many (an instance, a plan, a task) is in traces and logs.
package telemetry
