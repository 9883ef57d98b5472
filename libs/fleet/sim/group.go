package sim

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// group is an auto scaling group. It keeps as many instances as are desired: it launches
// what is missing, replaces what ended, and ends what is too much.
type group struct {
	seq       uint64
	name, arn string
	created   time.Time
	template  *AutoScalingTemplate
	mixed     *MixedInstancesPolicy
	subnets   []string
	tags      []AutoScalingTag

	least, most, desired int
	cooldown, grace      int
	protectNew           bool
	rebalance            bool
	deleting             bool

	members    []*groupMember
	activities []ScalingActivity // the oldest first
	wakeAt     time.Time         // when it looks at its instances next; zero is not at all
	retryAt    time.Time         // no launch before: the last one failed
}

// groupMember is an instance of a group.
type groupMember struct {
	machine   *instance
	protected bool      // from scale-in
	leaving   bool      // it no longer counts
	patience  time.Time // how long its tasks may take to drain; zero is that it is ending
}

// state is the lifecycle state of an instance in its group.
func (m *groupMember) state() string {
	switch {
	case m.leaving && !m.patience.IsZero():
		return "Terminating:Wait"
	case m.leaving || !m.machine.alive():
		return "Terminating"
	case m.machine.state == machinePending:
		return "Pending"
	}
	return "InService"
}

// busy reports whether tasks other than those of daemons are on the instance.
func (m *groupMember) busy() bool {
	h := m.machine.host
	return h != nil && len(h.tasks) > 0 && !h.daemonsOnly()
}

// counted are the members that count for the capacity of the group.
func (g *group) counted() []*groupMember {
	var list []*groupMember
	for _, m := range g.members {
		if !m.leaving && m.machine.alive() {
			list = append(list, m)
		}
	}
	return list
}

func (g *group) member(id string) *groupMember {
	for _, m := range g.members {
		if m.machine.id == id {
			return m
		}
	}
	return nil
}

// groupLook is the moment when a group looks at its instances.
type groupLook struct {
	g  *group
	at time.Time
}

// wakeGroup lets a group look at its instances after a time.
func (w *World) wakeGroup(g *group, after time.Duration) {
	at := w.now.Add(max(after, time.Millisecond))
	if !g.wakeAt.IsZero() && !at.Before(g.wakeAt) {
		return
	}
	g.wakeAt = at
	w.at(at, groupLook{g, at})
}

// groupReacts is a group's time to react to a change.
func (w *World) groupReacts(g *group) {
	w.wakeGroup(g, w.delay(w.cfg.Delays.Group, "group", g.name, fmt.Sprint(w.now.UnixMilli())))
}

// memberEnds tells the group of an instance that the instance ends. Its health check
// notices after a while.
func (w *World) memberEnds(m *instance) {
	if m.group != nil {
		w.wakeGroup(m.group, w.delay(w.cfg.Delays.GroupHealth, "health check", m.id))
	}
}

func (e groupLook) happen(w *World) {
	g := e.g
	if !g.wakeAt.Equal(e.at) {
		return // it was woken earlier
	}
	g.wakeAt = time.Time{}
	w.letGo(g)
	have := g.counted()
	switch missing := g.desired - len(have); {
	case missing > 0 && w.now.Before(g.retryAt):
		w.wakeGroup(g, g.retryAt.Sub(w.now))
	case missing > 0:
		w.grow(g, have, missing)
	case missing < 0:
		w.shrink(g, have, -missing)
	}
	if g.deleting && len(g.members) == 0 {
		w.groups = slices.DeleteFunc(w.groups, func(other *group) bool { return other == g })
	}
}

// letGo forgets members that have ended and ends those whose tasks have.
func (w *World) letGo(g *group) {
	const pace = 5 * time.Second
	for _, m := range slices.Clone(g.members) {
		switch {
		case !m.leaving && !m.machine.alive():
			m.leaving = true
			w.endMember(m) // one that was stopped, too
			w.act(g, "Terminating EC2 instance: "+m.machine.id, w.cause("an instance was taken out of service in response to an EC2 health check indicating it has been terminated or stopped."), "")
		case m.leaving && m.machine.alive() && !m.patience.IsZero() && (!m.busy() || !w.now.Before(m.patience)):
			w.endMember(m)
		}
		if m.machine.state == machineTerminated {
			g.members = slices.DeleteFunc(g.members, func(other *groupMember) bool { return other == m })
		} else if m.leaving {
			w.wakeGroup(g, pace)
		}
	}
}

