package plan

import (
	"github.com/neap-project/neap/libs/fleet"
)

// closedHours says why nothing is removed or replaced by our own will at this time of the
// week, nil if it may be.
func (d *draft) closedHours() *fleet.Reason {
	down := &d.pol.ScaleDown
	if w := fleet.Within(down.Blackouts, d.now); w != nil {
		r := fleet.Because(fleet.ReasonHours, "", "why", "it is within the blackout "+w.String())
		return &r
	}
	if len(down.Windows) == 0 || fleet.Within(down.Windows, d.now) != nil {
		return nil
	}
	windows := make([]string, len(down.Windows))
	for i := range down.Windows {
		windows[i] = down.Windows[i].String()
	}
	r := fleet.Because(fleet.ReasonHours, "", "why", "it is outside of the maintenance windows "+enumerate(windows))
	return &r
}

// minInstances is how many instances the policy keeps at this time of the week.
func (d *draft) minInstances() int {
	if d.down != nil {
		return 0
	}
	return d.pol.Limits.MinInstancesAt(d.now)
}

// shutDown drains everything at once: it is the time of the week at which the policy wants
// no instance. Whether ECS could move the tasks does not count, for there is nowhere to move
// them to; what a person or a task has protected stays, and so do tasks that would be lost
// for good.
func (d *draft) shutDown() {
	d.findBonds()
	for i := range d.snap.Instances {
		inst := &d.snap.Instances[i]
		if s := d.states[i]; s != active && s != away && s != noticed || d.acted[inst.ID] {
			continue
		}
		if why, stays := d.isHeld(i); stays {
			d.note(why)
			continue
		}
		why := fleet.Because(fleet.ReasonShutdown, instanceSubject(inst), "window", d.down.String())
		why.Cost = -d.market.priceOf(inst)
		d.drainAction(i, why, false)
	}
}
