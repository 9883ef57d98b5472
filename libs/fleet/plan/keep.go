package plan

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/place"
)

// isHeld says what forbids to remove an instance even at a time when all are to go.
func (d *draft) isHeld(i int) (fleet.Reason, bool) {
	inst := &d.snap.Instances[i]
	no := func(code fleet.ReasonCode, facts ...any) (fleet.Reason, bool) { return d.stays(i, code, facts...) }
	switch {
	case inst.Owner == "":
		owner := "no owner tag"
		if inst.AutoScalingGroup != "" {
			owner = "auto scaling group " + inst.AutoScalingGroup
		}
		return no(fleet.ReasonNotOurs, "owner", owner)
	case inst.Protected != "":
		return no(fleet.ReasonProtected, "what", "the instance", "why", inst.Protected)
	case d.states[i] == away:
		return no(fleet.ReasonAgentAway)
	}
	if s := d.setback(fleet.ActionDrain, string(inst.ID)); s != nil {
		return setBack(s, instanceSubject(inst)), true
	}
	return d.tasksStay(i)
}

// stays is the reason why an instance stays.
func (d *draft) stays(i int, code fleet.ReasonCode, facts ...any) (fleet.Reason, bool) {
	if d.full() {
		return fleet.Reason{}, true
	}
	return fleet.Because(code, instanceSubject(&d.snap.Instances[i]), facts...), true
}

// mustStay says what forbids to remove an instance, whatever fits elsewhere. It takes time
// in proportion to the kinds of tasks on it.
func (d *draft) mustStay(i, awaited int) (fleet.Reason, bool) {
	if why, stays := d.isHeld(i); stays {
		return why, true
	}
	inst := &d.snap.Instances[i]
	no := func(code fleet.ReasonCode, facts ...any) (fleet.Reason, bool) { return d.stays(i, code, facts...) }
	if spec, ok := d.pol.Spec(inst.LaunchSpec); ok && spec.ScaleDown.Restrict {
		if n := d.tasksBut(i, staysBehind); n > 0 {
			return no(fleet.ReasonOnlyEmpty, "spec", spec.Name, "tasks", n)
		}
	}
	age, least := d.now.Sub(inst.LaunchedAt), time.Duration(d.pol.ScaleDown.MinLifetime)
	switch {
	case d.states[i] == noticed:
		return fleet.Reason{}, false
	case age < least:
		return no(fleet.ReasonYoung, "age", ago(age), "min", ago(least))
	case !d.replacing.IsZero() && inst.LaunchedAt.After(d.replacing.Since):
		return no(fleet.ReasonSuccessor, "instances", len(d.replacing.Instances))
	case awaited > 0:
		return no(fleet.ReasonAwaited, "count", awaited)
	}
	return fleet.Reason{}, false
}

// bond is what holds the tasks of a group where they are, as far as it is the same on all
// instances.
type bond uint8

const (
	loose        bond = iota
	staysBehind       // a daemon task: it goes with its instance
	restricted        // tagged, it or its service
	standalone        // while it runs: ECS would not move it
	inDeployment      // while it runs: it is a task of the deployment in flight
	noMove            // while it runs: a deployment leaves ECS no room to stop or start another now
	deadlocked        // while it runs: ECS may neither stop one nor start another
	losable           // standalone, and the policy lets it be lost
)

// findBonds decides once per task group what tasksStay asks on every instance.
func (d *draft) findBonds() { d.findBondsWith(heedTags) }

// tagRule says whether restrict tags count.
type tagRule bool

// The rules.
const (
	heedTags   tagRule = true
	ignoreTags tagRule = false
)

func (d *draft) findBondsWith(tags tagRule) {
	d.bonds = make([]bond, len(d.snap.TaskGroups))
	for j := range d.snap.TaskGroups {
		g := &d.snap.TaskGroups[j]
		svc, ofService := d.service(j)
		switch {
		case g.Daemon:
			d.bonds[j] = staysBehind
		case tags == heedTags && (g.Restricted || ofService && svc.Restricted):
			d.bonds[j] = restricted
		case (g.Standalone || !ofService) && !d.pol.ScaleDown.StandaloneTasks:
			d.bonds[j] = standalone
		case !ofService || d.down != nil: // everything goes: ECS need not move it
		case deploying(svc) && inFlight(svc, j):
			d.bonds[j] = inDeployment
		case atMost(svc) <= svc.Desired && atLeast(svc) >= svc.Desired:
			d.bonds[j] = deadlocked
		case deploying(svc) && !mayMove(svc):
			d.bonds[j] = noMove
		}
		if d.bonds[j] == loose && g.Standalone {
			d.bonds[j] = losable
		}
	}
}

