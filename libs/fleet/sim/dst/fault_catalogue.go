package dst

import (
	"slices"
	"strings"
	"time"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/execute"
	"github.com/neap-project/neap/libs/fleet/sim"
)

// faultList are the faults that are injected, by their numbers in docs/reliability.md.
var faultList = []fault{
	{id: "F1", what: "a watcher is killed in the middle of reading", every: 40 * time.Minute, lasts: 2 * time.Minute, chance: 0.2},
	{id: "F2", what: "a watcher is killed before it publishes", every: 40 * time.Minute, lasts: 2 * time.Minute, chance: 0.2},
	{id: "F3", what: "two replicas watch and plan one cluster", every: time.Hour, lasts: 10 * time.Minute, chance: 1},
	{id: "F4", what: "a watcher pauses before it publishes", every: time.Hour, lasts: 5 * time.Minute, chance: 0.2},
	{id: "F5", what: "a reader is served an older snapshot", every: 40 * time.Minute, lasts: 5 * time.Minute, chance: 0.3},
	{id: "F6", what: "a page of a section cannot be read", every: 40 * time.Minute, lasts: 5 * time.Minute, chance: 0.2},
	{id: "F7", what: "sections are read at different times", every: 40 * time.Minute, lasts: 10 * time.Minute, chance: 0.3},
	{id: "F8", what: "EC2 hides what is new and shows what is old", every: time.Hour, inject: func(s *system, f *fault) bool {
		s.script("consistency %s", pick(f.rng, "eventual", "20s", "1m"))
		s.after(20*time.Minute, func() { s.script("consistency strong") })
		return true
	}},
	{id: "F10", what: "an answer lacks much of what is there, and says it is whole", every: 40 * time.Minute, lasts: 2 * time.Minute, chance: 0.5},
	{id: "F11", what: "AWS throttles", every: time.Hour, lasts: 5 * time.Minute, chance: 0.3},
	{id: "F12", what: "events are lost, doubled and late", every: 30 * time.Minute, lasts: 30 * time.Minute, chance: 0.7},
	{id: "F14", what: "the agents of a fifth of the instances disconnect", every: time.Hour, inject: disconnectMany},
	{id: "F16", what: "prices cannot be read", every: time.Hour, lasts: 10 * time.Minute, chance: 0.5},
	{id: "F18", what: "two planners append to one chain"}, // comes about by F3, F76 and F4
	{id: "F19", what: "the answer to an append is lost", every: 30 * time.Minute, lasts: 10 * time.Minute, chance: 0.5},
	{id: "F20", what: "a planner is killed", every: 30 * time.Minute, inject: killOne(plannerName)},
	{id: "F21", what: "all streams are lost", every: 4 * time.Hour, lasts: 40 * time.Minute, chance: 0.3}, // when a call has just been made
	{id: "F27", what: "a person lowers the limit of instances when a launch is about to begin", every: 40 * time.Minute, lasts: 15 * time.Minute, chance: 0.3},
	{id: "F28", what: "pause is pressed", every: time.Hour, inject: func(s *system, f *fault) bool {
		s.press(true)
		s.after(between(f.rng, time.Minute, 15*time.Minute), func() { s.press(false) })
		return true
	}},
	{id: "F29", what: "a service is set to no tasks and back", every: 90 * time.Minute, inject: func(s *system, f *fault) bool {
		l := &s.story.services[f.rng.IntN(len(s.story.services))]
		was := l.desired
		s.story.desire(l, 0)
		s.after(between(f.rng, time.Minute, 10*time.Minute), func() { s.story.desire(l, was) })
		return true
	}},
	{id: "F30", what: "a service is set to far too many tasks and back", every: 2 * time.Hour, inject: func(s *system, f *fault) bool {
		l := &s.story.services[f.rng.IntN(len(s.story.services))]
		was := l.desired
		s.story.desire(l, 1000)
		s.after(between(f.rng, time.Minute, 5*time.Minute), func() { s.story.desire(l, was) })
		return true
	}},
	{id: "F31", what: "a plan is delivered again"}, // comes about by F69, F36 and F89
	{id: "F33", what: "an actuator is killed between the intent and the call", every: 30 * time.Minute, lasts: 20 * time.Minute, chance: 0.5},
	{id: "F34", what: "a call is not answered, done or not", every: 30 * time.Minute, lasts: 10 * time.Minute, chance: 0.4},
	{id: "F35", what: "an actuator is killed after the call was answered", every: 30 * time.Minute, lasts: 20 * time.Minute, chance: 0.5},
	{id: "F36", what: "an actuator is killed before it acknowledges a plan", every: 30 * time.Minute, lasts: 20 * time.Minute, chance: 0.5},
	{id: "F37", what: "a launch is filled in part"}, // comes about by F38 and F39
	{id: "F38", what: "offerings have no capacity", every: time.Hour, inject: func(s *system, f *fault) bool {
		s.script("shortage %s %s %s left %d for %dm", pick(f.rng, "m7i.*", "c7i.*", "*"), pick(f.rng, "*", "us-east-1a"), pick(f.rng, "spot", "*"), f.rng.IntN(3), 5+f.rng.IntN(20))
		return true
	}},
	{id: "F39", what: "the quota of vCPUs is reached", every: 2 * time.Hour, inject: func(s *system, f *fault) bool {
		lifecycle := pick(f.rng, fleet.OnDemand, fleet.Spot)
		s.script("quota Standard %s %d", lifecycle, 8+f.rng.IntN(60))
		s.after(20*time.Minute, func() { s.script("quota Standard %s 0", lifecycle) })
		return true
	}},
	{id: "F40", what: "calls that change are throttled", every: 40 * time.Minute, lasts: 10 * time.Minute, chance: 0.4},
	{id: "F44", what: "instances never register", every: time.Hour, inject: func(s *system, f *fault) bool {
		s.script("stall %d", 1+f.rng.IntN(3))
		return true
	}},
	{id: "F46", what: "an instance dies while it is pending", every: 20 * time.Minute, inject: killPending},
	{id: "F47", what: "a person removes the owner tag of an instance", every: 20 * time.Minute, inject: disown},
	{id: "F48", what: "attributes cannot be put", every: 30 * time.Minute, lasts: 15 * time.Minute, chance: 1},
	{id: "F49", what: "access is denied", every: 2 * time.Hour, lasts: 5 * time.Minute, chance: 0.7},
	{id: "F50", what: "a person terminates an instance", every: time.Hour, inject: func(s *system, _ *fault) bool {
		if len(s.world.ActiveInstances(cluster, 1)) == 0 {
			return false
		}
		s.script("terminate oldest")
		return true
	}},
	{id: "F51", what: "the clock of a host is wrong", every: time.Hour, inject: func(s *system, f *fault) bool {
		r := s.replicas[f.rng.IntN(len(s.replicas))]
		r.skew = between(f.rng, -2*time.Minute, 2*time.Minute)
		return true
	}},
	{id: "F52", what: "a drainer is killed where it matters", every: 20 * time.Minute, lasts: 10 * time.Minute, chance: 0.1},
	{id: "F53", what: "an executor stops for so long that another takes over", every: 30 * time.Minute, lasts: 15 * time.Minute, chance: 0.05},
	{id: "F55", what: "a task is protected, or an instance", every: 6 * time.Minute, inject: func(s *system, f *fault) bool {
		s.check.protectedAt = s.now
		if f.rng.IntN(3) == 0 {
			return s.protect(f)
		}
		s.script("protect %s count %d for %dm", s.story.services[f.rng.IntN(len(s.story.services))].name, 1+f.rng.IntN(5), 2+f.rng.IntN(30))
		return true
	}},
	{id: "F56", what: "standalone tasks run", every: 8 * time.Minute, inject: func(s *system, f *fault) bool {
		s.check.protectedAt = s.now
		s.script("run job count %d for %dm", 1+f.rng.IntN(4), 5+f.rng.IntN(30))
		return true
	}},
	{id: "F58", what: "a task lands on an instance that is about to drain, or one is protected, or it is itself", every: 20 * time.Minute, lasts: 15 * time.Minute, chance: 0.5},
	{id: "F60", what: "an instance cannot be terminated", every: time.Hour, lasts: 10 * time.Minute, chance: 1},
	{id: "F62", what: "a spot instance is taken", every: 20 * time.Minute, inject: func(s *system, _ *fault) bool { return interrupt(s, 1) }},
	{id: "F63", what: "many spot instances are taken at once", every: 3 * time.Hour, inject: func(s *system, _ *fault) bool { return interrupt(s, 8) }},
	{id: "F64", what: "a zone is lost", every: 4 * time.Hour, inject: func(s *system, f *fault) bool {
		s.script("zone %s down for %dm", pick(f.rng, "us-east-1a", "us-east-1b", "us-east-1c"), 5+f.rng.IntN(15))
		return true
	}},
	{id: "F65", what: "container instances cannot be set ACTIVE or DRAINING", every: time.Hour, lasts: 10 * time.Minute, chance: 0.7},
	{id: "F69", what: "JetStream has forgotten a duplicate", every: 30 * time.Minute, lasts: 10 * time.Minute, chance: 0.5},
	{id: "F70", what: "requests to the bus and its answers are lost", every: 30 * time.Minute, lasts: 5 * time.Minute, chance: 0.1},
	{id: "F71", what: "the bus refuses everybody", every: 2 * time.Hour, lasts: 3 * time.Minute, chance: 1},
	{id: "F72", what: "consumers and watches are slow", every: time.Hour, lasts: 5 * time.Minute, chance: 0.5},
	{id: "F74", what: "acknowledgements are forgotten", every: 30 * time.Minute, inject: func(s *system, f *fault) bool {
		s.bus.durables[pick(f.rng, actuatorName, drainerName)].forget(1 + f.rng.IntN(5))
		return len(s.bus.plans) > 0
	}},
	{id: "F76", what: "a lease does not exclude", every: time.Hour, lasts: 5 * time.Minute, chance: 0.3},
	{id: "F77", what: "one replica does not reach the bus", every: 30 * time.Minute, inject: func(s *system, f *fault) bool {
		s.bus.cut[s.replicas[f.rng.IntN(len(s.replicas))].name()] = s.now.Add(between(f.rng, 5*time.Second, 5*time.Minute))
		return true
	}},
	{id: "F79", what: "Redis is down", every: time.Hour, lasts: 20 * time.Minute, chance: 1},
	{id: "F80", what: "Redis is flushed", every: time.Hour, inject: func(s *system, _ *fault) bool {
		clear(s.cache.notices)
		return true
	}},
	{id: "F83", what: "a cached value is poisoned", every: time.Hour, lasts: 10 * time.Minute, chance: 0.5},
	{id: "F85", what: "all of Neap is down", every: 5 * time.Hour, inject: func(s *system, f *fault) bool {
		down := between(f.rng, 5*time.Minute, time.Hour)
		for _, r := range s.replicas {
			r.crash(down)
		}
		return true
	}},
	{id: "F86", what: "EC2 does not answer", every: 3 * time.Hour, lasts: 30 * time.Minute, chance: 0.9},
	{id: "F89", what: "a process stops between the gate and the call", every: 30 * time.Minute, lasts: 10 * time.Minute, chance: 0.3},
}

