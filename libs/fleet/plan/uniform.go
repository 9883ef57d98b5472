package plan

import (
	"cmp"
	"math"
	"slices"

	"github.com/neap-project/neap/libs/fleet"
)

// How many types are tried for the successors of a set of dear instances, and how many tasks
// are rehearsed for that at most: of many tasks the cheapest type alone.
const (
	mostUniform  = 6
	uniformTasks = 8000
)

// uniform are the types that would hold what is on a set of instances at least cost if there
// were no others, each as a mask of the market, the cheapest first and of equals the larger.
//
// The cheapest packing mixes types, each for tasks of another kind, and leaves no gap. ECS
// knows nothing of it: its strategies put any task anywhere, CPU is left over here and memory
// there, and a fifth of the tasks may find no room. On large instances that offer CPU and
// memory in the proportion of all tasks together it hardly matters which task goes where.
//
// It takes O(tasks of the set + offerings).
func (d *draft) uniform(set []drain) [][]bool {
	var needs fleet.Resources
	tasks := 0
	for _, c := range set {
		for _, h := range d.held(c.instance) {
			needs = needs.Add(h.task.Needs.Times(int64(h.count)))
			tasks += h.count
		}
	}
	type kind struct {
		typ  *fleet.InstanceType
		cost fleet.Price
	}
	var kinds []kind
	at := map[*fleet.InstanceType]int{}
	for i := range d.market.offers {
		o := &d.market.offers[i]
		count := instancesFor(needs, d.market.shelf.Free(i))
		if o.short != nil || o.dry || o.setback != nil || count == 0 {
			continue
		}
		cost := o.weighed * fleet.Price(count)
		if k, known := at[o.typ]; known {
			kinds[k].cost = min(kinds[k].cost, cost)
			continue
		}
		at[o.typ] = len(kinds)
		kinds = append(kinds, kind{o.typ, cost})
	}
	slices.SortFunc(kinds, func(a, b kind) int {
		return cmp.Or(cmp.Compare(a.cost, b.cost), cmp.Compare(b.typ.VCPUs, a.typ.VCPUs), cmp.Compare(a.typ.Name, b.typ.Name))
	})
	var masks [][]bool
	for _, k := range kinds[:min(len(kinds), mostUniform, 1+uniformTasks/max(tasks, 1))] {
		mask := make([]bool, len(d.market.offers))
		for i := range mask {
			mask[i] = d.market.offers[i].typ == k.typ
		}
		masks = append(masks, mask)
	}
	return masks
}

// both are the offerings of two masks, those of the first alone if there are none of both or
// there is no second.
func both(allowed, only []bool) []bool {
	list := make([]bool, len(allowed))
	for i := range only {
		list[i] = allowed[i] && only[i]
	}
	if !slices.Contains(list, true) {
		return allowed
	}
	return list
}

// instancesFor is how many instances with so much room hold the needs by their sums, 0 if
// none ever do.
func instancesFor(needs, room fleet.Resources) int {
	count := 1.0
	for _, r := range [][2]int64{{needs.CPUUnits, room.CPUUnits}, {needs.MemoryMiB, room.MemoryMiB}, {needs.GPUs, room.GPUs}, {needs.ENIs, room.ENIs}} {
		if r[0] > 0 && r[1] <= 0 {
			return 0
		}
		if r[0] > 0 {
			count = max(count, math.Ceil(float64(r[0])/float64(r[1])))
		}
	}
	return int(count)
}

// withRoom adds instances to a swap until every rehearsal finds room for every task, for ECS
// places worse than the packing did: then all of the old ones can go. It reports whether that
// came about while the swap saves enough.
func (d *draft) withRoom(s *swap, only []bool) bool {
	const rounds = 4 // what a rehearsal lacks is packed closely, so one more is often needed
	for range rounds {
		short := d.lacks(s)
		if len(short) == 0 {
			return true
		}
		if !d.enlarge(s, short, only) || !d.worthIt(s, nil) {
			return false
		}
	}
	return len(d.lacks(s)) == 0
}
