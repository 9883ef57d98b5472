// Package planner decides, for each cluster whose lease it holds, what to do about the
// newest snapshot, and appends the plan to the cluster's chain. The decision itself is
// [plan.Make]; here is only what has to be read for it and what becomes of it.
//
// The latest plan of a cluster, appended or not, is in the cache under [PlanKey] as a
// [fleet.Plan]: it explains what was decided, what was refused and why. Beside it, under
// [StandingKey], is what the cluster costs and the least that it could cost.
package planner

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/sync/errgroup"

	"github.com/neap-project/neap/libs/adapters/bus"
	"github.com/neap-project/neap/libs/adapters/cache"
	"github.com/neap-project/neap/libs/adapters/service"
	"github.com/neap-project/neap/libs/adapters/telemetry"
	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/plan"
)

// How old a snapshot may be when it is planned on, by the time NATS stored it.
const (
	staleForRemoval = time.Minute     // four beats missed: the watcher is in trouble
	staleForAll     = 3 * time.Minute // ECS may have placed and moved anything since
)

// appendTries bounds how often one snapshot is planned again because another planner
// appended first. Two planners meet only while a lease changes hands.
const appendTries = 3

// longestWait is the longest wait between two tries to read from a bus that is away.
const longestWait = 30 * time.Second

// explanationAge is how long the latest plan is kept for people. An older one explains a
// cluster that is no more.
const explanationAge = time.Hour

// PlanKey is where the latest plan of a cluster is cached.
func PlanKey(cluster fleet.ClusterName) string { return "plan:" + cluster.Key() }

// StandingKey is where it is cached what a cluster costs beside the least it could cost, as a
// [fleet.Standing].
func StandingKey(cluster fleet.ClusterName) string { return "standing:" + cluster.Key() }

// Planner makes plans. Its methods may be used once New has returned it; Run does the work.
type Planner struct {
	cfg   Config
	bus   *bus.Bus
	cache *cache.Cache
	proc  *service.Process
	meter meter
	make  func(fleet.Snapshot, fleet.Policy, fleet.Memory) fleet.Plan // plan.Make
	slot  chan struct{}                                               // of the one standing that is found at a time

	mu    sync.Mutex
	desks map[fleet.ClusterName]*desk
}

// New builds a planner on a bus that is open. The cache may be off.
func New(cfg Config, b *bus.Bus, c *cache.Cache, proc *service.Process) *Planner {
	p := &Planner{
		cfg: cfg, bus: b, cache: c, proc: proc, make: plan.Make, slot: make(chan struct{}, 1), desks: map[fleet.ClusterName]*desk{},
	}
	p.meter = newMeter(proc, p.readings)
	return p
}

// Run plans until ctx ends; then it returns nil. Any other end is an error that a restart
// may cure.
func (p *Planner) Run(ctx context.Context) error {
	defer p.meter.close()
	stop, err := p.bus.Announce(ctx, p.proc.Name, service.Version(), p.cfg.Assignment.Name())
	if err != nil {
		return err
	}
	defer stop()
	p.proc.Health.Ready()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return p.bus.Outlive(ctx, p.cfg.Beat) })
	g.Go(func() error { return p.followSnapshots(ctx) })
	g.Go(func() error {
		return p.bus.Share(ctx, bus.Duty{Name: "plan", Holder: p.cfg.Assignment.Name(), Clusters: p.cfg.Assignment.Named(), Policy: p.notePolicy, Work: p.serve})
	})
	return g.Wait()
}

// serve plans for one cluster while its lease is held.
func (p *Planner) serve(ctx context.Context, cluster fleet.ClusterName) error {
	d := p.desk(cluster)
	d.open()
	defer d.close()
	defer d.looking.Wait()
	p.proc.Log.InfoContext(ctx, "planning for a cluster", "cluster", cluster)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { p.followStanding(ctx, d); return nil })
	g.Go(func() error {
		return p.proc.Every(ctx, "plan "+string(cluster), p.cfg.Beat, d.wake, func(ctx context.Context) error { return p.turn(ctx, d) })
	})
	return g.Wait()
}

// turn looks at a cluster once: it plans on the newest snapshot, or says why it does not.
func (p *Planner) turn(ctx context.Context, d *desk) error {
	d.began = time.Now()
	policy, ok := d.lastGoodPolicy()
	if !ok {
		return p.hold(ctx, d, fleet.Because(fleet.ReasonNoPolicy, "cluster"))
	}
	v, err := p.newest(ctx, d)
	if errors.Is(err, fleet.ErrNotFound) {
		return p.hold(ctx, d, fleet.Because(fleet.ReasonIncomplete, "cluster", "problem", "no watcher has published one of late"))
	}
	if err != nil {
		return err
	}
	if age := time.Since(v.stored); age > staleForAll {
		return p.hold(ctx, d, fleet.Because(fleet.ReasonStale, "cluster", "age", age.Round(time.Second), "limit", staleForAll))
	}
	for range appendTries {
		err = p.plan(ctx, d, v, policy)
		if err == nil {
			d.done(v)
		}
		if !errors.Is(err, fleet.ErrConflict) {
			return err
		}
		d.memory.forget() // another planner was first: read again, plan again
		rest(ctx, 50*time.Millisecond+rand.N(450*time.Millisecond))
	}
	return err
}

