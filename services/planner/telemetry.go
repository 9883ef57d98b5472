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
	observed metric.Registration
}

// newMeter makes the instruments. One that cannot be made records nothing: planning does
// not depend on it.
func newMeter(proc *service.Process, figures func(func(fleet.ClusterName, *fleet.Summary, *fleet.Standing))) meter {
	m := proc.Meter
	var r meter
	r.duration, _ = m.Float64Histogram("neap.plan.duration", metric.WithUnit("s"), metric.WithDescription("Time it took to decide on one snapshot"))
	r.plans, _ = m.Int64Counter("neap.plans", metric.WithDescription("Plans appended to the chain"))
	r.launches, _ = m.Int64Counter("neap.plan.launches", metric.WithUnit("{instance}"), metric.WithDescription("Instances planned to be launched, by reason"))
	r.removals, _ = m.Int64Counter("neap.plan.removals", metric.WithUnit("{instance}"), metric.WithDescription("Instances planned to be removed, by reason"))
	r.holds, _ = m.Int64Counter("neap.plan.holds", metric.WithDescription("Looks at a cluster that made no plan, by reason"))
	r.looks, _ = m.Int64Counter("neap.plan.looks", metric.WithDescription("Decisions that launch something, by why they looked no longer for cheaper instances"))
	waiting, _ := m.Int64ObservableGauge("neap.tasks.waiting", metric.WithUnit("{task}"), metric.WithDescription("Tasks that are wanted and not placed"))
	unplaced, _ := m.Int64ObservableGauge("neap.tasks.unplaced", metric.WithUnit("{task}"), metric.WithDescription("Waiting tasks for which no room was found or may be bought"))
	cost, _ := m.Float64ObservableGauge("neap.cost", metric.WithUnit("USD/h"), metric.WithDescription("What the instances of the cluster cost now"))
	paid, _ := m.Float64ObservableGauge("neap.standing.cost", metric.WithUnit("USD/h"), metric.WithDescription("What the instances of the cluster cost when that was last compared with the least possible"))
	bound, _ := m.Float64ObservableGauge("neap.standing.bound", metric.WithUnit("USD/h"), metric.WithDescription("No cluster for the same tasks costs less under the policy"))
	ratio, _ := m.Float64ObservableGauge("neap.standing.ratio", metric.WithUnit("1"), metric.WithDescription("Cost as a multiple of the bound; 1 is as cheap as can be"))
	r.observed, _ = m.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		figures(func(cluster fleet.ClusterName, s *fleet.Summary, st *fleet.Standing) {
			of := metric.WithAttributes(attribute.String("cluster", string(cluster)))
			if s != nil {
				o.ObserveInt64(waiting, int64(s.TasksWaiting), of)
				o.ObserveInt64(unplaced, int64(s.TasksUnplaced), of)
				o.ObserveFloat64(cost, s.Cost.USD(), of)
			}
			if st != nil && st.Bound > 0 {
				o.ObserveFloat64(paid, st.Cost.USD(), of)
				o.ObserveFloat64(bound, st.Bound.USD(), of)
				o.ObserveFloat64(ratio, st.Ratio(), of)
			}
		})
		return nil
	}, waiting, unplaced, cost, paid, bound, ratio)
	return r
}

// figures calls f with the figures of each cluster that this replica plans for; those that
// are not known are nil.
func (p *Planner) figures(f func(fleet.ClusterName, *fleet.Summary, *fleet.Standing)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for cluster, d := range p.desks {
		d.mu.Lock()
		f(cluster, d.summary, d.standing)
		d.mu.Unlock()
	}
}

func (m *meter) close() {
	if m.observed != nil {
		_ = m.observed.Unregister() // it never fails
	}
}

func (m *meter) took(ctx context.Context, cluster fleet.ClusterName, d time.Duration) {
	m.duration.Record(ctx, d.Seconds(), metric.WithAttributes(attribute.String("cluster", string(cluster))))
}

func (m *meter) held(ctx context.Context, cluster fleet.ClusterName, why fleet.ReasonCode) {
	m.holds.Add(ctx, 1, metric.WithAttributes(attribute.String("cluster", string(cluster)), attribute.String("reason", string(why))))
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
	p.meter.plans.Add(ctx, 1, metric.WithAttributes(attribute.String("cluster", string(d.cluster)), attribute.Bool("dry_run", decided.DryRun)))
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
	of := metric.WithAttributes(attribute.String("cluster", string(decided.Cluster)), attribute.String("reason", string(a.Reason.Code)))
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
	d.mu.Lock()
	d.summary = &decided.Summary
	d.mu.Unlock()
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
