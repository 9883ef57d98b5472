package planner

import (
	"context"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/neap-project/neap/libs/adapters/cache"
	"github.com/neap-project/neap/libs/adapters/service"
	"github.com/neap-project/neap/libs/adapters/telemetry"
	"github.com/neap-project/neap/libs/fleet"
)

// meter is what the planner measures.
type meter struct {
	duration metric.Float64Histogram
	plans    metric.Int64Counter
	launches metric.Int64Counter
	removals metric.Int64Counter
	holds    metric.Int64Counter
	looks    metric.Int64Counter
	toLaunch metric.Float64Histogram
	toRun    metric.Float64Histogram
	observed metric.Registration
}

// newMeter makes the instruments.
func newMeter(proc *service.Process, readings func(func(fleet.ClusterName, reading))) meter {
	m := proc.Meter
	r := meter{
		duration: telemetry.PlanDuration.Histogram(m), plans: telemetry.Plans.Counter(m),
		launches: telemetry.PlanLaunches.Counter(m), removals: telemetry.PlanRemovals.Counter(m),
		holds: telemetry.PlanHolds.Counter(m), looks: telemetry.PlanLooks.Counter(m),
		toLaunch: telemetry.TasksTimeToLaunch.Histogram(m), toRun: telemetry.TasksTimeToRun.Histogram(m),
	}
	r.observed = newGauges(m, readings)
	return r
}

func (m *meter) close() {
	if m.observed != nil {
		_ = m.observed.Unregister() // it never fails
	}
}

func (m *meter) took(ctx context.Context, cluster fleet.ClusterName, d time.Duration) {
	m.duration.Record(ctx, d.Seconds(), metric.WithAttributes(attribute.String(telemetry.LabelCluster, string(cluster))))
}

func (m *meter) held(ctx context.Context, cluster fleet.ClusterName, why fleet.ReasonCode) {
	m.holds.Add(ctx, 1, metric.WithAttributes(attribute.String(telemetry.LabelCluster, string(cluster)), attribute.String(telemetry.LabelReason, string(why))))
}

// announce logs and counts a plan that was appended: once for each decision.
func (p *Planner) announce(ctx context.Context, d *desk, decided *fleet.Plan) {
	count := map[fleet.ActionKind]int{}
	for i := range decided.Actions {
		a := &decided.Actions[i]
		n := 1
		if a.Launch != nil {
			n = a.Launch.Count
		}
		count[a.Kind] += n
		p.meter.action(ctx, decided, a, n)
	}
	p.meter.plans.Add(ctx, 1, metric.WithAttributes(attribute.String(telemetry.LabelCluster, string(d.cluster)), attribute.Bool(telemetry.LabelDryRun, decided.DryRun)))
	p.meter.launchedFor(ctx, decided)
	p.proc.Log.InfoContext(ctx, "planned", "cluster", d.cluster, "plan", decided.ID.Short(), "dry_run", decided.DryRun,
		"launch", count[fleet.ActionLaunch], "drain", count[fleet.ActionDrain], "restore", count[fleet.ActionRestore],
		"reap", count[fleet.ActionReap], "close", len(decided.Closures), "reason", reasonOf(decided),
		"cost", decided.Summary.Cost.String(), "cost_after", decided.Summary.CostAfter.String(), packedWords(decided, d.stop))
}

// action counts what will be done; a dry run does nothing.
func (m *meter) action(ctx context.Context, decided *fleet.Plan, a *fleet.Action, n int) {
	if decided.DryRun {
		return
	}
	of := metric.WithAttributes(attribute.String(telemetry.LabelCluster, string(decided.Cluster)), attribute.String(telemetry.LabelReason, string(a.Reason.Code)))
	switch a.Kind {
	case fleet.ActionLaunch:
		m.launches.Add(ctx, int64(n), of)
	case fleet.ActionDrain, fleet.ActionReap:
		m.removals.Add(ctx, int64(n), of)
	case fleet.ActionRestore:
	}
}

// reasonOf puts the reasons of a plan's actions into a line: each kind once.
func reasonOf(decided *fleet.Plan) string {
	var texts []string
	seen := map[fleet.ReasonCode]bool{}
	for i := range decided.Actions {
		if r := decided.Actions[i].Reason; !seen[r.Code] {
			seen[r.Code] = true
			texts = append(texts, r.String())
		}
	}
	if len(texts) == 0 && len(decided.Closures) > 0 {
		texts = append(texts, "earlier actions ended: "+decided.Closures[0].Evidence)
	}
	if len(texts) == 0 {
		return "nothing is proposed any more"
	}
	return strings.Join(texts, "; ")
}

// show keeps the latest plan for people, and says once what it could not do for whom.
func (p *Planner) show(ctx context.Context, d *desk, decided *fleet.Plan) {
	cache.Set(ctx, p.cache, PlanKey(d.cluster), *decided, explanationAge)

	if d.changed("hold", "") {
		p.proc.Log.InfoContext(ctx, "planning", "cluster", d.cluster)
	}
	var codes, texts []string
	for _, u := range decided.Demand {
		if u.Unplaced > 0 {
			codes = append(codes, u.Group+" "+string(u.Reason.Code))
			texts = append(texts, u.Group+": "+u.Reason.String())
		}
	}
	slices.Sort(codes)
	if !d.changed("unplaced", strings.Join(codes, ", ")) {
		return
	}
	if len(codes) == 0 {
		p.proc.Log.InfoContext(ctx, "room was found for every task", "cluster", d.cluster)
		return
	}
	const most = 5 // the rest is in the plan
	p.proc.Log.WarnContext(ctx, "no room can be bought for some tasks", "cluster", d.cluster,
		"tasks", decided.Summary.TasksUnplaced, "groups", len(codes), "reasons", texts[:min(len(texts), most)])
}