// plan decides on one snapshot and appends what was decided if it changes anything.
func (p *Planner) plan(ctx context.Context, d *desk, v view, policy fleet.Policy) (err error) {
	ctx, span := telemetry.SpanPlan.Start(trace.ContextWithRemoteSpanContext(ctx, v.trace), p.proc.Tracer,
		trace.WithAttributes(telemetry.AttrCluster.String(string(d.cluster))))
	defer func() {
		if err != nil {
			span.SetStatus(codes.Error, err.Error())
		}
		span.End()
	}()
	pause, err := p.bus.Control().Paused(ctx, d.cluster)
	if err != nil {
		return err // doubt counts as paused
	}
	roll, err := p.bus.Control().Roll(ctx, d.cluster)
	if err != nil {
		return err
	}
	if err := d.memory.refresh(ctx, p.bus, d.cluster); err != nil {
		return fmt.Errorf("remember %s: %w", d.cluster, p.remedy(err))
	}
	mem := d.memory.at(p.bus.Generation(), pause)
	mem.Roll = roll
	if v.snapshot.ReadStartedAt.Before(mem.PrevReadAt) {
		return nil // the chain knows of a newer one, which is on its way
	}
	started := time.Now()
	decided, from, err := p.decide(ctx, d, v, policy, mem)
	if err != nil {
		return err
	}
	span.SetAttributes(telemetry.AttrPlan.String(string(decided.ID)), telemetry.AttrActions.Int(len(decided.Actions)), telemetry.AttrDryRun.Bool(decided.DryRun))
	p.meter.took(ctx, d.cluster, time.Since(started))
	p.measure(ctx, d, &v.snapshot, &decided, pause.Paused())
	defer func() {
		if err == nil {
			d.ask(question{view: v, policy: policy, memory: d.memory.at(p.bus.Generation(), pause)})
		}
	}()
	if !d.memory.adds(&decided) {
		d.memory.notice(&decided)
		p.show(ctx, d, &decided)
		return nil
	}
	seq, err := p.bus.AppendPlan(ctx, &decided, d.memory.planSeq)
	if err != nil {
		return err
	}
	d.memory.remember(&decided, seq)
	p.announce(ctx, d, &decided)
	p.show(ctx, d, &decided)
	p.keep(ctx, d, &from)
	return nil
}

// keep stores what a plan was made from. That it cannot be stored hinders nobody, and is said
// once.
func (p *Planner) keep(ctx context.Context, d *desk, r *fleet.Record) {
	if !p.cfg.Records {
		return
	}
	text := ""
	if err := p.bus.KeepRecord(ctx, r); err != nil {
		text = err.Error()
	}
	if d.changed("record", text) && text != "" {
		p.proc.Log.WarnContext(ctx, "plans cannot be replayed: what they are made from is not kept", "cluster", d.cluster, "err", text)
	}
}

// remedy adds to an error that no time will cure what a person can do. What a damaged plan
// decided is not known, so nothing may be planned as if it were not there.
func (p *Planner) remedy(err error) error {
	const afresh = "nothing is planned for this cluster until \"neap bootstrap --generation %d\" begins a new generation, from what is there"
	next := p.bus.Generation() + 1
	switch {
	case errors.Is(err, fleet.ErrVersion):
		return fmt.Errorf("%w: a newer release wrote a plan: run that release; if none did, "+afresh, err, next)
	case errors.Is(err, fleet.ErrInvalid):
		return fmt.Errorf("%w: the chain of plans is damaged: "+afresh, err, next)
	}
	return err
}

// decide makes the plan, seals the trace in which it was made into it, and returns it with what it
// was made from. On a snapshot that is no longer fresh the decision is one of now, not of when it was
// taken: then rules about the age of a view hold for it.
func (p *Planner) decide(ctx context.Context, d *desk, v view, policy fleet.Policy, mem fleet.Memory) (fleet.Plan, fleet.Record, error) {
	if age := time.Since(v.stored); age > staleForRemoval {
		v.snapshot.TakenAt = v.snapshot.TakenAt.Add(age)
	}
	decided := p.look(ctx, d, v.snapshot, policy, mem)
	if span := trace.SpanContextFromContext(ctx); span.HasTraceID() {
		decided.Trace = span.TraceID().String()
	}
	err := decided.Seal()
	mem.Effort = decided.Effort
	return decided, fleet.Record{Plan: decided.ID, Cluster: d.cluster, Generation: decided.Generation, Snapshot: v.snapshot, Policy: policy, Memory: mem}, err
}

// hold decides to do nothing for want of a view or a policy, and says so once.
func (p *Planner) hold(ctx context.Context, d *desk, why fleet.Reason) error {
	p.meter.held(ctx, d.cluster, why.Code)
	d.forgetStanding()
	if d.changed("hold", string(why.Code)) {
		p.proc.Log.WarnContext(ctx, "holding: no plans are made", "cluster", d.cluster, "reason", why.String())
	}
	nothing := fleet.Plan{Cluster: d.cluster, Generation: p.bus.Generation(), MadeBy: plan.Version, Reasons: []fleet.Reason{why}}
	cache.Set(ctx, p.cache, PlanKey(d.cluster), nothing, explanationAge)
	return nil
}

// rest waits, or returns early when ctx ends.
func rest(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
