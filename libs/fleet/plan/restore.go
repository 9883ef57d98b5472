package plan

import (
	"fmt"
	"slices"

	"github.com/neap-project/neap/libs/fleet"
)

// undoDrains sets instances active again: those that are draining and that nobody is at,
// and those whose room is needed after all. That is quicker and cheaper than a launch.
func (d *draft) undoDrains() {
	if d.mem.Pause.Paused() || !d.complete() {
		return
	}
	for i := range d.snap.Instances {
		inst := &d.snap.Instances[i]
		if s := d.setback(fleet.ActionRestore, string(inst.ID)); s != nil {
			d.note(setBack(s, instanceSubject(inst)))
		}
		if d.restorable(i) && inst.Drain != "" && !d.acted[inst.ID] {
			d.restore(i, fleet.Because(fleet.ReasonForgotten, instanceSubject(inst), "drain", inst.Drain.Short()))
		}
	}
	for d.down == nil {
		best, gain, whose := -1, 0, ""
		unmet := d.unmet()
		if len(unmet) == 0 {
			return
		}
		for i := range d.snap.Instances {
			if !d.restorable(i) {
				continue
			}
			if n, what := d.gain(i, unmet); n > gain {
				best, gain, whose = i, n, what
			}
		}
		if best < 0 {
			return
		}
		inst := &d.snap.Instances[best]
		d.restore(best, fleet.Because(fleet.ReasonNeeded, instanceSubject(inst), "needs", whose, "tasks", gain))
	}
}

// restorable instances are draining because we said so, and AWS is not taking them.
func (d *draft) restorable(i int) bool {
	inst := &d.snap.Instances[i]
	if d.states[i] != leaving || inst.Status != fleet.StatusDraining || inst.Owner == "" || inst.Notice.Kind != "" || unwell(inst) != "" {
		return false
	}
	hand := d.drainOf(inst.ID)
	return (inst.Drain != "" || hand != nil) && (hand == nil || !hand.Drain.Involuntary) && !d.restoring(inst.ID) && d.setback(fleet.ActionRestore, string(inst.ID)) == nil
}

// drainOf is the open drain that has an instance in hand.
func (d *draft) drainOf(id fleet.InstanceID) *fleet.Action {
	for i := range d.mem.Open {
		if a := &d.mem.Open[i].Action; a.Drain != nil && a.Drain.Instance == id && !d.closed(a.ID) {
			return a
		}
	}
	return nil
}

func (d *draft) restoring(id fleet.InstanceID) bool {
	return slices.ContainsFunc(d.mem.Open, func(o fleet.Open) bool {
		return o.Action.Restore != nil && o.Action.Restore.Instance == id && !d.closed(o.Action.ID)
	})
}

func (d *draft) closed(id fleet.ActionID) bool {
	return slices.ContainsFunc(d.out.Closures, func(c fleet.Closure) bool { return c.Action == id })
}

// unmet lists the demand that has no place for some of its tasks.
func (d *draft) unmet() []*demand {
	var list []*demand
	for _, of := range [...][]*demand{d.demand, d.moves} {
		for _, w := range of {
			if w.left() > 0 {
				list = append(list, w)
			}
		}
	}
	return list
}

// gain is how many tasks of those that have no place would have one if a drain were undone,
// and whose.
func (d *draft) gain(i int, unmet []*demand) (int, string) {
	m := d.cluster.Mark()
	defer d.cluster.Rollback(m)
	total, most, what := 0, 0, ""
	add := func(n, group int) {
		total += n
		if n > most {
			most, what = n, fmt.Sprintf("%d of %s", n, d.nameOf(group))
		}
	}
	for _, w := range d.movesFrom[i] {
		add(w.left(), w.group)
		for _, p := range w.put {
			d.cluster.Take(p.node, d.tasks[w.group], p.count)
		}
	}
	d.cluster.Open(i)
	d.reserveDaemons(i)
	for _, w := range unmet {
		if w.from == i || d.snap.TaskGroups[w.group].Unsized {
			continue
		}
		n := 0
		for n < w.left() && d.cluster.Admits(i, d.tasks[w.group]) {
			d.cluster.Put(i, d.tasks[w.group], 1)
			n++
		}
		add(n, w.group)
	}
	return total, what
}

// restore plans to set an instance active, and counts on it from here on.
func (d *draft) restore(i int, why fleet.Reason) {
	inst := &d.snap.Instances[i]
	r := fleet.Restore{Instance: inst.ID, ContainerInstance: inst.ContainerInstance, Drain: inst.Drain}
	if hand := d.drainOf(inst.ID); hand != nil {
		r.Drain = hand.ID
	}
	d.act(fleet.Action{Kind: fleet.ActionRestore, Reason: why, Restore: &r})
	for _, w := range d.movesFrom[i] {
		d.takeBack(w)
	}
	delete(d.movesFrom, i)
	d.moves = slices.DeleteFunc(d.moves, func(w *demand) bool { return w.from == i })
	d.states[i] = active
	d.cluster.Open(i)
	d.reserveDaemons(i) // they may have been stopped
	for _, list := range [...][]*demand{d.demand, d.moves} {
		for _, w := range list {
			d.place(w, false)
		}
	}
}

// act adds an action to the plan.
func (d *draft) act(a fleet.Action) {
	a.Deadline = d.now.Add(startWithin)
	if id, ok := a.Target(); ok {
		d.acted[id] = true
	}
	d.out.Actions = append(d.out.Actions, a)
}

func instanceSubject(inst *fleet.Instance) string { return "instance/" + string(inst.ID) }
