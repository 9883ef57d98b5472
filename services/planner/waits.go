package planner

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/neap-project/neap/libs/adapters/telemetry"
	"github.com/neap-project/neap/libs/fleet"
)

// waits remembers from turn to turn how many tasks of each group wait and run. Of the one
// turn at a time.
type waits struct {
	groups map[string]wait
}

type wait struct {
	waiting, running int
	since            time.Time // of those that wait longest
}

// waited are tasks that have waited for so long.
type waited struct {
	tasks int
	time  time.Duration
}

// ran tells which tasks no longer wait because they were placed: of a group, as many as
// fewer wait and more run than a turn ago. Who gave up waiting has not run.
func (w *waits) ran(snap *fleet.Snapshot, decided *fleet.Plan) []waited {
	now := map[string]wait{}
	for i := range decided.Demand {
		u := &decided.Demand[i]
		g := now[u.Group]
		g.waiting += u.Count
		if g.since.IsZero() || !u.Since.IsZero() && u.Since.Before(g.since) {
			g.since = u.Since
		}
		now[u.Group] = g
	}
	for _, t := range snap.Tasks {
		name := snap.TaskGroups[t.Group].Group
		g := now[name]
		g.running += t.Running
		now[name] = g
	}
	var placed []waited
	for name, before := range w.groups {
		g := now[name]
		if tasks := min(before.waiting-g.waiting, g.running-before.running); tasks > 0 && !before.since.IsZero() {
			placed = append(placed, waited{tasks, snap.TakenAt.Sub(before.since)})
		}
	}
	w.groups = now
	return placed
}

// launchedFor records how long tasks have waited until a plan launched for them.
func (m *meter) launchedFor(ctx context.Context, decided *fleet.Plan) {
	if decided.DryRun {
		return
	}
	for i := range decided.Demand {
		if u := &decided.Demand[i]; u.Launched > 0 && !u.Since.IsZero() {
			m.waited(ctx, m.toLaunch, decided.Cluster, waited{u.Launched, decided.MadeAt.Sub(u.Since)})
		}
	}
}

// waited records each task: a histogram takes one value at a time, and the tenth thousand
// of tasks that waited together says nothing new.
func (m *meter) waited(ctx context.Context, h metric.Float64Histogram, cluster fleet.ClusterName, w waited) {
	const most = 10_000
	of := metric.WithAttributeSet(attribute.NewSet(attribute.String(telemetry.LabelCluster, string(cluster))))
	for range min(w.tasks, most) {
		h.Record(ctx, max(w.time.Seconds(), 0), of)
	}
}
