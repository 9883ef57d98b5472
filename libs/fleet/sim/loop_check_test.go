package sim_test

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/pack"
	"github.com/neap-project/neap/libs/fleet/plan"
)

// checkPlan checks what a plan must never do.
func (l *loop) checkPlan(p *fleet.Plan) {
	byID := map[fleet.InstanceID]int{}
	live, active, leaving := 0, 0, 0
	for i := range l.snap.Instances {
		inst := &l.snap.Instances[i]
		byID[inst.ID] = i
		if inst.Status == fleet.StatusActive {
			active++
		}
		if inst.Status == fleet.StatusDraining && inst.Notice.Kind == "" && inst.Owner != "" {
			leaving++
		}
		if inst.Status != fleet.StatusGone {
			live++
		}
	}
	drains := 0
	for i := range p.Actions {
		a := &p.Actions[i]
		if !l.calm.IsZero() && l.quiet && a.Drain == nil {
			l.note(p)
			l.fail("it had settled at %s, and now wants to %s: %s", l.calm.Format(time.TimeOnly), a.Kind, a.Reason.String())
		}
		if a.Drain == nil {
			continue
		}
		inst := &l.snap.Instances[byID[a.Drain.Instance]]
		if inst.Owner == "" {
			l.fail("it drains %s, which is not ours", inst.ID)
		}
		if a.Drain.Involuntary {
			continue
		}
		if inst.Notice.Kind == "" {
			drains++
		}
		for _, tc := range l.snap.Tasks {
			if tc.Instance == byID[a.Drain.Instance] && (tc.Protected > 0 || l.snap.TaskGroups[tc.Group].Restricted) {
				l.fail("it drains %s with a protected task", inst.ID)
			}
		}
	}
	if drains == 0 {
		return
	}
	if active-drains < l.pol.Limits.MinInstances {
		l.fail("it drains %d of %d instances, and %d is the least", drains, active, l.pol.Limits.MinInstances)
	}
	if most := max(1, live*l.pol.ScaleDown.MaxPercentage/100); leaving+drains > most {
		l.fail("%d instances leave at once, and %d of %d may", leaving+drains, most, live)
	}
}

// checkWorld checks what must hold in the world at any time.
func (l *loop) checkWorld() {
	alive, ours := 0, 0
	for _, i := range l.w.Truth().Instances {
		if i.State == "pending" || i.State == "running" {
			alive++
			if i.Action != "" {
				ours++
			}
		}
	}
	most := l.pol.Limits.MaxInstances
	if l.needs != nil {
		most += l.unowned // nobody knows whose they are before they register
	}
	if alive > most && ours > 0 && l.provider == "" { // what others launch knows no limit
		l.fail("%d instances live, and %d is the most", alive, l.pol.Limits.MaxInstances)
	}
}

// watchCalm notes since when everything runs and nothing is under way, by the world and by
// the plan that was just made of it. Where ECS moves tasks
// of its own accord, as it does to balance zones, rest begins anew: what is free is elsewhere
// then, and headroom that was whole may be in pieces.
func (l *loop) watchCalm() {
	if layout := l.layout(); layout != l.placed {
		l.placed, l.calm = layout, time.Time{}
	}
	if l.calm.IsZero() && l.quiet && l.unsettled() == "" {
		l.calm = l.w.Now()
	}
}

// layout says which tasks are where.
func (l *loop) layout() string {
	var b strings.Builder
	for _, i := range l.w.Truth().Instances {
		for _, group := range sorted(i.Groups) {
			fmt.Fprintf(&b, "%s %s %d\n", i.ID, group, i.Groups[group])
		}
	}
	return b.String()
}

// unsettled says what is not as it should be; "" if all is.
func (l *loop) unsettled() string {
	truth := l.w.Truth()
	if why := l.waits(); why != "" {
		return why
	}
	for _, s := range truth.Clusters[0].Services {
		if l.needs == nil && s.Running != s.Desired {
			return fmt.Sprintf("service %s runs %d of %d tasks", s.Name, s.Running, s.Desired)
		}
	}
	for _, i := range l.snap.Instances {
		if i.Status == fleet.StatusLaunching || i.Status == fleet.StatusDraining || i.Notice.Kind != "" && i.Status != fleet.StatusGone {
			return fmt.Sprintf("instance %s is %s %s", i.ID, i.Status, i.Notice.Kind)
		}
	}
	if s := &l.last.Summary; s.HeadroomPresent < s.HeadroomWanted && !l.headroomRefused() || s.Launching > 0 || s.Draining > 0 {
		return fmt.Sprintf("headroom is %d of %d, %d launching, %d draining", s.HeadroomPresent, s.HeadroomWanted, s.Launching, s.Draining)
	}
	for i := range l.pol.Headroom.Units {
		if u := &l.pol.Headroom.Units[i]; u.LaunchSpec == "" && !l.headroomRefused() {
			have := 0
			for _, inst := range truth.Instances {
				if inst.Status == "ACTIVE" {
					have += fits(inst.Remaining, u.Needs())
				}
			}
			if have < u.Count {
				return fmt.Sprintf("headroom: %d of %d units %d fit", have, u.Count, i)
			}
		}
	}
	return ""
}

