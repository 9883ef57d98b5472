package plan

import (
	"slices"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/pack"
)

// effortOf is the effort of the packings of a plan. One that this build does not know is the
// least: it was asked for by a newer one.
func effortOf(e fleet.Effort) pack.Effort {
	switch e {
	case fleet.EffortNormal:
		return pack.Normal
	case fleet.EffortHigh:
		return pack.High
	default:
		return pack.Fast
	}
}

// PackingOf is how good all packings of a plan are together: what they cost and the sum of
// their bounds. It is zero if the plan launches nothing. A plan that a limit or a rehearsal
// made it pack several times has several; two that are equal to the last digit count once.
func PackingOf(p *fleet.Plan) fleet.Packing {
	var all []fleet.Packing
	var sum fleet.Packing
	for i := range p.Actions {
		if l := p.Actions[i].Launch; l != nil && !slices.Contains(all, l.Packing) {
			all = append(all, l.Packing)
			sum.Cost += l.Packing.Cost
			sum.Bound += l.Packing.Bound
		}
	}
	return sum
}

// Cheaper reports whether a plan serves as much as another that was made of the same
// snapshot, policy and memory but for the effort, and costs less: launches as the policy
// weighs them, less what removals save. One that leaves fewer tasks without a place, or more
// headroom in it, is the better one whatever it costs. It takes O(instances + types).
func Cheaper(snap fleet.Snapshot, pol fleet.Policy, mem fleet.Memory, p, than *fleet.Plan) bool {
	a, b := &p.Summary, &than.Summary
	switch {
	case a.TasksUnplaced != b.TasksUnplaced:
		return a.TasksUnplaced < b.TasksUnplaced
	case a.HeadroomPresent != b.HeadroomPresent:
		return a.HeadroomPresent > b.HeadroomPresent
	}
	filled := pol.WithDefaults()
	m := newMarket(&draft{snap: &snap, pol: &filled, mem: &mem})
	m.findTrouble()
	return m.weighPlan(p) < m.weighPlan(than)
}

// weighPlan is what the actions of a plan change of the cost per hour, as the policy weighs it.
func (m *market) weighPlan(p *fleet.Plan) fleet.Price {
	var sum fleet.Price
	for i := range p.Actions {
		a := &p.Actions[i]
		if a.Launch == nil {
			sum += a.Reason.Cost
			continue
		}
		first := &a.Launch.Offerings[0]
		price := first.Price
		if typ, ok := m.types[first.Type]; ok {
			price = m.weigh(&offer{Offering: *first, spec: &a.Launch.Spec, typ: typ})
		}
		sum += price * fleet.Price(a.Launch.Count)
	}
	return sum
}
