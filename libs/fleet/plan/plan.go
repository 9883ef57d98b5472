// Package plan decides what to do about a cluster: which instances to launch, which to
// drain, restore or reap, and what to leave alone. [Make] is a pure function of what is
// seen, what is allowed and what is remembered.
//
// Every decision and every refusal has a reason, as data. Tasks that wait are answered in
// [fleet.Plan].Demand; instances that stay, and everything else that was looked at and not
// done, in Reasons under the subjects "instance/<id>", "service/<name>", "headroom" and
// "cluster". A plan tells no more than fits a message; [WhyStay] tells of any instance.
package plan

import (
	"slices"
	"strings"
	"time"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/place"
)

// Version is the version of these rules. Plans made by the same version of the same input
// are equal byte for byte; raise it with every change of what is decided.
const Version = "plan/7"

// Make decides. It is pure: the same snapshot, policy and memory make the same plan, byte
// for byte, and the order of the tables in the snapshot does not matter. The snapshot and
// the policy must be valid. The plan is sealed.
//
// Complexity, n instances, t tasks that wait or move, g groups of these, o offerings:
// O(n log n + t log n + g·(n+o)), and the packing (see package pack). What is compared with
// all tasks of the snapshot is asked about task groups, once each. Where instances have been
// idle for long enough to go, a rehearsal adds four placements for each task on those that go
// at once, O(log n) each as a rule and O(n) where package place says so.
func Make(snap fleet.Snapshot, pol fleet.Policy, mem fleet.Memory) fleet.Plan {
	d := newDraft(snap, pol, mem)
	d.decide()
	return d.finish()
}

// decide makes every decision, in this order.
func (d *draft) decide() {
	d.watchUpheaval() // whether much is missed that was there a moment ago
	d.lookAround()    // what the view, a person or the policy forbids
	d.account()       // what is under way: in flight, booting, draining, over
	d.reportDaemons() // that find no room
	d.findDemand()    // what services want and do not have
	d.placeWaiting()  // on what is there, then on what is booting
	d.undoDrains()    // that are needed after all, or that nobody is at
	d.keepHeadroom()  // the room that the policy wants free
	d.launch()        // for what fits nowhere
	d.drainNoticed()  // what AWS takes back
	d.reap()          // what never came to life
	d.replaceUnwell() // what does not work
	d.roll()          // what is to be replaced by the same anew; it holds up what follows
	d.removeIdle()    // what nobody needs
	d.reportDrift()   // what is not as it would be launched now
	d.applyBudgets()  // limits on how much changes at once come last
	d.noteLeaving()
}

// Limits of a plan and its actions.
const (
	startWithin   = 10 * time.Minute // an action not begun by then is rejected: the world has moved on
	expireAfter   = 20 * time.Minute // past its deadline, an executor has had every chance to answer
	visibleWithin = 5 * time.Minute  // EC2 shows an instance that it gave out, at the latest
	bootGrace     = 2 * time.Minute  // past the boot timeout, for an instance that is late by a hair
	staleRemove   = 60 * time.Second // views older than this justify no removal
	staleLaunch   = 3 * time.Minute  // views older than this justify no launch
	mostActions   = 200              // in one plan; the rest waits a beat
	mostReasons   = 1000             // about instances in one plan: larger plans do not fit a message
	mostTasks     = 10_000           // of one demand: ECS allows 5,000 tasks a service
)

// draft is a plan in the making.
type draft struct {
	snap *fleet.Snapshot
	pol  *fleet.Policy
	mem  *fleet.Memory
	now  time.Time
	out  fleet.Plan

	cluster    *place.Cluster
	tasks      []*place.Task // by task group
	daemons    []int         // task groups of daemon services
	heldBuffer []heldTask
	explained  int     // refusals that were told in full
	asked      []bool  // by instance, nil in a plan: of which everything is told (WhyStay)
	untold     int     // reasons beyond the most that a plan holds
	services   []int32 // by task group: of the service, or fleet.NoIndex
	bonds      []bond  // by task group
	starts     []int   // by instance, in the task table
	states     []state // by instance
	booting    []int   // nodes that are going to be there, real and hypothetical
	policy     string  // digest

	noLaunch, noRemove *fleet.Reason // why not, if not

	market    *market
	demand    []*demand
	moves     []*demand         // tasks that have to leave an instance
	movesFrom map[int][]*demand // by that instance, in the same order
	units     []*unit           // of headroom
	fresh     []fresh           // to launch
	drains    []drain
	acted     map[fleet.InstanceID]bool // instances that have an action, open or planned

	down      *fleet.WeekWindow // it is a time of the week without instances
	rolling   fleet.Rolling     // instances that a roll replaces
	drift     drift
	replacing fleet.Replacing     // dear instances, and those that take their place
	noSwap    string              // why no others are replaced now
	looked    []drain             // candidates for removal, least utilized first
	stuck     map[int]*place.Task // by instance: what of it fits nowhere else, where that is asked
}

