package plan

import (
	"math/rand/v2"
	"slices"

	"github.com/neap-project/neap/libs/fleet"
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

// mostTrials bounds how many sets of drains are rehearsed for one plan: each costs as much
// as placing their tasks. What was not tried waits for the next plan.
const mostTrials = 24

// rehearseDrains plays drains through with the strategies of ECS, in order, and returns as
// many as are allowed of those that work together: every task finds a place with every
// tie-break, and the headroom stays. A set that does not work is halved until it is known
// which of it does not, so f failures among k drains take O(f log k) rehearsals.
func (d *draft) rehearseDrains(ripe []drain, allowed int) []drain {
	var works []drain
	trials := 0
	var try func(set []drain)
	try = func(set []drain) {
		if trials++; trials > mostTrials {
			for _, c := range set {
				d.because(fleet.ReasonBudget, instanceSubject(&d.snap.Instances[c.instance]),
					"limit", "the number of rehearsals", "allowed", mostTrials, "wanted", "more")
			}
			return
		}
		last := instanceSubject(&d.snap.Instances[set[len(set)-1].instance])
		why, ok := d.drainsWork(slices.Concat(works, set), last)
		switch {
		case ok:
			works = append(works, set...)
		case len(set) == 1:
			d.note(why)
		default:
			try(set[:len(set)/2])
			try(set[len(set)/2:])
		}
	}
	rest, budgets := ripe, d.specBudgets()
	for len(works) < allowed && trials < mostTrials {
		set, others := d.affordable(rest, works, allowed-len(works), budgets)
		if len(set) == 0 {
			break
		}
		try(set)
		rest = others
	}
	d.overBudget(rest, works, ripe, allowed, budgets)
	return works
}

// playings is how often the drains of so many tasks are played through. In a small cluster
// that costs little, and there the one layout in twenty that fails is the one that ECS
// finds; in a large one, what can go wrong goes wrong every time.
func (d *draft) playings(homeless []heldTask) uint64 {
	const (
		most   = 64
		effort = 2000 // tasks placed; to look at eight nodes costs as much
	)
	tasks := 1 + d.cluster.Len()/8
	for _, h := range homeless {
		tasks += h.count
	}
	return uint64(min(max(effort/tasks, rehearsals), most))
}

// drainsWork rehearses drains together. If they do not work it says why the subject, the
// last of them, has to stay.
func (d *draft) drainsWork(drains []drain, subject string) (fleet.Reason, bool) {
	m := d.cluster.Mark()
	defer d.cluster.Rollback(m)
	d.liftHeadroom()
	var homeless []heldTask
	for _, c := range drains {
		d.cluster.Close(c.instance)
		for _, w := range d.movesFrom[c.instance] {
			for _, p := range w.put {
				d.cluster.Take(p.node, d.tasks[w.group], p.count)
			}
		}
		for _, tc := range d.tasksOn(c.instance) {
			if g := &d.snap.TaskGroups[tc.Group]; tc.Running > 0 && !g.Daemon && !g.Standalone {
				d.cluster.Take(c.instance, d.tasks[tc.Group], tc.Running)
				homeless = append(homeless, heldTask{task: d.tasks[tc.Group], count: tc.Running})
			}
		}
	}
	for seed := range d.playings(homeless) {
		again := d.cluster.Mark()
		rng := rand.New(rand.NewPCG(seed, uint64(len(homeless))))
		why, ok := d.rehouse(homeless, rng, subject)
		d.cluster.Rollback(again)
		if !ok {
			return why, false
		}
	}
	return fleet.Reason{}, true
}

// nowhere is for units of headroom of which it does not matter where they are.
func nowhere(int, int) {}

// rehouse places tasks as ECS does, in an order and with ties left to chance, and looks
// whether the headroom that was there is there still: ECS knows nothing of it and may
// spread tasks right over it.
func (d *draft) rehouse(homeless []heldTask, rng *rand.Rand, subject string) (fleet.Reason, bool) {
	for _, x := range rng.Perm(len(homeless)) {
		h := homeless[x]
		if d.cluster.PlaceUpTo(h.task, h.count, rng) < h.count {
			return fleet.Because(fleet.ReasonUnfit, subject, "task", h.task.Name,
				"why", "the placement strategies of the services leave no room for it in a rehearsal"), false
		}
	}
	d.cluster.Order(d.fullestFirst())
	for _, u := range d.units {
		if n := d.cluster.FitUpTo(u.task, len(u.put), nowhere); n < len(u.put) {
			return fleet.Because(fleet.ReasonKeepHeadroom, subject, "missing", len(u.put)-n, "wanted", u.wanted), false
		}
	}
	return fleet.Reason{}, true
}