// tasksStay says which task on an instance forbids to remove it.
func (d *draft) tasksStay(i int) (fleet.Reason, bool) {
	for _, tc := range d.tasksOn(i) {
		b := d.bonds[tc.Group]
		if b == staysBehind || tc.Protected == 0 && (b == loose || b == losable || b != restricted && tc.Running == 0) {
			continue
		}
		if d.full() {
			return fleet.Reason{}, true
		}
		subject, name := instanceSubject(&d.snap.Instances[i]), d.nameOf(tc.Group)
		svc, _ := d.service(tc.Group)
		switch {
		case tc.Protected > 0:
			return fleet.Because(fleet.ReasonProtected, subject, "what", name, "why", "task scale-in protection"), true
		case b == restricted:
			return fleet.Because(fleet.ReasonRestricted, subject, "task", name, "tag", strings.Join(d.pol.Attributes.RestrictTags, " or ")), true
		case b == standalone:
			return fleet.Because(fleet.ReasonStandalone, subject, "task", name), true
		case b == inDeployment:
			return fleet.Because(fleet.ReasonDeploying, subject, "service", svc.Name, "why", name+" is of the deployment in flight"), true
		case b == noMove:
			running, pending := tasksOf(svc)
			return fleet.Because(fleet.ReasonDeploying, subject, "service", svc.Name, "why", fmt.Sprintf(
				"of %d tasks wanted %d run and %d start, and with %d–%d %% healthy ECS may now neither start nor stop one",
				svc.Desired, running, pending, svc.MinHealthyPercent, svc.MaxPercent)), true
		default:
			return fleet.Because(fleet.ReasonDeadlock, subject, "service", svc.Name, "desired", svc.Desired, "min", svc.MinHealthyPercent, "max", svc.MaxPercent), true
		}
	}
	return fleet.Reason{}, false
}

// deploying services have a deployment that is not over: ECS is moving their tasks.
func deploying(svc *fleet.Service) bool {
	return len(svc.Deployments) > 1 || slices.ContainsFunc(svc.Deployments, func(dep fleet.Deployment) bool {
		return dep.Rollout == fleet.RolloutInProgress
	})
}

// inFlight reports whether the tasks of a group are of the deployment that a service moves
// to: ECS has started them a moment ago.
func inFlight(svc *fleet.Service, group int) bool {
	return slices.ContainsFunc(svc.Deployments, func(dep fleet.Deployment) bool {
		return dep.Group == group && (dep.Primary || dep.Rollout == "") // task sets have no rollout
	})
}

// mayMove reports whether the percentages of a service that is deployed let ECS start or
// stop one more task now, beside what the deployment has under way.
func mayMove(svc *fleet.Service) bool {
	running, pending := tasksOf(svc)
	return running+pending < atMost(svc) || running > atLeast(svc)
}

// tasksOf counts the tasks of all deployments of a service.
func tasksOf(svc *fleet.Service) (running, pending int) {
	for i := range svc.Deployments {
		running += svc.Deployments[i].Running
		pending += svc.Deployments[i].Pending
	}
	return running, pending
}

// tasksBut counts the tasks on an instance, those that are stopping included, but for one
// kind.
func (d *draft) tasksBut(i int, except bond) int {
	n := 0
	for _, tc := range d.tasksOn(i) {
		if d.bonds[tc.Group] != except {
			n += tc.Running + tc.Stopping
		}
	}
	return n
}

// nearest says why a task of an instance fits on no other: on the one where least is
// lacking. Looking at all of them takes O(n), and so only the first few are told in full.
func (d *draft) nearest(from int, t *place.Task) string {
	const most = 40 // past these the words would cost more than the decision
	if d.explained++; d.explained > most && d.asked == nil {
		return "no other instance has room for it"
	}
	best, ok := d.cluster.Nearest(t, from)
	if !ok {
		if d.alone(from) {
			return "there is no other instance"
		}
		return "no other instance meets its constraints"
	}
	n, _ := d.cluster.Node(best)
	if r, ok := d.cluster.Eligible(best, t); !ok {
		return fmt.Sprintf("the nearest, %s: %s", n.ID, r.Detail)
	}
	return "others have room for some of what is on it, not for all"
}

// alone reports whether no other node takes tasks.
func (d *draft) alone(except int) bool {
	for i := range d.cluster.Len() {
		if i != except && d.cluster.Takes(i) {
			return false
		}
	}
	return true
}

// shortfall is how much of a need is lacking, in the resource that lacks most.
func shortfall(need, free fleet.Resources) float64 {
	lack := func(need, free int64) float64 {
		if need <= max(free, 0) {
			return 0
		}
		return float64(need-max(free, 0)) / float64(need)
	}
	return max(lack(need.CPUUnits, free.CPUUnits), lack(need.MemoryMiB, free.MemoryMiB), lack(need.GPUs, free.GPUs), lack(need.ENIs, free.ENIs))
}
