// Package outcome folds what happened into what the planner remembers.
//
// A planner's [fleet.Memory] is nothing but the fold of two streams: [Remember] for each
// plan of the cluster's chain, in order, and [Fold] for each outcome. Planners that read
// the same streams remember the same, so any of them can make the next plan.
package outcome

import (
	"cmp"
	"slices"
	"time"

	"github.com/neap-project/neap/libs/fleet"
)

// How long an offering that had no capacity is not asked for again. Each strike in a row
// doubles the wait.
const (
	firstCapacityWait = 3 * time.Minute  // EC2 capacity often returns within minutes
	firstQuotaWait    = 5 * time.Minute  // a quota needs a person, or instances to end
	longestWait       = 30 * time.Minute // any longer and recovered capacity stays unused
	forgetStrikes     = 30 * time.Minute // after the wait ended without a new strike
)

// Remember folds a committed plan: its actions are open from now on, its closures end
// earlier ones. It takes time linear in the open actions.
func Remember(mem fleet.Memory, p *fleet.Plan) fleet.Memory {
	mem.Generation = p.Generation
	mem.Prev = p.ID
	mem.PrevReadAt = p.ReadStartedAt

	closed := make(map[fleet.ActionID]bool, len(p.Closures))
	for _, c := range p.Closures {
		closed[c.Action] = true
	}
	open := make([]fleet.Open, 0, len(mem.Open)+len(p.Actions))
	for _, o := range mem.Open {
		if !closed[o.Action.ID] {
			open = append(open, o)
		}
	}
	for i := range p.Actions {
		if p.DryRun {
			break // nobody executes them
		}
		open = append(open, fleet.Open{Action: p.Actions[i], Plan: p.ID, PlannedAt: p.MadeAt})
		switch p.Actions[i].Kind {
		case fleet.ActionLaunch:
			mem.LaunchedAt = p.MadeAt
		case fleet.ActionDrain, fleet.ActionReap:
			mem.RemovedAt = p.MadeAt
		case fleet.ActionRestore:
		}
	}
	mem.Open = open
	mem.Removed = removed(mem.Removed, p)
	mem = Notice(mem, p)
	mem.Shortages = slices.DeleteFunc(slices.Clone(mem.Shortages), func(s fleet.Shortage) bool {
		return p.MadeAt.Sub(s.Until) > forgetStrikes
	})
	if d := mem.Drought; p.MadeAt.Sub(later(d.At, d.Until)) > forgetStrikes {
		mem.Drought = fleet.Drought{}
	}
	mem.Setbacks = slices.DeleteFunc(slices.Clone(mem.Setbacks), func(s fleet.Setback) bool {
		return p.MadeAt.Sub(s.Until) > forgetStrikes || p.Policy != mem.Policy // what was wrong may be mended
	})
	mem.Policy = p.Policy
	return mem
}

// What is remembered of removals: as long as it can matter, and no more than a message
// holds. The oldest of so many are the least likely to be bought again.
const (
	rememberRemoved = time.Hour
	mostRemoved     = 200
)

// removed adds what a plan removes of its own will, and forgets what was long ago.
func removed(list []fleet.Removed, p *fleet.Plan) []fleet.Removed {
	list = slices.DeleteFunc(slices.Clone(list), func(r fleet.Removed) bool { return p.MadeAt.Sub(r.At) > rememberRemoved })
	for i := range p.Actions {
		if d := p.Actions[i].Drain; d != nil && !d.Involuntary && !p.DryRun {
			list = append(list, fleet.Removed{Instance: d.Instance, Type: d.Type, At: p.MadeAt})
		}
	}
	return list[max(len(list)-mostRemoved, 0):]
}

