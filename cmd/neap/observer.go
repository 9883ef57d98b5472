package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/sim"
)

// observer follows the cluster through a story: what Neap sees (snapshots), what it
// decides (plans, outcomes) and what is true (the world).
type observer struct {
	scene scene
	truth sim.Truth
	past  chronicle
	stays []instanceExplained // why each instance was here at the newest view that was asked about

	events       []event
	targets      map[fleet.ActionID]fleet.InstanceID // of drains and the like
	seenAt       time.Time                           // when the reading of the newest snapshot began
	runningSince time.Time                           // zero: not every task runs
	waitingMax   int
	instancePeak int

	chapterWaitingMax int
	chapterCost       fleet.Price
	chapterReport     fleet.InstanceID // that ran report when the chapter began
	chapterStart      time.Time
	chapterHistory    sim.History // when the chapter began
	chapterRoom       int64       // CPU units of ACTIVE instances when the chapter began
	chapterStays      []instanceExplained
	waitingSince      time.Time // zero: nothing waits
	waitedLongest     time.Duration
}

// reportGroup is the service that must not be moved.
const reportGroup = "service:report"

// note adds an event.
func (o *observer) note(at time.Time, kind, format string, args ...any) {
	o.events = append(o.events, event{Time: at, Kind: kind, Reason: fmt.Sprintf(format, args...)})
	o.scene.log = o.events
}

// ownTime is what the processes of the demo may need of this machine's time between a cause
// and its effect. It is simulated time that no installation takes: at --speed 45 the two
// seconds of a busy machine are a minute and a half of the story.
const ownTime = 2 * time.Second

// ownTime is the same in simulated time.
func (o *observer) ownTime() time.Duration { return time.Duration(o.scene.speed * float64(ownTime)) }

// begin starts a chapter.
func (o *observer) begin(number, of int, title string) {
	o.scene.chapter, o.scene.chapters, o.scene.title = number, of, title
	o.chapterWaitingMax, o.waitedLongest, o.waitingSince = 0, 0, time.Time{}
	o.chapterCost, o.chapterReport = o.scene.cost, o.reportHost()
	o.chapterStart, o.chapterHistory, o.chapterRoom = o.truth.Now, o.truth.History, o.room()
	o.stays, o.chapterStays = nil, nil
	o.past.begin()
	o.note(o.truth.Now, eventChapter, "%s", title)
}

// seeTruth takes in the true state of the world.
func (o *observer) seeTruth(t sim.Truth) {
	o.truth = t
	o.scene.now = t.Now
	waiting := o.waitingNow()
	o.waitingMax = max(o.waitingMax, waiting)
	o.chapterWaitingMax = max(o.chapterWaitingMax, waiting)
	switch {
	case waiting == 0:
		o.waitingSince = time.Time{}
	case o.waitingSince.IsZero():
		o.waitingSince = t.Now
	default:
		o.waitedLongest = max(o.waitedLongest, t.Now.Sub(o.waitingSince))
	}
	if !o.allRunning() {
		o.runningSince = time.Time{}
	} else if o.runningSince.IsZero() {
		o.runningSince = t.Now
	}
	o.instancePeak = max(o.instancePeak, o.instancesAlive())
	o.scene.cost = t.CostPerHour
}

// hear takes in what happened in the simulated AWS.
func (o *observer) hear(entries []sim.Entry) {
	for i := range entries {
		e := &entries[i]
		o.past.fold(e)
		if e.Kind == sim.EntrySpot {
			o.note(e.At, eventAWS, "%s: %s", clipID(fleet.InstanceID(e.ID)), e.What)
		}
	}
}

// seeStays takes in why each instance is still here. What is of before the chapter is of no
// use to it.
func (o *observer) seeStays(told *instancesExplained) {
	if told.At.Before(o.chapterStart) {
		return
	}
	o.stays = told.Instances
	o.chapterStays = append(o.chapterStays, told.Instances...)
}

// tellStays tells why each instance is still here, what the rule costs, and what the cluster
// costs now.
func (o *observer) tellStays() {
	for i := range o.stays {
		s := &o.stays[i]
		o.note(o.truth.Now, eventStays, "%s %s %s, %s used, costs %s a month: %s", clipID(s.Instance), s.Type, s.Lifecycle, used(s.Utilization), atMost(s.SavingPerMonth), s.Because)
	}
	o.note(o.truth.Now, eventResult, "the cluster cost %s when the chapter began and costs %s now", o.chapterCost, o.scene.cost)
}

// room is the CPU units of the instances that take tasks.
func (o *observer) room() int64 {
	sum := int64(0)
	for i := range o.truth.Instances {
		if inst := &o.truth.Instances[i]; lives(inst) && inst.Status == hostActive {
			sum += inst.Total.CPUUnits
		}
	}
	return sum
}

// The statuses of container instances, as ECS writes them.
const (
	hostActive   = "ACTIVE"
	hostDraining = "DRAINING"
)

// instancesAlive is how many instances EC2 bills.
func (o *observer) instancesAlive() int {
	n := 0
	for i := range o.truth.Instances {
		if lives(&o.truth.Instances[i]) {
			n++
		}
	}
	return n
}

