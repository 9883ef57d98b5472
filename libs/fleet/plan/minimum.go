package plan

import (
	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/pack"
	"github.com/neap-project/neap/libs/fleet/place"
)

// keepMinimum launches the cheapest instances while there are fewer than the policy keeps,
// of a launch spec or at all.
func (d *draft) keepMinimum() {
	for i := range d.pol.LaunchSpecs {
		spec := &d.pol.LaunchSpecs[i]
		if spec.MinInstances == 0 {
			continue
		}
		have := d.haveOf(spec.Name)
		g := fleet.TaskGroup{Group: "minimum of " + string(spec.Name), RequiredAttributes: []fleet.Attribute{{Name: fleet.AttributeLaunchSpec, Value: string(spec.Name)}}}
		d.keepAtLeast(&g, spec.MinInstances-have, fleet.Because(fleet.ReasonSpecMinimum, "cluster", "min", spec.MinInstances, "spec", spec.Name, "have", have))
	}
	have := d.cluster.Len() - len(d.snap.Instances) // in flight, and fresh
	for _, s := range d.states {
		if s == active || s == away || s == bootingUp {
			have++
		}
	}
	least := d.minInstances()
	d.keepAtLeast(&fleet.TaskGroup{Group: "minimum"}, least-have, fleet.Because(fleet.ReasonMinimum, "cluster", "min", least, "have", have))
}

// haveOf is how many instances of a launch spec run, boot, or are launched by this plan.
func (d *draft) haveOf(spec fleet.LaunchSpecName) int {
	have := d.market.ownedBy(spec).instances
	for i, s := range d.states {
		if inst := &d.snap.Instances[i]; inst.LaunchSpec == spec && inst.Status != fleet.StatusGone && s != active && s != away && s != bootingUp {
			have--
		}
	}
	for _, f := range d.fresh {
		if d.market.offers[f.offer].spec.Name == spec {
			have += f.count
		}
	}
	return have
}

// keepAtLeast launches instances for a group that needs nothing but to be alone.
func (d *draft) keepAtLeast(g *fleet.TaskGroup, missing int, why fleet.Reason) {
	if missing <= 0 {
		return
	}
	t, err := place.Compile(g)
	if err != nil {
		panic("plan: minimum: " + err.Error()) // it has neither expression nor strategy
	}
	d.market.build()
	x := &wish{task: t, group: fleet.NoIndex, count: missing, extra: true}
	p, open := d.problem([]*wish{x})
	limits, ok := d.limits()
	if len(open) == 0 || !ok {
		return
	}
	p.Limits = limits
	p.Items[0].Keys = []string{"minimum"}
	p.Items[0].Spread = d.instancesByZone()
	list, _ := d.within(d.mixLifecycles(p, open, d.unpack(p, pack.Solve(p), open)))
	for i := range list {
		list[i].later, list[i].why = forMinimum, why
	}
	d.commit(list)
}
