package plan

import (
	"fmt"
	"slices"
	"time"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/place"
)

// account settles what earlier plans began: it closes what is over, gives every instance
// its state, and adds the capacity that is on its way.
func (d *draft) account() {
	d.market = newMarket(d)
	d.states = make([]state, len(d.snap.Instances))
	hands := d.settle()
	for i := range d.snap.Instances {
		inst := &d.snap.Instances[i]
		d.states[i] = d.stateOf(inst, hands[inst.ID])
		switch d.states[i] {
		case bootingUp:
			d.expect(i)
		case leaving, noticed:
			d.cluster.Close(i)
		case active, away, gone, late:
		}
	}
	d.findUnhealthy()
	d.addDaemons()
	d.carryReplacing()
}

func (d *draft) stateOf(inst *fleet.Instance, hand *fleet.Action) state {
	switch inst.Status {
	case fleet.StatusLaunching, fleet.StatusRegistering:
		switch {
		case inst.Drain != "" || hand != nil: // it was registered, or is given up: no capacity comes of it
			return leaving
		case d.now.Sub(inst.LaunchedAt) > d.bootTimeout(inst)+bootGrace:
			return late
		}
		return bootingUp
	case fleet.StatusActive:
		switch {
		case inst.Notice.Kind != "":
			return noticed
		case hand != nil && hand.Drain != nil:
			return leaving
		case !inst.AgentConnected:
			return away
		}
		return active
	case fleet.StatusDraining, fleet.StatusDeregistering:
		return leaving
	default:
		return gone
	}
}

// bootTimeout is how long an instance may take to register: as its launch said, or as the
// policy says now.
func (d *draft) bootTimeout(inst *fleet.Instance) time.Duration {
	for i := range d.mem.Open {
		if a := &d.mem.Open[i].Action; a.ID == inst.Action && a.Launch != nil && a.Launch.Boot > 0 {
			return time.Duration(a.Launch.Boot)
		}
	}
	if spec, ok := d.pol.Spec(inst.LaunchSpec); ok {
		return time.Duration(bootTimeoutOf(d.pol, spec))
	}
	return time.Duration(d.pol.Boot.Timeout)
}

// bootTimeoutOf is how long an instance of a launch spec may take to register.
func bootTimeoutOf(pol *fleet.Policy, spec *fleet.LaunchSpec) fleet.Duration {
	if spec.Windows() {
		return pol.Boot.WindowsTimeout
	}
	return pol.Boot.Timeout
}

// settle closes the actions that are over and returns those that have an instance in hand.
func (d *draft) settle() map[fleet.InstanceID]*fleet.Action {
	hands := map[fleet.InstanceID]*fleet.Action{}
	byAction := map[fleet.ActionID][]*fleet.Instance{}
	if len(d.mem.Open) == 0 {
		return hands
	}
	byID := make(map[fleet.InstanceID]*fleet.Instance, len(d.snap.Instances))
	for i := range d.snap.Instances {
		inst := &d.snap.Instances[i]
		byID[inst.ID] = inst
		if inst.Action != "" {
			byAction[inst.Action] = append(byAction[inst.Action], inst)
		}
	}
	for i := range d.mem.Open {
		open := &d.mem.Open[i]
		var verdict fleet.Verdict
		var evidence string
		if open.Action.Launch != nil {
			verdict, evidence = d.settleLaunch(open, byAction[open.Action.ID], byID)
		} else {
			id, _ := open.Action.Target()
			verdict, evidence = d.settleTarget(open, byID[id])
			if verdict == "" {
				hands[id] = &open.Action
				d.acted[id] = true
			}
		}
		if verdict != "" {
			d.out.Closures = append(d.out.Closures, fleet.Closure{Action: open.Action.ID, Verdict: verdict, Evidence: evidence})
		}
	}
	return hands
}

// settleLaunch closes a launch when everything it gave out has registered or is given up,
// and counts what nobody sees yet as booting.
func (d *draft) settleLaunch(open *fleet.Open, seen []*fleet.Instance, byID map[fleet.InstanceID]*fleet.Instance) (fleet.Verdict, string) {
	a := &open.Action
	if !open.Over {
		if d.now.After(a.Deadline.Add(expireAfter)) {
			return fleet.VerdictExpired, fmt.Sprintf("no outcome %s after its deadline; %d of %d instances seen", ago(expireAfter), len(seen), a.Launch.Count)
		}
		d.inFlight(a, nil, a.Launch.Count-len(seen))
		return "", ""
	}
	if len(open.Instances) == 0 {
		if open.Class != fleet.FailureNone {
			return fleet.VerdictFailed, fmt.Sprintf("%s: %s", open.Class, open.Message)
		}
		return fleet.VerdictDone, "EC2 gave no instance"
	}
	registered, waiting := 0, 0
	for _, given := range open.Instances {
		inst, visible := byID[given.ID]
		switch {
		case visible && inst.IsRegistered():
			registered++
		case visible && (inst.Status == fleet.StatusLaunching || inst.Status == fleet.StatusRegistering) &&
			d.now.Sub(inst.LaunchedAt) <= time.Duration(a.Launch.Boot)+bootGrace:
			waiting++
		case !visible && (!d.complete() || d.now.Sub(open.OverAt) < visibleWithin):
			waiting++
			d.inFlight(a, &given, 1)
		}
	}
	if waiting > 0 {
		return "", ""
	}
	verdict := fleet.VerdictDone
	if registered == 0 {
		verdict = fleet.VerdictFailed
	}
	return verdict, fmt.Sprintf("%d of %d instances registered", registered, len(open.Instances))
}