func (w *World) endMember(m *groupMember) {
	m.patience = time.Time{}
	w.terminate(m.machine, StateReason{"Client.UserInitiatedShutdown", "Client.UserInitiatedShutdown: User initiated shutdown"})
}

// longestDrain is how long managed draining waits for tasks at most.
const longestDrain = 48 * time.Hour

// depart takes a member out of service. If its capacity provider has managed draining, its
// container instance drains first.
func (w *World) depart(g *group, m *groupMember, cause string) ScalingActivity {
	m.leaving = true
	h := m.machine.host
	if p := w.providerOfGroup(g); p != nil && p.AutoScalingGroupProvider.ManagedDraining == settingOn && h != nil && h.provider == p.Name {
		m.patience = w.now.Add(longestDrain)
		if h.status == statusActive {
			w.setDraining(h)
		}
	} else {
		w.endMember(m)
	}
	w.wakeGroup(g, time.Second)
	return w.act(g, "Terminating EC2 instance: "+m.machine.id, cause, "")
}

func (w *World) providerOfGroup(g *group) *provider {
	for _, p := range w.providers {
		if p.group == g {
			return p
		}
	}
	return nil
}

// shrink ends members that are too much: in the zone that has most, the oldest first, none
// that is protected from scale-in (the default termination policy).
func (w *World) shrink(g *group, have []*groupMember, count int) {
	zones := map[string]int{}
	for _, m := range have {
		zones[m.machine.subnet.Zone]++
	}
	have = slices.DeleteFunc(have, func(m *groupMember) bool { return m.protected })
	for range count {
		if len(have) == 0 {
			w.act(g, "Could not scale to desired capacity", w.cause("a difference between desired and actual capacity changed the group."),
				"Could not scale to desired capacity because all remaining instances are protected from scale-in.")
			return
		}
		best := 0
		for i, m := range have {
			if zones[m.machine.subnet.Zone] > zones[have[best].machine.subnet.Zone] {
				best = i
			}
		}
		m := have[best]
		have = slices.Delete(have, best, best+1)
		zones[m.machine.subnet.Zone]--
		w.depart(g, m, w.cause(fmt.Sprintf("an instance was selected for termination: %s.", m.machine.id)))
	}
}

// grow launches instances, spread evenly over the subnets. What one zone does not give is
// asked of the others; what none gives is tried again later.
func (w *World) grow(g *group, have []*groupMember, count int) {
	load := map[string]int{}
	for _, m := range have {
		load[m.machine.subnet.ID]++
	}
	open := slices.Clone(g.subnets)
	var why string
	for count > 0 && len(open) > 0 {
		share := map[string]int{}
		for range count {
			best := open[0]
			for _, s := range open[1:] {
				if load[s] < load[best] {
					best = s
				}
			}
			load[best]++
			share[best]++
		}
		for _, s := range slices.Clone(open) {
			if share[s] == 0 {
				continue
			}
			got, err := w.launchIn(g, s, share[s])
			count -= got
			if got < share[s] {
				load[s] -= share[s] - got
				open = slices.DeleteFunc(open, func(other string) bool { return other == s })
				if err != "" {
					why = err
				}
			}
		}
	}
	if count == 0 {
		return
	}
	g.retryAt = w.now.Add(w.cfg.Delays.GroupRetry)
	w.act(g, "Launching a new EC2 instance.  Status Reason: "+why, w.cause(fmt.Sprintf("an instance was started in response to a difference between desired and actual capacity, increasing the capacity from %d to %d.", len(have), g.desired)), why)
	w.wakeGroup(g, w.cfg.Delays.GroupRetry)
}

// launchIn launches up to count instances in a subnet, and says why not all of them.
func (w *World) launchIn(g *group, subnetID string, count int) (got int, why string) {
	var ids []string
	if g.mixed == nil {
		out, err := w.RunInstances(&RunInstancesInput{
			LaunchTemplate: LaunchTemplateSpecification(*g.template), SubnetID: subnetID, MinCount: 1, MaxCount: count,
		})
		if err != nil {
			return 0, groupWords(err)
		}
		for _, i := range out.Instances {
			ids = append(ids, i.InstanceID)
		}
	} else {
		out, err := w.CreateFleet(g.fleet(subnetID, count))
		if err != nil {
			return 0, groupWords(err)
		}
		for _, made := range out.Instances {
			ids = append(ids, made.InstanceIDs...)
		}
		for _, e := range out.Errors {
			why = e.ErrorMessage + " Launching EC2 instance failed."
		}
	}
	for _, id := range ids {
		w.enrol(g, w.instances[id], g.protectNew)
		w.act(g, "Launching a new EC2 instance: "+id, w.cause(fmt.Sprintf("an instance was started in response to a difference between desired and actual capacity, increasing the capacity to %d.", len(g.counted()))), "")
	}
	return len(ids), why
}