// one draws a replica of a service.
func (s *system) one(f *fault, service string) *replica {
	var of []*replica
	for _, r := range s.replicas {
		if r.service == service {
			of = append(of, r)
		}
	}
	return of[f.rng.IntN(len(of))]
}

func killOne(service string) func(*system, *fault) bool {
	return func(s *system, f *fault) bool {
		r := s.one(f, service)
		if !r.up {
			return false
		}
		r.crash(between(f.rng, time.Second, time.Minute))
		return true
	}
}

// press presses the red button or releases it.
func (s *system) press(pause bool) {
	s.bus.pause = fleet.Pause{}
	if pause {
		s.bus.pause = fleet.Pause{By: "a person", Why: "to see", Since: s.now}
	}
	s.note("pause %t", pause)
}

func interrupt(s *system, n int) bool {
	ids := s.world.SpotInstances(n)
	for _, id := range ids {
		s.script("interrupt %s", id)
	}
	return len(ids) > 0
}

func disconnectMany(s *system, f *fault) bool {
	ids := s.world.ActiveInstances(cluster, -1)
	n := len(ids)/5 + 1
	for _, id := range ids[:min(n, len(ids))] {
		s.script("disconnect %s for %ds", id, 20+f.rng.IntN(400))
	}
	return len(ids) > 0
}