// Notice folds what a plan saw, whether it was committed or changes nothing: what is idle,
// what does not work, what waits and since when, and how services do.
func Notice(mem fleet.Memory, p *fleet.Plan) fleet.Memory {
	mem.Idle, mem.Unhealthy, mem.Services, mem.Saving = p.Idle, p.Unhealthy, p.Services, p.Saving
	mem.Census, mem.Upheaval = p.Census, p.Upheaval
	if !p.DryRun {
		mem.Replacing, mem.Rolling = p.Replacing, p.Rolling // nobody launches what would take their place
	}
	mem.Demand = nil
	for _, d := range p.Demand {
		mem.Demand = append(mem.Demand, fleet.DemandAge{Group: d.Group, Deployment: d.Deployment, Since: d.Since, Desired: d.Desired, Armed: d.Armed})
	}
	return mem
}

// Fold learns from one outcome. The same outcome folded again changes nothing; an outcome
// of an action that is not open still teaches about capacity.
func Fold(mem fleet.Memory, o *fleet.Outcome) fleet.Memory {
	if o.Phase == fleet.PhaseIntent {
		return mem
	}
	mem.Open = slices.Clone(mem.Open)
	for i := range mem.Open {
		if mem.Open[i].Action.ID == o.Action {
			mem.Open[i] = learn(mem.Open[i], o)
		}
	}
	mem.Shortages = slices.Clone(mem.Shortages)
	for _, f := range o.Failures {
		mem.Shortages = strike(mem.Shortages, f, o.At)
	}
	for _, inst := range o.Instances {
		key := fleet.OfferingKey{Type: inst.Type, Zone: inst.Zone, Lifecycle: inst.Lifecycle}
		if o.Kind == fleet.ActionLaunch {
			mem.Shortages = clearShortage(mem.Shortages, key, o.At)
		}
	}
	mem.Drought = dry(mem.Drought, o)
	mem.Setbacks = setBack(mem.Setbacks, o)
	return mem
}

func learn(open fleet.Open, o *fleet.Outcome) fleet.Open {
	for _, inst := range o.Instances {
		if !slices.ContainsFunc(open.Instances, func(have fleet.LaunchedInstance) bool { return have.ID == inst.ID }) {
			open.Instances = append(slices.Clone(open.Instances), inst)
		}
	}
	if o.Phase == fleet.PhaseFinal && !open.Over {
		open.Over, open.OverAt, open.Class, open.Message = true, o.At, o.Class, o.Message
	}
	return open
}

// strike notes that an offering had no capacity at an instant. An outcome that is folded
// twice, or several failures of one call, count once.
func strike(shortages []fleet.Shortage, f fleet.OfferingFailure, at time.Time) []fleet.Shortage {
	first := firstCapacityWait
	switch f.Class {
	case fleet.FailureCapacity:
	case fleet.FailureQuota:
		first = firstQuotaWait
	default:
		return shortages // says nothing about capacity
	}
	i, found := slices.BinarySearchFunc(shortages, f.Offering, func(s fleet.Shortage, k fleet.OfferingKey) int {
		return compareKeys(s.Offering, k)
	})
	if !found {
		return slices.Insert(shortages, i, fleet.Shortage{Offering: f.Offering, Until: at.Add(first), Strikes: 1})
	}
	s := &shortages[i]
	if at.Before(s.Until) {
		return shortages
	}
	s.Strikes++
	wait := first << min(s.Strikes-1, 10) // 10 doublings are far beyond the longest wait
	s.Until = at.Add(min(wait, longestWait))
	return shortages
}

// clearShortage: EC2 gave such an instance out, so there is capacity again.
func clearShortage(shortages []fleet.Shortage, key fleet.OfferingKey, at time.Time) []fleet.Shortage {
	return slices.DeleteFunc(shortages, func(s fleet.Shortage) bool {
		return s.Offering == key && !at.Before(s.Until)
	})
}

func compareKeys(a, b fleet.OfferingKey) int {
	return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.Zone, b.Zone), cmp.Compare(a.Lifecycle, b.Lifecycle))
}
