package plan

import (
	"math/rand/v2"
	"slices"
)

// rehearsals is how often a plan is played through with other ties and another order: most
// layouts that strategies can waste room on show within a few.
const rehearsals = 4

// manyTasks is from how many tasks on two rehearsals have to do: what goes wrong then goes
// wrong in all of them.
const manyTasks = 4000

// rehearse plays what ECS is going to do with everything in its place: what waits is
// placed by the strategies of the services, in several orders and with several tie-breaks.
// It returns what was left over, at worst, as wishes that are counted already. Headroom is
// no obstacle to ECS, and so it is none here. Tasks that shun others are not returned: an
// instance added for them may be taken by the others as well, and so may the next.
func (d *draft) rehearse() []*wish {
	if len(d.fresh) == 0 {
		return nil
	}
	m := d.cluster.Mark()
	defer d.cluster.Rollback(m)
	d.clearStage()
	all := slices.Concat(d.demand, d.moves)
	worst := make([]int, len(all))
	tasks := 0
	for _, w := range all {
		tasks += w.count
	}
	times := uint64(rehearsals)
	if tasks > manyTasks {
		times = 2
	}
	for seed := range times {
		again := d.cluster.Mark()
		rng := rand.New(rand.NewPCG(seed, uint64(len(all))))
		order := rng.Perm(len(all))
		if seed == 0 { // the order of the packing: it should work at least so
			slices.Sort(order)
			rng = nil
		}
		for _, i := range order {
			w := all[i]
			n := w.fitNow + w.fitSoon + w.launched
			worst[i] = max(worst[i], n-d.cluster.PlaceUpTo(d.tasks[w.group], n, rng))
		}
		d.cluster.Rollback(again)
	}
	var short []*wish
	for i, w := range all {
		if worst[i] > 0 && !d.tasks[w.group].UsesTasks() {
			short = append(short, &wish{task: d.tasks[w.group], group: w.group, demands: []*demand{w}, count: worst[i], extra: true})
		}
	}
	return short
}

// clearStage takes away everything that was put on nodes for the time being, and opens
// the nodes that are going to be there.
func (d *draft) clearStage() {
	for _, w := range slices.Concat(d.demand, d.moves) {
		for _, p := range w.put {
			d.cluster.Take(p.node, d.tasks[w.group], p.count)
		}
	}
	for _, f := range d.fresh {
		for _, node := range f.nodes {
			for _, l := range f.loads {
				d.cluster.Take(node, l.wish.task, l.count)
			}
			d.cluster.Open(node)
		}
	}
	d.liftHeadroom()
	d.openBooting()
}