func killPending(s *system, _ *fault) bool {
	for _, i := range s.world.Truth().Instances {
		if i.State == "pending" || i.State == "running" && i.Status == "" {
			s.script("terminate %s", i.ID)
			return true
		}
	}
	return false
}

// disown removes the owner tag of an instance that is in use: from then on it is not ours.
func disown(s *system, f *fault) bool {
	ids := s.world.ActiveInstances(cluster, -1)
	if len(ids) == 0 {
		return false
	}
	id := ids[f.rng.IntN(len(ids))]
	if _, err := s.world.DeleteTags(&sim.DeleteTagsInput{Resources: []string{string(id)}, Tags: []sim.Tag{{Key: fleet.TagOwner}}}); err != nil {
		return false // EC2 does not show it yet
	}
	s.check.foreign[id] = s.now
	s.eye.changed()
	s.note("world: %s is not ours any more", id)
	return true
}

// reclaim gives the tags back: what nobody owns would stay for ever.
func (s *system) reclaim() {
	for _, id := range sorted(s.check.foreign) {
		_, _ = s.world.CreateTags(&sim.CreateTagsInput{Resources: []string{string(id)}, Tags: []sim.Tag{{Key: fleet.TagOwner, Value: installation}}}) // it may have ended
	}
	clear(s.check.foreign)
	s.eye.changed()
}

