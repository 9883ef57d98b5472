package plan

import (
	"cmp"
	"slices"
	"time"

	"github.com/neap-project/neap/libs/fleet"
)

// tooManyUnhealthy is the part of the cluster, one in so many, beyond which instances that
// look unhealthy are not replaced: agents do not fail by the dozen, but views, networks and
// zones do. A single one is never too many.
const tooManyUnhealthy = 3

// findUnhealthy finds the instances of ours that have not worked for so long that they are to
// be replaced, no more than may drain at once. What ECS runs on them has to move: room is
// found or launched for it as for what AWS takes, and replaceUnwell drains them once it
// is there. What protects a task protects it here, too, for its containers may run on without
// the agent. It takes O(n + u log u) time, u of n instances being unhealthy.
func (d *draft) findUnhealthy() {
	size, ripe := 0, []drain(nil)
	wait := time.Duration(d.pol.Unhealthy.After)
	for i := range d.snap.Instances {
		inst := &d.snap.Instances[i]
		switch d.states[i] {
		case active, away, noticed, leaving:
			size++
		case gone, bootingUp, late:
			continue
		}
		if unwell(inst) == "" || inst.Owner == "" || inst.Status != fleet.StatusActive {
			continue
		}
		since := d.unhealthySince(inst.ID)
		d.out.Unhealthy = append(d.out.Unhealthy, fleet.Unhealthy{Instance: inst.ID, Since: since})
		if d.states[i] == leaving || d.states[i] == noticed || d.acted[inst.ID] {
			continue
		}
		switch {
		case d.now.Sub(since) >= wait:
			ripe = append(ripe, drain{instance: i, since: since})
		case d.states[i] == active && *d.pol.Unhealthy.Replace: // of those that are away it is said why they stay
			d.because(fleet.ReasonNotWell, instanceSubject(inst), "what", unwell(inst), "for", ago(d.now.Sub(since)), "wait", ago(wait))
		}
	}
	slices.SortFunc(d.out.Unhealthy, func(a, b fleet.Unhealthy) int { return cmp.Compare(a.Instance, b.Instance) })
	if len(ripe) == 0 || !d.mayReplaceUnhealthy(size) {
		return
	}
	d.findBonds()
	ripe = slices.DeleteFunc(ripe, func(c drain) bool { return d.keepsUnwell(c.instance) })
	slices.SortStableFunc(ripe, func(a, b drain) int { return a.since.Compare(b.since) })
	most, budgets := d.mayDrain(), d.specBudgets()
	now, rest := d.affordable(ripe, nil, max(most, 0), budgets)
	for _, c := range now {
		d.states[c.instance] = noticed
		d.cluster.Close(c.instance)
	}
	d.overBudget(rest, now, ripe, most, budgets)
}

// keepsUnwell reports whether something else than its health forbids to remove an instance,
// and says what: nothing is launched in the place of what stays.
func (d *draft) keepsUnwell(i int) bool {
	was := d.states[i]
	d.states[i] = noticed // an agent that is away does not keep it
	why, held := d.isHeld(i)
	d.states[i] = was
	if held {
		d.note(why)
	}
	return held
}

// mayReplaceUnhealthy decides whether any instance may be replaced for being unhealthy, in a
// cluster of so many.
func (d *draft) mayReplaceUnhealthy(size int) bool {
	if n := len(d.out.Unhealthy); n > 1 && n*tooManyUnhealthy > size {
		d.because(fleet.ReasonManyUnwell, "cluster", "unhealthy", n, "instances", size)
		return false
	}
	return *d.pol.Unhealthy.Replace && d.down == nil && d.seesAll()
}

// seesAll reports whether the view is good enough to remove instances on it, whether or not
// the policy lets them be removed for being idle.
func (d *draft) seesAll() bool {
	return d.noRemove == nil || d.noRemove.Code == fleet.ReasonDisabled
}

// unwell says what is wrong with an instance, "" if nothing is.
func unwell(inst *fleet.Instance) string {
	switch {
	case inst.Impaired:
		return "EC2's status checks of it have failed"
	case !inst.AgentConnected:
		return "its agent has not been connected"
	}
	return ""
}

func (d *draft) unhealthySince(id fleet.InstanceID) time.Time {
	i, ok := slices.BinarySearchFunc(d.mem.Unhealthy, id, func(x fleet.Unhealthy, id fleet.InstanceID) int { return cmp.Compare(x.Instance, id) })
	if !ok {
		return d.now
	}
	return d.mem.Unhealthy[i].Since
}

// replaceUnwell drains the unhealthy instances whose tasks have room elsewhere by now. It
// is not put off as the removal of what is idle is: what does not work serves nobody.
func (d *draft) replaceUnwell() {
	if !d.seesAll() {
		return
	}
	for i := range d.snap.Instances {
		inst := &d.snap.Instances[i]
		if d.states[i] != noticed || inst.Notice.Kind != "" || d.acted[inst.ID] {
			continue
		}
		if why, ok := d.replaced(i); !ok {
			d.note(why)
			continue
		}
		c := drain{instance: i}
		d.countTasks(&c)
		why := fleet.Because(fleet.ReasonUnhealthy, instanceSubject(inst), "what", unwell(inst), "for", ago(d.now.Sub(d.unhealthySince(inst.ID))), "tasks", c.tasks)
		why.Cost = -d.market.priceOf(inst)
		d.drainAction(i, why, false)
		a := d.out.Actions[len(d.out.Actions)-1].Drain
		a.Unhealthy, a.OnTimeout = true, fleet.TimeoutStop // to go back would be to go on with what does not work
	}
}

// goesUnwell reports whether this plan drains an instance for being unhealthy: it counts
// against what may drain at once.
func (d *draft) goesUnwell(i int) bool {
	inst := &d.snap.Instances[i]
	return d.states[i] == noticed && inst.Notice.Kind == "" && d.acted[inst.ID]
}
