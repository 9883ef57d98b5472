package plan

import (
	"fmt"
	"time"

	"github.com/neap-project/neap/libs/fleet"
)

// When so much is missed at once that was there in the last view, and nobody here removed it,
// nothing is removed by choice until no more has been missed for a while; when it is more than
// half, until a person has looked. The shares are those of Eureka's self-preservation: what
// vanishes together is more often a fault of the view than of the instances.
const (
	upheavalShare  = 15 // percent, beyond which it is one
	upheavalFew    = 3  // so many are never one
	upheavalWait   = 5 * time.Minute
	upheavalPerson = 50 // percent, beyond which a person has to look
)

// watchUpheaval compares the view with the last one, and says whether anything may be removed
// on it. It takes O(n) for n instances and services.
func (d *draft) watchUpheaval() {
	was := d.mem.Upheaval
	if d.mem.Pause.Paused() {
		was.Seen = !was.IsZero()
	}
	d.out.Census, d.out.Upheaval = d.mem.Census, was
	if _, whole := d.snap.Incomplete(fleet.SectionInstances, fleet.SectionEC2, fleet.SectionServices, fleet.SectionTasks); !whole || d.snap.ReadStartedAt.Before(d.mem.Census.ReadAt) {
		return
	}
	d.out.Census = d.census()
	if what, share := missed(&d.mem.Census, &d.out.Census); what != "" {
		d.out.Upheaval = fleet.Upheaval{Since: d.now, What: what, Share: max(share, was.Share), Seen: was.Seen && share <= was.Share}
	}
	u := &d.out.Upheaval
	switch {
	case u.IsZero():
	case d.now.Sub(u.Since) < upheavalWait:
		r := fleet.Because(fleet.ReasonUpheaval, "cluster", "what", u.What, "next", "nothing is removed until no more has been missed for "+ago(upheavalWait))
		d.forbid(nil, &r)
	case u.Share > upheavalPerson && !u.Seen:
		r := fleet.Because(fleet.ReasonUpheaval, "cluster", "what", u.What,
			"next", "nothing is removed until a person has looked: \"neap pause\", and when all is well \"neap resume\"")
		d.forbid(nil, &r)
	default:
		*u = fleet.Upheaval{}
	}
}

// census counts what the view shows. What is leaving is added at the end of the plan.
func (d *draft) census() fleet.Census {
	c := fleet.Census{ReadAt: d.snap.ReadStartedAt, Services: len(d.snap.Services)}
	for i := range d.snap.Instances {
		inst := &d.snap.Instances[i]
		if inst.Status == fleet.StatusGone {
			continue
		}
		c.Instances++
		if inst.IsRegistered() && inst.AgentConnected {
			c.Working++
		}
	}
	c.Wanted, c.Running = d.countTasksOf(func(int) bool { return true })
	return c
}

// countTasksOf counts the tasks that services want, and those of them that run on some
// instances. A deployment may stop all tasks of its service before it starts others.
func (d *draft) countTasksOf(on func(instance int) bool) (wanted, running int) {
	counts := make([]int, len(d.snap.Services))
	for _, tc := range d.snap.Tasks {
		if s := d.services[tc.Group]; s != fleet.NoIndex && on(tc.Instance) {
			counts[s] += tc.Running
		}
	}
	for i := range d.snap.Services {
		svc := &d.snap.Services[i]
		switch {
		case svc.Scheduling == fleet.Daemon: // as many as there are instances
		case len(svc.Deployments) != 1 || svc.Deployments[0].Rollout == fleet.RolloutInProgress:
			wanted, running = wanted+svc.Desired, running+svc.Desired
		default:
			wanted, running = wanted+svc.Desired, running+min(counts[i], svc.Desired)
		}
	}
	return wanted, running
}

const tasksMissed = "running tasks"

// missed says what was there in one census and is not in a later one, if that is more than
// chance takes away, and which share of it; "" if nothing is. Instances that were expected to
// go are not missed, nor are tasks that are not wanted any more.
func missed(was, is *fleet.Census) (what string, share int) {
	if was.IsZero() {
		return "", 0
	}
	gone := was.Instances - was.Leaving - is.Instances
	for _, m := range []struct {
		name     string
		lost, of int
	}{
		{"instances", gone, was.Instances - was.Leaving},
		{"instances with a working agent", was.Working - was.Leaving - is.Working, was.Working},
		{"services", was.Services - is.Services, was.Services},
		{tasksMissed, was.Staying - is.Running - max(was.Wanted-is.Wanted, 0), was.Staying},
	} {
		if m.lost <= upheavalFew || m.lost*100 <= m.of*upheavalShare {
			continue
		}
		part := m.lost * 100 / m.of
		if m.name == tasksMissed {
			part = min(part, upheavalPerson) // they may all crash at once: that needs a person, but not one for Neap
		}
		if part > share {
			what, share = fmt.Sprintf("%d of %d %s are gone at once, and Neap did not remove them", m.lost, m.of, m.name), part
		}
	}
	return what, share
}

// noteLeaving counts the instances that are expected to be gone in the next view, and the tasks
// that are not.
func (d *draft) noteLeaving() {
	if d.out.Census.ReadAt != d.snap.ReadStartedAt {
		return // an earlier one
	}
	goes := func(i int) bool {
		inst := &d.snap.Instances[i]
		return d.states[i] == leaving || d.states[i] == noticed || d.states[i] == late || d.acted[inst.ID] || inst.Status == fleet.StatusDraining
	}
	for i := range d.snap.Instances {
		if d.snap.Instances[i].Status != fleet.StatusGone && goes(i) {
			d.out.Census.Leaving++
		}
	}
	_, d.out.Census.Staying = d.countTasksOf(func(i int) bool { return !goes(i) })
}