// groupWords are an error of EC2 as a scaling activity shows it.
func groupWords(err error) string {
	_, text, found := strings.Cut(err.Error(), ": ")
	if !found {
		text = err.Error()
	}
	return text + " Launching EC2 instance failed."
}

// enrol makes an instance a member of a group, with its tags.
func (w *World) enrol(g *group, m *instance, protected bool) {
	m.group = g
	for _, t := range g.tags {
		if t.PropagateAtLaunch {
			setTag(&m.tags, Tag{t.Key, t.Value})
		}
	}
	setTag(&m.tags, Tag{"aws:autoscaling:groupName", g.name})
	g.members = append(g.members, &groupMember{machine: m, protected: protected})
}

// fleet is what a group with a mixed instances policy asks of EC2 in one subnet: on-demand
// up to its base and its share above, spot for the rest.
func (g *group) fleet(subnetID string, count int) *CreateFleetInput {
	d := InstancesDistribution{}
	if g.mixed.InstancesDistribution != nil {
		d = *g.mixed.InstancesDistribution
	}
	percent := 100
	if d.OnDemandPercentageAboveBaseCapacity != nil {
		percent = *d.OnDemandPercentageAboveBaseCapacity
	}
	have := g.counted()
	total := len(have) + count
	onDemand := min(d.OnDemandBaseCapacity, total)
	onDemand += ((total-onDemand)*percent + 99) / 100
	for _, m := range have {
		if !m.machine.spot {
			onDemand--
		}
	}
	onDemand = min(max(onDemand, 0), count)
	in := &CreateFleetInput{
		Type:            "instant",
		OnDemandOptions: FleetOptions{AllocationStrategy: d.OnDemandAllocationStrategy},
		SpotOptions:     FleetOptions{AllocationStrategy: d.SpotAllocationStrategy},
		TargetCapacitySpecification: TargetCapacitySpecification{
			TotalTargetCapacity: count, OnDemandTargetCapacity: onDemand, SpotTargetCapacity: count - onDemand, DefaultTargetCapacityType: "on-demand",
		},
	}
	if in.OnDemandOptions.AllocationStrategy == "" {
		in.OnDemandOptions.AllocationStrategy = "prioritized" // what Auto Scaling takes unless told
	}
	config := FleetLaunchTemplateConfig{LaunchTemplateSpecification: LaunchTemplateSpecification(*g.mixed.LaunchTemplate.LaunchTemplateSpecification)}
	for i, o := range g.mixed.LaunchTemplate.Overrides.Member {
		priority := float64(i)
		config.Overrides = append(config.Overrides, FleetOverride{InstanceType: o.InstanceType, SubnetID: subnetID, Priority: &priority})
	}
	if len(config.Overrides) == 0 {
		config.Overrides = []FleetOverride{{SubnetID: subnetID}}
	}
	in.LaunchTemplateConfigs = []FleetLaunchTemplateConfig{config}
	return in
}

// keptActivities is how many activities of a group are kept. AWS keeps six weeks of them.
const keptActivities = 200

// cause is a cause as Auto Scaling words it.
func (w *World) cause(text string) string {
	return "At " + w.now.Format(time.RFC3339) + " " + text
}

// act notes an activity of a group; why is for one that failed. The same failure is noted
// once until something else happens.
func (w *World) act(g *group, description, cause, why string) ScalingActivity {
	if n := len(g.activities); why != "" && n > 0 && g.activities[n-1].StatusMessage == why {
		return g.activities[n-1]
	}
	a := ScalingActivity{
		ActivityID: w.uuid("activity"), AutoScalingGroupName: g.name, Description: description, Cause: cause,
		StartTime: Timestamp{w.now}, EndTime: &Timestamp{w.now}, StatusCode: "Successful", StatusMessage: why, Progress: 100,
		Details: `{"Subnet ID":"` + strings.Join(g.subnets, ",") + `"}`,
	}
	if why != "" {
		a.StatusCode = "Failed"
	}
	g.activities = append(g.activities, a)
	if len(g.activities) > keptActivities {
		g.activities = slices.Clone(g.activities[len(g.activities)-keptActivities:])
	}
	return a
}
