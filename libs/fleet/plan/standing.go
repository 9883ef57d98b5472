package plan

import (
	"fmt"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/pack"
	"github.com/neap-project/neap/libs/fleet/place"
)

// Standing packs the whole demand of a cluster anew, as if nothing ran yet, and says what
// the cluster costs beside the least that any could cost.
//
// The demand is every task that runs, every task that waits and has room on what is there
// or on its way, and the headroom that is there. The bound is a lower bound of the price per
// hour of any set of instances that could be launched under the policy now and on which that
// demand fits, each with its daemon tasks on board:
//
//   - Prices are those of the snapshot: on demand as listed, whatever was reserved or is
//     discounted by a savings plan; spot as of now. Orientation and preferred types are
//     wishes of the policy and weigh nothing here.
//   - Wherever a launch spec uses spot at all, all of it may be spot: its share is no part of
//     the bound, nor are the limits of the policy, shortages of capacity, launches that failed
//     of late, the spread over zones and which tasks shun one another. Without these a cluster
//     can only be cheaper, so the bound holds with them as well.
//   - Capacities are those that plans count with: as instances of the type registered, else
//     by a formula that errs on the small side. The bound is as true as they are.
//   - Host ports and distinctInstance hold, and attributes, expressions and architectures. A
//     task that names no architecture counts as one for x86_64, unless it runs on arm64, and
//     one that does not ask for Windows as one for Linux.
//   - Tasks of unknown size, and those that no offering of the policy holds, are left out,
//     which lowers the bound, and counted in NoOffering.
//
// A cluster may cost less than anything that the policy would launch today: on types that it
// no longer allows, in subnets that are full by now, with daemon tasks that found no room.
// Then its own cost is the bound. The cost is that of all instances, those included that Neap
// may not remove, which Kept names. Instances without a known price are left out with the
// tasks on them.
//
// It is pure if solve is: [pack.Solve], or one that starts from what it found before, for the
// bound of a packing is valid however it was found. The effort is that of the memory. The
// snapshot and the policy must be valid.
//
// Complexity, n instances, g task groups, h of these unlike one another, o offerings: O(n log n
// + g + h·o), and the packing.
func Standing(snap fleet.Snapshot, pol fleet.Policy, mem fleet.Memory, solve func(pack.Problem) pack.Solution) fleet.Standing {
	d := newDraft(snap, pol, mem)
	st := fleet.Standing{Cluster: d.snap.Cluster, At: d.snap.TakenAt, Effort: mem.Effort}
	if problem, ok := d.snap.Incomplete(fleet.SectionInstances, fleet.SectionEC2, fleet.SectionServices, fleet.SectionTasks, fleet.SectionCatalogue); !ok {
		st.Problem = problem
		return st
	}
	d.account()
	unpriced := d.price(&st)
	d.findDemand()
	d.placeWaiting()
	d.keepHeadroom()
	d.market.build()
	a := anew{d: d, p: pack.Problem{Offerings: d.priced(), Effort: effortOf(mem.Effort)}, at: map[string]int{}}
	a.gather(unpriced, &st)
	if len(a.p.Offerings) == 0 && st.Tasks > 0 {
		st.Problem = "the policy allows no instance type that has a price"
		return st
	}
	if len(a.p.Items) == 0 {
		return st
	}
	s := solve(a.p)
	for _, u := range s.Unplaced {
		a.leaveOut(u, &st)
	}
	st.Anew, st.Bound = s.Cost, min(s.LowerBound, st.Cost)
	return st
}

// price sums up what the instances cost, and finds those of which that is not known: nothing
// is put on them from here on.
func (d *draft) price(st *fleet.Standing) (unpriced []bool) {
	unpriced = make([]bool, len(d.snap.Instances))
	st.Cost = d.out.Summary.Cost // of what is in flight
	for i := range d.snap.Instances {
		inst := &d.snap.Instances[i]
		if d.states[i] == gone {
			continue
		}
		price := d.market.priceOf(inst)
		if price <= 0 {
			unpriced[i] = true
			st.Unpriced++
			d.cluster.Close(i)
			continue
		}
		st.Cost += price
		if inst.Owner == "" || inst.Protected != "" {
			st.Kept += price
		}
	}
	kept := d.booting[:0]
	for _, i := range d.booting {
		if i >= len(unpriced) || !unpriced[i] {
			kept = append(kept, i)
		}
	}
	d.booting = kept
	return unpriced
}

