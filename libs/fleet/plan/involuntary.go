package plan

import (
	"time"

	"github.com/neap-project/neap/libs/fleet"
)

// drainNoticed drains the instances of ours that AWS is about to take: no budget holds it
// up and no room need be proven, for they go either way. What they hold was launched for
// already, as tasks that have to move. A mere hint that an interruption is likely is left
// to removeIdle, once the tasks have room.
func (d *draft) drainNoticed() {
	if d.mem.Pause.Paused() {
		return
	}
	for i := range d.snap.Instances {
		inst := &d.snap.Instances[i]
		if d.states[i] != noticed || inst.Notice.Kind != fleet.NoticeInterruption || inst.Owner == "" || inst.ContainerInstance == "" || d.acted[inst.ID] {
			continue
		}
		why := fleet.Because(fleet.ReasonInterrupted, instanceSubject(inst), "notice", inst.Notice.Kind, "at", inst.Notice.At.UTC().Format(time.RFC3339))
		why.Cost = -d.market.priceOf(inst)
		d.drainAction(i, why, true)
	}
}

// reap terminates what is of no use: instances of ours that did not register in time, and
// those that left the cluster and still run. It needs to have seen all there is: tasks on an
// instance that is not listed show that the list lacks it, and then it looks as if it had
// never registered.
func (d *draft) reap() {
	_, whole := d.snap.Incomplete(fleet.SectionInstances, fleet.SectionEC2, fleet.SectionServices, fleet.SectionTasks)
	if d.mem.Pause.Paused() || !whole || d.age() > staleRemove || !d.out.Upheaval.IsZero() {
		return
	}
	for i := range d.snap.Instances {
		inst := &d.snap.Instances[i]
		if inst.Owner == "" || inst.IsRegistered() || d.acted[inst.ID] {
			continue
		}
		a := fleet.Action{Kind: fleet.ActionReap, Reap: &fleet.Reap{Instance: inst.ID, Launch: inst.Action}}
		switch {
		case inst.Drain != "" && inst.Status != fleet.StatusGone:
			a.Reason = fleet.Because(fleet.ReasonLeftover, instanceSubject(inst), "drain", inst.Drain.Short())
		case d.states[i] == late:
			a.Reason = fleet.Because(fleet.ReasonNoShow, instanceSubject(inst), "age", ago(d.now.Sub(inst.LaunchedAt)), "timeout", ago(d.bootTimeout(inst)))
		default:
			continue
		}
		if s := d.setback(fleet.ActionReap, string(inst.ID)); s != nil {
			d.note(setBack(s, instanceSubject(inst)))
			continue
		}
		a.Reason.Cost = -d.market.priceOf(inst)
		d.act(a)
	}
}