// settleTarget closes an action on an instance when the instance shows what came of it.
func (d *draft) settleTarget(open *fleet.Open, inst *fleet.Instance) (fleet.Verdict, string) {
	a := &open.Action
	if inst == nil || inst.Status == fleet.StatusGone {
		if inst == nil && (!d.complete() || d.now.Sub(open.PlannedAt) < staleRemove && !open.Over) {
			return "", "" // it may be there and hidden
		}
		return fleet.VerdictDone, "the instance is gone"
	}
	if a.Restore != nil && inst.Status == fleet.StatusActive {
		return fleet.VerdictDone, "the instance is active"
	}
	if a.Drain != nil && d.restored(a.ID, inst) {
		return fleet.VerdictCancelled, "the instance was restored"
	}
	if open.Over {
		if open.Class != fleet.FailureNone {
			return fleet.VerdictFailed, fmt.Sprintf("%s: %s", open.Class, open.Message)
		}
		if d.now.Sub(open.OverAt) > visibleWithin {
			return fleet.VerdictDone, "its executor says so"
		}
		return "", ""
	}
	last := a.Deadline.Add(expireAfter)
	if a.Drain != nil {
		last = last.Add(time.Duration(a.Drain.Timeout))
	}
	if d.now.After(last) {
		return fleet.VerdictExpired, fmt.Sprintf("no outcome %s after it had to be over", ago(d.now.Sub(last)))
	}
	return "", ""
}

// restored reports whether a restore undid the drain.
func (d *draft) restored(drain fleet.ActionID, inst *fleet.Instance) bool {
	return inst.Status == fleet.StatusActive && slices.ContainsFunc(d.mem.Open, func(o fleet.Open) bool {
		return o.Action.Restore != nil && o.Action.Restore.Drain == drain && o.Action.Restore.Instance == inst.ID
	})
}

// inFlight adds instances that a launch asked for and that nobody sees yet. Where EC2 may
// still choose among offerings, each counts as the least of them.
func (d *draft) inFlight(a *fleet.Action, given *fleet.LaunchedInstance, count int) {
	if len(a.Launch.Offerings) == 0 {
		return
	}
	off := a.Launch.Offerings[0]
	for _, o := range a.Launch.Offerings {
		if given != nil && o.Type == given.Type && o.Zone == given.Zone {
			off = o
			break
		}
		if given == nil {
			off.Capacity = least(off.Capacity, o.Capacity)
		}
	}
	attributes := d.market.attributesOf(&off, &a.Launch.Spec)
	for n := range count {
		id := fmt.Sprintf("launch/%s/%d", a.ID.Short(), n)
		if given != nil {
			id = string(given.ID)
		}
		node := d.cluster.Add(place.Node{
			ID: id, Zone: off.Zone, Attributes: attributes, Total: off.Capacity, Free: off.Capacity, RegisteredAt: d.now,
			AgentVersion: d.market.agentVersion(off.ImageID),
		})
		d.booting = append(d.booting, node)
		d.market.count(&off, a.Launch.Spec.Name)
		d.out.Summary.Launching++
		d.out.Summary.Cost += off.Price
	}
}

// expect gives a booting instance the capacity that it is going to register.
func (d *draft) expect(i int) {
	inst := &d.snap.Instances[i]
	if inst.Registered.IsZero() {
		off, spec, ok := d.market.offeringOf(inst)
		if !ok {
			return // of a type that the catalogue does not know: nothing can be counted on
		}
		d.cluster.Release(i, off.Capacity)
		d.cluster.SetAttributes(i, d.market.attributesOf(&off, spec))
		d.cluster.SetAgent(i, d.market.agentVersion(off.ImageID), d.now)
	}
	d.booting = append(d.booting, i)
}

// addDaemons reserves the room of daemon tasks that are not on their instance yet: ECS
// starts them before others.
func (d *draft) addDaemons() {
	for i := range d.snap.Services {
		svc := &d.snap.Services[i]
		if svc.Scheduling != fleet.Daemon {
			continue
		}
		for _, dep := range svc.Deployments {
			if dep.Primary {
				d.daemons = append(d.daemons, dep.Group)
			}
		}
	}
	for i := range d.snap.Instances {
		if d.states[i] == active {
			d.reserveDaemons(i)
		}
	}
	for _, i := range d.booting {
		d.cluster.Open(i)
		d.reserveDaemons(i)
		d.cluster.Close(i)
	}
}

// reserveDaemons puts the daemon tasks on a node that lacks them.
func (d *draft) reserveDaemons(node int) {
	for _, g := range d.daemons {
		t := d.tasks[g]
		if d.cluster.Count(node, t.Group) > 0 || !d.cluster.Admits(node, t) {
			continue
		}
		d.cluster.Put(node, t, 1)
	}
}

func least(a, b fleet.Resources) fleet.Resources {
	return fleet.Resources{
		CPUUnits: min(a.CPUUnits, b.CPUUnits), MemoryMiB: min(a.MemoryMiB, b.MemoryMiB),
		GPUs: min(a.GPUs, b.GPUs), ENIs: min(a.ENIs, b.ENIs),
	}
}