// protect keeps an instance for a while, as `neap protect` does.
func (s *system) protect(f *fault) bool {
	ids := s.world.ActiveInstances(cluster, -1)
	if len(ids) == 0 {
		return false
	}
	id := ids[f.rng.IntN(len(ids))]
	s.keep(id, between(f.rng, time.Minute, 30*time.Minute))
	return true
}

func (s *system) keep(id fleet.InstanceID, long time.Duration) {
	s.note("%s is protected for %s", id, long)
	s.bus.protected[id] = "somebody looks at it"
	s.after(long, func() { delete(s.bus.protected, id) })
}

// disturb lets something happen to an instance in the last moment before it is looked at.
func (s *system) disturb(job execute.Job) {
	id, _ := job.Action.Target()
	ci := s.eye.containerInstance(id)
	if ci == nil {
		return
	}
	s.check.protectedAt = s.now
	minutes := 10 // for which a task is protected
	rng := s.faults["F58"].rng
	s.torn = rng.IntN(3) == 0
	switch rng.IntN(3) {
	case 0:
		s.land(fleet.ContainerInstanceID(lastOf(ci.ARN)))
	case 1:
		s.keep(id, between(rng, time.Minute, 30*time.Minute))
	default:
		for _, t := range s.eye.tasksOn(ci.ARN) {
			if strings.HasPrefix(t.Group, "service:") && t.Group != "service:"+daemonName {
				_, err := s.world.UpdateTaskProtection(&sim.UpdateTaskProtectionInput{Cluster: cluster, Tasks: []string{t.ARN}, ProtectionEnabled: true, ExpiresInMinutes: &minutes})
				s.note("world: task %s on %s is protected: %v", lastOf(t.ARN), id, err)
				break
			}
		}
	}
	s.eye.changed()
}

// lower cuts the limit of instances for a while, to what there is and a launch that is about to
// begin, or without that.
func (s *system) lower(count int) {
	f, live := s.faults["F27"], 0
	for _, inst := range s.world.Truth().Instances {
		if inst.Action != "" && !slices.Contains(ended, inst.State) {
			live++
		}
	}
	s.limit(max(live+f.rng.IntN(2)*count, s.bus.policy.Limits.MinInstances, 1))
	s.after(between(f.rng, time.Minute, 5*time.Minute), func() { s.limit(mostInstances) })
}

// limit sets how many instances there may be.
func (s *system) limit(n int) {
	s.check.limits = append(s.check.limits, want{s.now, s.bus.policy.Limits.MaxInstances})
	s.bus.policy.Limits.MaxInstances = n
	s.note("policy: at most %d instances", n)
}
