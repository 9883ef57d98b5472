package sim

import (
	"fmt"
	"time"

	"github.com/neap-project/neap/libs/fleet"
)

// This file is ECS cluster auto scaling: how ECS itself scales the auto scaling group of a
// capacity provider with managed scaling. The sources are the ECS Developer Guide's pages
// "Automatically manage Amazon ECS capacity with cluster auto scaling" (2026), "Amazon ECS
// cluster Auto Scaling" (2023: managed scale-out behaviour, scale-out and scale-in
// considerations), the API reference of ManagedScaling, AWS's article "Deep Dive on Amazon
// ECS Cluster Auto Scaling", and AWS's announcement of 2022-09-16 for the pace of scale-in.
//
// Each minute ECS publishes CapacityProviderReservation = M / N × 100, where N is how many
// instances run and M how many are needed. Two alarms of a target tracking policy follow
// it: above the target for one minute the group grows, below it for 15 minutes it shrinks.

// reservation is where managed scaling stands with a capacity provider.
type reservation struct {
	ticking bool
	percent float64 // the last datapoint
	low     int     // datapoints below the target in a row
}

const (
	reservationPace = time.Minute // "every minute"
	lowDatapoints   = 15          // the low alarm needs 15 datapoints of a minute
	fromNothing     = 2           // a scale-out from 0 instances launches 2 (CapacityProviderReservation is 200)
)

// watch begins to publish the reservation of a capacity provider with managed scaling that
// is associated with a cluster.
func (w *World) watch(p *provider) {
	if p == nil || p.ticking || !p.managed() || p.group == nil || w.clusterOf(p) == nil {
		return
	}
	p.ticking = true
	w.in(reservationPace, datapoint{p})
}

// datapoint is the minute in which the reservation of a capacity provider is published.
type datapoint struct{ p *provider }

func (e datapoint) happen(w *World) {
	p := e.p
	p.ticking = false
	c := w.clusterOf(p)
	if !p.managed() || c == nil || p.Status != statusActive || p.group.deleting {
		p.reservation = reservation{}
		return
	}
	w.guard(p)
	running, needed := w.demand(p, c)
	settings := p.AutoScalingGroupProvider.ManagedScaling
	p.percent = reserved(running, needed)
	wanted := (needed*100 + settings.TargetCapacity - 1) / settings.TargetCapacity
	if running == 0 && needed > 0 {
		wanted = fromNothing
	}
	alarm := w.delay(w.cfg.Delays.Alarm, "alarm", p.Name, fmt.Sprint(w.now.Unix()))
	switch target := float64(settings.TargetCapacity); {
	case p.percent > target:
		p.low = 0
		w.in(alarm, scaleOut{p, wanted})
	case p.percent < target:
		p.low++
		if p.low >= lowDatapoints {
			w.in(alarm, scaleIn{p, wanted})
		}
	default:
		p.low = 0
	}
	w.watch(p)
}

// reserved is CapacityProviderReservation. Without instances it is 100 when none are
// needed and 200 when some are.
func reserved(running, needed int) float64 {
	const nothingNeeded, someNeeded = 100, 200
	switch {
	case running > 0:
		return float64(needed) / float64(running) * 100
	case needed > 0:
		return someNeeded
	}
	return nothingNeeded
}

// demand is how many instances of a provider run, N, and how many are needed, M. Without
// tasks in PROVISIONING those are needed that have a task other than of a daemon. With
// some, all that run are, and as many more as the tasks in PROVISIONING take, within the
// scaling steps. Tasks that would not fit the smallest types of the group do not count.
func (w *World) demand(p *provider, c *cluster) (running, needed int) {
	for _, m := range p.group.counted() {
		if m.machine.state != machineRunning {
			continue
		}
		running++
		if m.busy() {
			needed++
		}
	}
	waiting := map[fleet.Resources]int{}
	alone := map[fleet.Resources]bool{} // one to an instance
	for _, t := range c.waiting {
		if t.provider == p.Name {
			waiting[t.kind.needs]++
			if len(t.kind.ports) > 0 || t.kind.Distinct {
				alone[t.kind.needs] = true
			}
		}
	}
	if len(waiting) == 0 {
		return running, needed
	}
	more := 0
	//neap:unordered the most of all groups, whatever their order
	for need, count := range waiting {
		more = max(more, w.instancesFor(p.group, need, count, alone[need]))
	}
	if more == 0 {
		return running, running // all excluded: the reservation stays at 100
	}
	settings := p.AutoScalingGroupProvider.ManagedScaling
	more = min(max(more, settings.MinimumScalingStepSize), settings.MaximumScalingStepSize)
	if w.cfg.ExactScalingSteps && (len(w.typesOf(p.group)) > 1 || len(p.group.subnets) > 1) {
		more = settings.MinimumScalingStepSize
	}
	return running, running + more
}