// headroomRefused reports whether the plan says that some of the headroom cannot be had: a
// limit is in its way, or it is of a size that nothing has. Only wide worlds ask for such.
func (l *loop) headroomRefused() bool {
	return l.needs != nil && slices.ContainsFunc(l.last.Reasons, func(r fleet.Reason) bool {
		return r.Subject == "headroom" && slices.Contains([]fleet.ReasonCode{fleet.ReasonLimit, fleet.ReasonTooLarge, fleet.ReasonNoMatch}, r.Code)
	})
}

// fits is how many whole units fit into free room.
func fits(free, unit fleet.Resources) int {
	n := 0
	for unit.Fits(free) && n < 1000 {
		free = free.Sub(unit)
		n++
	}
	return n
}

// compareCost adds the cost ratio of a story that went well.
func (l *loop) compareCost(ratios []float64) []float64 {
	if ratio, ok := l.costRatio(); ok && !l.t.Failed() {
		return append(ratios, ratio)
	}
	return ratios
}

// costRatio compares what runs with the least that anything that holds it could cost. It
// is not known of a cluster with instances that are not ours or may not be removed, or that
// needs nothing.
func (l *loop) costRatio() (float64, bool) {
	if l.restricted {
		return 0, false
	}
	snap := l.eye.look()
	for i := range snap.Instances {
		if snap.Instances[i].Owner == "" && snap.Instances[i].Status == fleet.StatusActive {
			return 0, false
		}
	}
	cost, bound := l.w.Truth().CostPerHour, l.lowerBound(&snap)
	if bound == 0 {
		if cost > 0 {
			l.fail("nothing is needed, and it costs %s", cost)
		}
		return 0, false
	}
	return float64(cost) / float64(bound), true
}

// lowerBound is the least that the desired tasks and the headroom could cost on whole
// instances of nominal size: without the rules about which may be where, but for how many
// instances they ask for.
func (l *loop) lowerBound(snap *fleet.Snapshot) fleet.Price {
	pol := l.pol.WithDefaults()
	var p pack.Problem
	cheapest := fleet.Price(0)
	for i := range pol.LaunchSpecs {
		spec := &pol.LaunchSpecs[i]
		share := float64(*spec.SpotPercentage) / 100
		for j := range snap.Types {
			t := &snap.Types[j]
			if !plan.TypeAllowed(&spec.Types, t) {
				continue
			}
			spot := t.OnDemand
			for _, z := range t.Zones {
				if z.Spot > 0 {
					spot = min(spot, z.Spot)
				}
			}
			price := fleet.Price(share*float64(spot) + (1-share)*float64(t.OnDemand))
			if cheapest == 0 || price < cheapest {
				cheapest = price
			}
			p.Offerings = append(p.Offerings, pack.Offering{
				Name: fmt.Sprintf("%s %s", spec.Name, t.Name), Price: price,
				Capacity: fleet.Resources{CPUUnits: t.VCPUs * 1024, MemoryMiB: t.MemoryMiB, GPUs: t.GPUs, ENIs: max(t.TrunkTasks, t.MaxENIs)},
			})
		}
	}
	least := pol.Limits.MinInstances
	add := func(name string, needs fleet.Resources, count int) {
		if count > 0 {
			p.Items = append(p.Items, pack.Item{Name: name, Needs: needs, Count: count})
			least = max(least, 1)
		}
	}
	for i := range snap.Services {
		s := &snap.Services[i]
		if s.Scheduling == fleet.Daemon {
			continue
		}
		g := &snap.TaskGroups[s.Deployments[0].Group]
		add(g.Group, g.Needs, s.Desired)
		if g.Distinct || len(g.Ports) > 0 {
			least = max(least, s.Desired)
		}
	}
	for i := range pol.Headroom.Units {
		u := &pol.Headroom.Units[i]
		add(fmt.Sprintf("headroom %d", i), u.Needs(), u.Count)
	}
	return max(pack.Solve(p).LowerBound, fleet.Price(least)*cheapest)
}
