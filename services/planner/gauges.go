package planner

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/neap-project/neap/libs/adapters/telemetry"
	"github.com/neap-project/neap/libs/fleet"
)

// figures are what the latest turn found out about a cluster.
type figures struct {
	summary  fleet.Summary
	paused   bool
	waiting  map[fleet.ReasonCode]int // tasks, by why they wait
	capacity capacity
	savings  fleet.Price
}

// reading is what can be read of a cluster when somebody asks; what is not known is nil.
type reading struct {
	age      *time.Duration // of the newest snapshot
	latest   *figures
	standing *fleet.Standing
}

// readings calls f with what is known of each cluster that this replica plans for.
func (p *Planner) readings(f func(fleet.ClusterName, reading)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for cluster, d := range p.desks {
		d.mu.Lock()
		r := reading{latest: d.latest, standing: d.standing}
		if d.view != nil {
			age := time.Since(d.view.stored)
			r.age = &age
		}
		d.mu.Unlock()
		f(cluster, r)
	}
}

// measure notes what a turn found out.
func (p *Planner) measure(ctx context.Context, d *desk, snap *fleet.Snapshot, decided *fleet.Plan, paused bool) {
	latest := &figures{
		summary: decided.Summary, paused: paused, waiting: waitingFor(decided.Demand),
		capacity: capacityOf(snap), savings: savingsOf(snap),
	}
	d.mu.Lock()
	d.latest = latest
	d.mu.Unlock()
	for _, w := range d.waits.ran(snap, decided) {
		p.meter.waited(ctx, p.meter.toRun, d.cluster, w)
	}
}

// instruments are those that are read when somebody asks.
type instruments struct {
	age, paused, instances, running, waiting, unplaced metric.Float64ObservableGauge
	cpu, memory, gpu, wanted, present                  metric.Float64ObservableGauge
	cost, savings, paid, bound, ratio                  metric.Float64ObservableGauge
}

// newGauges makes the instruments, and reads them until the registration ends.
func newGauges(m metric.Meter, readings func(func(fleet.ClusterName, reading))) metric.Registration {
	g := instruments{
		age: telemetry.SnapshotAge.Gauge(m), paused: telemetry.Paused.Gauge(m), instances: telemetry.Instances.Gauge(m),
		running: telemetry.TasksRunning.Gauge(m), waiting: telemetry.TasksWaiting.Gauge(m), unplaced: telemetry.TasksUnplaced.Gauge(m),
		cpu: telemetry.CapacityCPU.Gauge(m), memory: telemetry.CapacityMemory.Gauge(m), gpu: telemetry.CapacityGPU.Gauge(m),
		wanted: telemetry.HeadroomWanted.Gauge(m), present: telemetry.HeadroomPresent.Gauge(m),
		cost: telemetry.Cost.Gauge(m), savings: telemetry.Savings.Gauge(m),
		paid: telemetry.StandingCost.Gauge(m), bound: telemetry.StandingBound.Gauge(m), ratio: telemetry.StandingRatio.Gauge(m),
	}
	registered, _ := m.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		readings(func(cluster fleet.ClusterName, r reading) {
			g.read(cluster, r, o)
		})
		return nil
	}, g.age, g.paused, g.instances, g.running, g.waiting, g.unplaced, g.cpu, g.memory, g.gpu, g.wanted, g.present, g.cost, g.savings, g.paid, g.bound, g.ratio)
	return registered
}