func (o *observer) alive(id fleet.InstanceID) bool {
	return slices.ContainsFunc(o.truth.Instances, func(i sim.InstanceTruth) bool { return i.ID == string(id) && lives(&i) })
}

func lives(i *sim.InstanceTruth) bool { return i.State == "pending" || i.State == "running" }

// waitingNow is how many tasks ECS would start if there were room.
func (o *observer) waitingNow() int {
	n := 0
	for _, c := range o.truth.Clusters {
		for _, s := range c.Services {
			n += s.Missing
		}
	}
	return n
}

func (o *observer) allRunning() bool {
	for _, c := range o.truth.Clusters {
		for _, s := range c.Services {
			if s.Missing > 0 || s.Running < s.Desired || s.Pending > 0 {
				return false
			}
		}
	}
	return len(o.truth.Clusters) > 0
}

// seeSnapshot takes in what Neap sees.
func (o *observer) seeSnapshot(s *fleet.Snapshot) {
	o.seenAt = s.ReadStartedAt
	o.scene.services = nil
	service := map[string]int{}
	for i := range s.Services {
		name := string(s.Services[i].Name)
		service["service:"+name] = len(o.scene.services)
		o.scene.services = append(o.scene.services, name)
	}
	o.scene.instances = make([]sceneInstance, len(s.Instances))
	for i := range s.Instances {
		inst := &s.Instances[i]
		o.scene.instances[i] = sceneInstance{
			id: inst.ID, typ: inst.Type, zone: inst.Zone, lifecycle: inst.Lifecycle, status: inst.Status,
			launched: inst.LaunchedAt, total: inst.Registered, used: inst.Registered.Sub(inst.Remaining),
		}
	}
	placed := map[string]int{}
	for _, t := range s.Tasks {
		group := &s.TaskGroups[t.Group]
		placed[group.Group] += t.Running
		one := &o.scene.instances[t.Instance]
		if index, ok := service[group.Group]; ok && t.Running > 0 {
			one.tasks = append(one.tasks, sceneTasks{service: index, count: t.Running, needs: group.Needs})
		}
		one.marked = one.marked || group.Restricted || t.Protected > 0
	}
	o.scene.instances = slices.DeleteFunc(o.scene.instances, func(i sceneInstance) bool { return i.status == fleet.StatusGone })
	o.scene.waiting = make([]int, len(o.scene.services))
	for i := range s.Services {
		if svc := &s.Services[i]; svc.Scheduling == fleet.Replica {
			o.scene.waiting[i] = max(svc.Desired-placed["service:"+string(svc.Name)], 0)
		}
	}
}

// reportHost is the instance that runs the tagged task; empty if none does right now.
func (o *observer) reportHost() fleet.InstanceID {
	for i := range o.scene.instances {
		if o.runs(&o.scene.instances[i], reportGroup[len("service:"):]) {
			return o.scene.instances[i].id
		}
	}
	return ""
}

// runs reports whether tasks of a service run on an instance.
func (o *observer) runs(inst *sceneInstance, service string) bool {
	index := slices.Index(o.scene.services, service)
	return slices.ContainsFunc(inst.tasks, func(t sceneTasks) bool { return t.service == index && t.count > 0 })
}

// seePlan tells what was decided.
func (o *observer) seePlan(p *fleet.Plan) {
	for i := range p.Actions {
		a := &p.Actions[i]
		if l := a.Launch; l != nil {
			first := &l.Offerings[0]
			o.note(p.MadeAt, string(a.Kind), "%d × %s %s in %s (%s each): %s", l.Count, first.Type, l.Lifecycle, zones(l.Offerings), first.Price, a.Reason)
			continue
		}
		id, _ := a.Target()
		if o.targets == nil {
			o.targets = map[fleet.ActionID]fleet.InstanceID{}
		}
		o.targets[a.ID] = id
		o.note(p.MadeAt, string(a.Kind), "%s: %s", clipID(id), a.Reason)
	}
}

// seeOutcome tells how actions ended that did not end as planned, and which instances left.
func (o *observer) seeOutcome(out *fleet.Outcome) {
	switch {
	case out.Phase == fleet.PhaseFinal && out.Class != fleet.FailureNone:
		o.note(out.At, eventResult, "%s of %s ended: %s", out.Kind, o.nameOf(out.Action), out.Message)
	case out.Phase == fleet.PhaseResult && out.Step == "launch" && len(out.Instances) > 0:
		var ids []string
		for _, inst := range out.Instances {
			ids = append(ids, clipID(inst.ID))
		}
		o.note(out.At, eventResult, "EC2 gave %d: %v", len(ids), ids)
	case out.Phase == fleet.PhaseFinal && out.Kind == fleet.ActionDrain:
		o.note(out.At, eventResult, "%s is empty, deregistered and terminated", o.nameOf(out.Action))
	}
}

// nameOf is the instance that an action is about, or the action itself.
func (o *observer) nameOf(a fleet.ActionID) string {
	if id, ok := o.targets[a]; ok {
		return clipID(id)
	}
	return a.Short()
}
