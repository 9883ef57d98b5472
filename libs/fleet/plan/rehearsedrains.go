package plan

import (
	"math/rand/v2"
	"slices"

	"github.com/neap-project/neap/libs/fleet"
)

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
		why, ok := d.drainsWork(slices.Concat(works, set))
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

// drainsWork rehearses drains together. If they do not work it says why the last of them
// has to stay.
func (d *draft) drainsWork(drains []drain) (fleet.Reason, bool) {
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
		why, ok := d.rehouse(homeless, rng, drains[len(drains)-1].instance)
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
// spread tasks right over it. What has no place is told of the last instance that would go.
func (d *draft) rehouse(homeless []heldTask, rng *rand.Rand, last int) (fleet.Reason, bool) {
	subject := instanceSubject(&d.snap.Instances[last])
	for _, x := range rng.Perm(len(homeless)) {
		h := homeless[x]
		if d.cluster.PlaceUpTo(h.task, h.count, rng) < h.count {
			why := fleet.Because(fleet.ReasonUnfit, subject, "task", h.task.Name,
				"why", "in a rehearsal of the placement strategies of the services, "+d.nearest(last, h.task))
			why.Considered = d.others(last, h.task)
			return why, false
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