func (g *instruments) read(cluster fleet.ClusterName, r reading, o metric.Observer) {
	of := attribute.String(telemetry.LabelCluster, string(cluster))
	put := func(gauge metric.Float64ObservableGauge, v float64, more ...attribute.KeyValue) {
		o.ObserveFloat64(gauge, v, metric.WithAttributes(append(more, of)...))
	}
	state := func(s string) attribute.KeyValue { return attribute.String(telemetry.LabelState, s) }
	if r.age != nil {
		put(g.age, r.age.Seconds())
	}
	if st := r.standing; st != nil && st.Bound > 0 {
		put(g.paid, st.Cost.USD())
		put(g.bound, st.Bound.USD())
		put(g.ratio, st.Ratio())
	}
	if r.latest == nil {
		return
	}
	s := &r.latest.summary
	for why, tasks := range r.latest.waiting {
		put(g.waiting, float64(tasks), attribute.String(telemetry.LabelReason, string(why)))
	}
	paused := 0.0
	if r.latest.paused {
		paused = 1
	}
	put(g.paused, paused)
	put(g.running, float64(s.TasksRunning))
	put(g.unplaced, float64(s.TasksUnplaced))
	put(g.wanted, float64(s.HeadroomWanted))
	put(g.present, float64(s.HeadroomPresent))
	put(g.cost, s.Cost.USD())
	put(g.savings, r.latest.savings.USD())
	put(g.instances, float64(s.Launching), state("launching"))
	put(g.instances, float64(s.Draining), state("draining"))
	put(g.instances, float64(max(s.Instances-s.Draining, 0)), state("running"))
	for name, of := range r.latest.capacity.states() {
		put(g.cpu, float64(of.CPUUnits)/1024, state(name))
		put(g.memory, float64(of.MemoryMiB)*(1<<20), state(name))
		put(g.gpu, float64(of.GPUs), state(name))
	}
}

// waitingFor counts tasks by why they wait. Demand, as the reason most asked for, is always
// among them, if only with no task.
func waitingFor(demand []fleet.UnmetDemand) map[fleet.ReasonCode]int {
	count := map[fleet.ReasonCode]int{fleet.ReasonDemand: 0}
	for i := range demand {
		u := &demand[i]
		count[fleet.ReasonDemand] += u.Launched
		switch {
		case u.Unplaced > 0 || u.Launched > 0: // the reason is about these
			count[u.Reason.Code] += u.Unplaced
			count[fleet.ReasonFitsNow] += u.FitNow
		default:
			count[u.Reason.Code] += u.FitNow
		}
	}
	return count
}

// capacity is what instances bring and tasks ask for.
type capacity struct{ registered, free, requested fleet.Resources }

func (c *capacity) states() map[string]fleet.Resources {
	return map[string]fleet.Resources{"registered": c.registered, "free": c.free, "requested": c.requested}
}

// capacityOf adds up the active instances, the tasks on all instances and those that are
// missing.
func capacityOf(snap *fleet.Snapshot) capacity {
	var c capacity
	for i := range snap.Instances {
		if inst := &snap.Instances[i]; inst.Status == fleet.StatusActive {
			c.registered = c.registered.Add(inst.Registered)
			c.free = c.free.Add(inst.Remaining)
		}
	}
	ask := func(group, tasks int) {
		if tasks > 0 && group != fleet.NoIndex {
			c.requested = c.requested.Add(snap.TaskGroups[group].Needs.Times(int64(tasks)))
		}
	}
	for _, t := range snap.Tasks {
		ask(t.Group, t.Running)
	}
	for i := range snap.Services {
		if snap.Services[i].Scheduling == fleet.Daemon {
			continue // as many as there are instances
		}
		for _, d := range snap.Services[i].Deployments {
			ask(d.Group, d.Desired-d.Running-d.Pending)
		}
	}
	for _, w := range snap.Waiting {
		if w.Refused || snap.TaskGroups[w.Group].Standalone { // others are missing from their service, too
			ask(w.Group, w.Count)
		}
	}
	return c
}

// savingsOf is what the spot instances would cost more at on-demand prices, those of Linux: a
// licence costs the same on both markets.
func savingsOf(snap *fleet.Snapshot) fleet.Price {
	types := make(map[fleet.TypeName]*fleet.InstanceType, len(snap.Types))
	for i := range snap.Types {
		types[snap.Types[i].Name] = &snap.Types[i]
	}
	var saved fleet.Price
	for i := range snap.Instances {
		inst := &snap.Instances[i]
		t := types[inst.Type]
		if t == nil || inst.Lifecycle != fleet.Spot || inst.Status == fleet.StatusGone {
			continue
		}
		for _, z := range t.Zones {
			if z.Zone == inst.Zone && z.Spot > 0 {
				saved += max(t.OnDemand-z.Spot, 0)
			}
		}
	}
	return saved
}