// priced are the offerings of the market at what they cost.
func (d *draft) priced() []pack.Offering {
	list := d.goods()
	for i := range list {
		list[i].Price = d.market.offers[i].Price
	}
	return list
}

// anew is the demand of a cluster on the way to being packed from the start.
type anew struct {
	d     *draft
	p     pack.Problem
	tasks int            // items that are tasks; the others are headroom
	at    map[string]int // by what decides where a task may be: the item
}

// gather makes the items: what runs, what waits and has room, headroom.
func (a *anew) gather(unpriced []bool, st *fleet.Standing) {
	d := a.d
	counts, onARM := make([]int, len(d.tasks)), make([]bool, len(d.tasks))
	for _, tc := range d.snap.Tasks {
		if d.states[tc.Instance] != gone && !unpriced[tc.Instance] {
			counts[tc.Group] += tc.Running
			onARM[tc.Group] = onARM[tc.Group] || tc.Running > 0 && d.snap.Instances[tc.Instance].Architecture == fleet.ARM
		}
	}
	for _, w := range d.demand {
		counts[w.group] += w.fitNow + w.fitSoon
		st.NoRoom += w.left()
	}
	for j, n := range counts {
		switch {
		case n == 0 || d.onBoard(j):
			continue
		case d.snap.TaskGroups[j].Unsized:
			st.NoOffering += n
			continue
		}
		st.Tasks += n
		a.add(d.tasks[j], likeness(&d.snap.TaskGroups[j], onARM[j]), n, onARM[j])
	}
	a.tasks = len(a.p.Items)
	for _, u := range d.units {
		if u.present > 0 {
			st.Headroom += u.present
			a.add(u.task, u.name, u.present, false)
		}
	}
}

// onBoard reports whether tasks of a group are daemon tasks, which every instance carries.
func (d *draft) onBoard(group int) bool {
	svc, ofService := d.service(group)
	return d.snap.TaskGroups[group].Daemon || ofService && svc.Scheduling == fleet.Daemon
}

// likeness is the same for task groups of which an instance holds the tasks alike. Where at
// most one of a group may be on an instance, no other is like it.
func likeness(g *fleet.TaskGroup, onARM bool) string {
	like := *g
	if !g.Distinct && len(g.Ports) == 0 && len(g.Constraints) == 0 {
		like.Group = ""
	}
	like.TaskDefinition, like.Overrides, like.Strategy, like.CapacityProvider = "", "", nil, ""
	like.Daemon, like.Standalone, like.Restricted, like.Unsized = false, false, false, false
	return fmt.Sprintf("%#v %t", like, onARM)
}

// add adds so many of a task to the item that is like it.
func (a *anew) add(t *place.Task, like string, count int, onARM bool) {
	if i, ok := a.at[like]; ok {
		a.p.Items[i].Count += count
		return
	}
	item := pack.Item{Name: t.Name, Needs: t.Needs, Count: count, Allowed: a.d.market.holding(t, onARM)}
	if t.Distinct {
		item.Keys = append(item.Keys, "group "+t.Group)
	}
	for _, port := range t.Ports {
		item.Keys = append(item.Keys, port.String())
	}
	a.at[like] = len(a.p.Items)
	a.p.Items = append(a.p.Items, item)
}

// holding says which offerings hold a task, whether they would be launched now or not: limits,
// shortages and the share of spot are left out of it.
func (m *market) holding(t *place.Task, onARM bool) []bool {
	holds := make([]bool, len(m.offers))
	for i := range m.offers {
		holds[i] = m.shelf.Admits(i, t) && !m.offers[i].foreign(t)
	}
	if !onARM {
		m.keepArchitecture(t, holds)
	}
	return holds
}

// leaveOut takes what no offering holds out of what the bound is for.
func (a *anew) leaveOut(u pack.Unplaced, st *fleet.Standing) {
	if u.Item >= a.tasks {
		st.Headroom -= u.Count
		return
	}
	st.Tasks -= u.Count
	st.NoOffering += u.Count
}