// state is what an instance is to the planner.
type state uint8

const (
	gone      state = iota // no capacity, and none to come
	active                 // ECS places on it
	away                   // registered, its agent is not connected
	bootingUp              // going to register
	late                   // should have registered
	leaving                // draining, or a drain has it in hand
	noticed                // AWS is about to take it, or it does not work and is to be replaced
)

func newDraft(snap fleet.Snapshot, pol fleet.Policy, mem fleet.Memory) *draft {
	s := &snap
	if !s.IsCanonical() {
		s = clone(s)
		s.Canonical()
	}
	p := pol.WithDefaults()
	d := &draft{snap: s, pol: &p, mem: &mem, now: s.TakenAt, acted: map[fleet.InstanceID]bool{}}
	d.out = fleet.Plan{
		Cluster: s.Cluster, Generation: mem.Generation, Prev: mem.Prev,
		MadeAt: s.TakenAt, MadeBy: Version, DryRun: *p.DryRun, ReadStartedAt: s.ReadStartedAt,
		Effort: mem.Effort,
	}
	// A group that cannot be understood is eligible nowhere; its demand says so.
	d.cluster, d.tasks, _ = place.FromSnapshot(s)
	d.services = servicesOf(s)
	d.down = fleet.Within(p.Schedules.Shutdown, s.TakenAt)
	d.starts = startsOf(s)
	return d
}

// servicesOf finds the service of each task group.
func servicesOf(s *fleet.Snapshot) []int32 {
	byName := make(map[string]int32, len(s.Services))
	for i := range s.Services {
		byName[string(s.Services[i].Name)] = int32(i)
	}
	services := make([]int32, len(s.TaskGroups))
	for j := range s.TaskGroups {
		services[j] = fleet.NoIndex
		if name, ok := strings.CutPrefix(s.TaskGroups[j].Group, "service:"); ok {
			if i, ok := byName[name]; ok {
				services[j] = i
			}
		}
	}
	return services
}

// clone copies the tables that Canonical reorders.
func clone(s *fleet.Snapshot) *fleet.Snapshot {
	c := *s
	c.Sections = slices.Clone(s.Sections)
	c.AttributeSets = slices.Clone(s.AttributeSets)
	for i := range c.AttributeSets {
		c.AttributeSets[i] = slices.Clone(c.AttributeSets[i])
	}
	c.Instances = slices.Clone(s.Instances)
	for i := range c.Instances {
		c.Instances[i].OwnAttributes = slices.Clone(c.Instances[i].OwnAttributes)
	}
	c.TaskGroups = slices.Clone(s.TaskGroups)
	c.Tasks = slices.Clone(s.Tasks)
	c.Waiting = slices.Clone(s.Waiting)
	c.Services = slices.Clone(s.Services)
	for i := range c.Services {
		c.Services[i].Deployments = slices.Clone(c.Services[i].Deployments)
	}
	c.Types = slices.Clone(s.Types)
	for i := range c.Types {
		c.Types[i].Architectures = slices.Clone(c.Types[i].Architectures)
		c.Types[i].Zones = slices.Clone(c.Types[i].Zones)
	}
	c.Learned = slices.Clone(s.Learned)
	c.Images = slices.Clone(s.Images)
	c.Subnets = slices.Clone(s.Subnets)
	return &c
}

// because notes a reason for something that is not done.
func (d *draft) because(code fleet.ReasonCode, subject string, facts ...any) {
	if d.full() {
		d.untold++
		return
	}
	d.out.Reasons = append(d.out.Reasons, fleet.Because(code, subject, facts...))
}

// note is because for a reason that is made already. Once the plan is full it may be empty.
func (d *draft) note(r fleet.Reason) {
	if d.full() {
		d.untold++
		return
	}
	d.out.Reasons = append(d.out.Reasons, r)
}

// full reports whether the plan holds as many reasons as it may: what comes is counted, and
// its words are not worth making.
func (d *draft) full() bool { return d.asked == nil && len(d.out.Reasons) >= mostReasons }