// instancesFor is how many instances a group of like tasks takes: as many as on the
// largest types of the auto scaling group, sampled by each resource. If one of the
// smallest cannot run even one of the tasks, it is 0: the tasks are excluded.
func (w *World) instancesFor(g *group, need fleet.Resources, count int, alone bool) int {
	types := w.typesOf(g)
	if len(types) == 0 {
		return 0
	}
	most := 0
	for _, measure := range []func(fleet.Resources) int64{
		func(r fleet.Resources) int64 { return r.CPUUnits },
		func(r fleet.Resources) int64 { return r.MemoryMiB },
		func(r fleet.Resources) int64 { return r.ENIs },
		func(r fleet.Resources) int64 { return r.GPUs },
	} {
		smallest, largest := types[0], types[0]
		for _, t := range types[1:] {
			if measure(t) < measure(smallest) {
				smallest = t
			}
			if measure(t) > measure(largest) {
				largest = t
			}
		}
		if !need.Fits(smallest) {
			return 0
		}
		each := timesIn(need, largest, count)
		if alone {
			each = min(each, 1)
		}
		most = max(most, (count+each-1)/max(each, 1))
	}
	return most
}

// timesIn is how often a need fits into a size, at most so many times.
func timesIn(need, size fleet.Resources, most int) int {
	times := most
	for _, r := range [][2]int64{
		{need.CPUUnits, size.CPUUnits}, {need.MemoryMiB, size.MemoryMiB}, {need.GPUs, size.GPUs}, {need.ENIs, size.ENIs},
	} {
		if r[0] > 0 {
			times = min(times, int(r[1]/r[0]))
		}
	}
	return times
}

// typesOf is what the types of a group register.
func (w *World) typesOf(g *group) []fleet.Resources {
	var list []fleet.Resources
	add := func(name string) {
		if t := w.typeNamed[name]; t != nil {
			size := t.registers(0)
			if w.settings[settingTrunking] == settingEnabled && t.trunkTasks > 0 {
				size.ENIs = t.trunkTasks
			}
			list = append(list, size)
		}
	}
	if g.mixed != nil {
		for _, o := range g.mixed.LaunchTemplate.Overrides.Member {
			add(o.InstanceType)
		}
	}
	if len(list) > 0 {
		return list
	}
	if t, err := w.template(LaunchTemplateSpecification(g.launches())); err == nil {
		if v, err := t.version(g.launches().Version); err == nil {
			add(v.LaunchTemplateData.InstanceType)
		}
	}
	return list
}

// scaleOut is when the high alarm lets a group grow. That is blocked while an instance is
// within the warm-up period, measured from its launch.
type scaleOut struct {
	p      *provider
	wanted int
}

func (e scaleOut) happen(w *World) {
	g := e.p.group
	if !e.p.managed() || g.deleting || w.warming(e.p) {
		return
	}
	w.scaleTo(e.p, min(e.wanted, g.most), e.wanted > g.desired)
}

func (w *World) warming(p *provider) bool {
	warm := time.Duration(p.AutoScalingGroupProvider.ManagedScaling.warmUp()) * time.Second
	for _, m := range p.group.counted() {
		if w.now.Sub(m.machine.launched) < warm {
			return true
		}
	}
	return false
}

// scaleIn is when the low alarm lets a group shrink: by half of its instances at most
// (since September 2022, AWS's announcement; it was 5 % before), and not while the last
// step is under way.
type scaleIn struct {
	p      *provider
	wanted int
}

func (e scaleIn) happen(w *World) {
	p, g := e.p, e.p.group
	have := len(g.counted())
	if !p.managed() || g.deleting || p.low < lowDatapoints || have < len(g.members) {
		return
	}
	w.guard(p)
	most := max(have/2, 1)
	w.scaleTo(p, max(e.wanted, have-most, g.least), true)
}

// scaleTo sets the desired capacity of a group, as the target tracking policy does.
func (w *World) scaleTo(p *provider, desired int, wanted bool) {
	g := p.group
	if !wanted || desired == g.desired {
		return
	}
	before := g.desired
	g.desired = desired
	w.act(g, fmt.Sprintf("Setting desired capacity from %d to %d", before, desired), w.cause(fmt.Sprintf(
		"a monitor alarm TargetTracking-%s in state ALARM triggered policy ECSManagedAutoScalingPolicy-%s changing the desired capacity from %d to %d.", g.name, p.Name, before, desired)), "")
	g.retryAt = w.now
	w.groupReacts(g)
}

// guard is managed termination protection: instances with tasks other than of daemons are
// protected from scale-in, those without are not. An instance that has not registered yet
// keeps what it has.
func (w *World) guard(p *provider) {
	if p.AutoScalingGroupProvider.ManagedTerminationProtection != settingOn {
		return
	}
	for _, m := range p.group.counted() {
		if m.machine.host != nil {
			m.protected = m.busy()
		}
	}
}

// Reservation is the last datapoint of CapacityProviderReservation of a capacity provider,
// in percent; ok is false if ECS publishes none.
func (w *World) Reservation(name string) (percent float64, ok bool) {
	p := w.provider(name)
	if p == nil || !p.ticking {
		return 0, false
	}
	return p.percent, true
}
