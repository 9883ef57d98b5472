package dst

import (
	"slices"
	"strings"
	"time"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/action"
	"github.com/neap-project/neap/libs/fleet/execute"
	"github.com/neap-project/neap/libs/fleet/sim"
)

// reach is how far from the gate a call may be, in time of its process: an effect makes a few
// calls, and one may go unanswered.
const reach = awsTimeout + 2*time.Second

// issue sees a call that changes AWS, at the moment at which AWS acts.
func (c *check) issue(operation string, job execute.Job, id fleet.InstanceID) {
	c.calls++
	s, t := c.s, c.s.thread
	k := c.actions[job.Action.ID]
	if k == nil {
		c.violate("S4", "%s for action %s, which no plan has", operation, job.Action.ID.Short())
		return
	}
	if k.intents == 0 {
		c.violate("S18", "%s for action %s without an intent", operation, job.Action.ID.Short())
	}
	if since := s.bus.pause.Since; !since.IsZero() && s.now.Sub(since) > 5*time.Second && !t.gateAt.Before(since) {
		c.violate("S14", "%s for action %s, %s after the pause", operation, job.Action.ID.Short(), s.now.Sub(since))
	}
	// A process cannot know of what happened while it was stopped, but of all before.
	if ago := t.of.ranSince(t.gateAt); ago > reach {
		c.violate("S14", "%s for action %s, %s after the button was read last", operation, job.Action.ID.Short(), ago)
	}
	if ago := t.of.ranSince(k.endedAt); k.ends && ago > reach {
		c.violate("S4", "%s for action %s, %s after its end", operation, job.Action.ID.Short(), ago)
	}
	if at, gone := c.foreign[id]; gone && t.of.ranSince(at) > reach {
		c.violate("S13", "%s of %s, which has been somebody else's since %s", operation, id, at.Format(time.TimeOnly))
	}
	truth := s.world.Truth()
	if job.Action.Launch != nil {
		if operation == "ec2:CreateFleet" {
			c.resent(job, k)
		}
		c.issueLaunch(operation, job, &truth)
		return
	}
	c.issueRemoval(operation, job, id, &truth)
}

// issueLaunch checks a launch against the limits.
func (c *check) issueLaunch(operation string, job execute.Job, truth *sim.Truth) {
	if operation != "ec2:CreateFleet" || truth.History.Launches[string(job.Action.ID)].Asked > 0 {
		return // the token gives what it gave
	}
	live := 0
	for i := range truth.Instances {
		if inst := &truth.Instances[i]; inst.Action != "" && !slices.Contains(ended, inst.State) && c.foreign[fleet.InstanceID(inst.ID)].IsZero() {
			live++
		}
	}
	most := c.s.bus.policy.Limits.MaxInstances
	for _, was := range c.limits { // a launch keeps to the limit that it was frozen under
		if was.at.After(c.actions[job.Action.ID].begunAt) {
			most = max(most, was.n)
		}
	}
	if c.s.now.Sub(c.lostAt) < 30*time.Minute {
		most += 10
	}
	if n := job.Action.Launch.Count; live+n > most {
		c.violate("S2", "launch %s of %d, %d are there and %d is the most", job.Action.ID.Short(), n, live, most)
	}
	c.runaway(job, truth)
}

// resent checks a launch request that is sent, for the first time or again.
func (c *check) resent(job execute.Job, k *known) {
	if k.sentAt.IsZero() {
		k.sentAt = c.s.now
	}
	if ago := min(c.s.thread.of.ranSince(k.sentAt), c.s.now.Sub(k.sentAt)); ago > action.ReplayFor+time.Minute {
		c.violate("S1", "launch %s is sent again, %s after the first time: nobody promises that its token still holds", job.Action.ID.Short(), ago)
	}
}

// launching reports whether a launch has begun that is not over: it keeps to the limit as it was.
func (c *check) launching() bool {
	for _, k := range c.actions { //neap:unordered any will do
		if k.action.Launch != nil && !k.begunAt.IsZero() && !k.over {
			return true
		}
	}
	return false
}

// runaway checks that a launch is not for what is launched already: what boots has not twice
// the room that is wanted, and some to spare.
func (c *check) runaway(job execute.Job, truth *sim.Truth) {
	s := c.s
	if job.Action.Launch.Replaces || s.now.Sub(c.maimedAt) < lately {
		return
	}
	var booting, wanted fleet.Resources
	for i := range truth.Instances {
		inst := &truth.Instances[i]
		switch {
		case slices.Contains(ended, inst.State) || inst.Action == "":
		case inst.Status == "" && inst.Trouble == "":
			booting = booting.Add(s.eye.capacity(inst.Type))
		case inst.Status != "" && (inst.Status != "ACTIVE" || !inst.Connected):
			wanted = wanted.Add(inst.Total) // its tasks move
		}
	}
	for i := range s.story.services {
		l := &s.story.services[i]
		at := slices.IndexFunc(truth.Clusters[0].Services, func(svc sim.ServiceTruth) bool { return svc.Name == l.name })
		missing := max(l.wantedLately(s.now.Add(-lately))-truth.Clusters[0].Services[at].Running, 0)
		wanted = wanted.Add(fleet.Resources{CPUUnits: int64(l.cpu), MemoryMiB: int64(l.memory)}.Times(int64(missing)))
	}
	const twice, spareCPU, spareMiB = 2, 16 << 10, 64 << 10 // headroom, a minimum, and what fits badly
	if booting.CPUUnits > twice*wanted.CPUUnits+spareCPU && booting.MemoryMiB > twice*wanted.MemoryMiB+spareMiB {
		c.violate("S6", "launch %s: instances of %v boot already, and %v is wanted", job.Action.ID.Short(), booting, wanted)
	}
}

// lately is how old the view may be that a launch was planned on, and how long it may take.
const lately = 5 * time.Minute

// issueRemoval checks a call of a drain, a restore or a reap.
func (c *check) issueRemoval(operation string, job execute.Job, id fleet.InstanceID, truth *sim.Truth) {
	s, a := c.s, job.Action
	i := slices.IndexFunc(truth.Instances, func(i sim.InstanceTruth) bool { return i.ID == string(id) })
	if id == "" || i >= 0 && truth.Instances[i].Action == "" {
		c.violate("S13", "%s of %q, which is not ours", operation, id)
		return
	}
	if operation == "ec2:TerminateInstances" && i >= 0 && !slices.Contains(ended, truth.Instances[i].State) {
		c.ended[string(id)] = true
	}
	if operation == "ecs:UpdateContainerInstancesState" {
		c.activeAt[id] = s.now // if that is what it asks for
	}
	if i < 0 || a.Drain != nil && a.Drain.Involuntary {
		return
	}
	inst := &truth.Instances[i]
	if operation == "ec2:TerminateInstances" && inst.Status != "" && !slices.Contains(ended, inst.State) && (a.Drain == nil || !a.Drain.Unhealthy) {
		c.violate("S12", "%s %s ends %s, which is %s in the cluster", a.Kind, a.ID.Short(), id, inst.Status)
	}
	if a.Drain == nil {
		return
	}
	recent := s.thread.lookedAt.Before(c.protectedAt) // it could not know
	switch operation {
	case "ecs:UpdateContainerInstancesState":
		if inst.Status == "ACTIVE" && k(c.actions, a.ID) == "draining" {
			c.issueDrain(job, inst, truth, recent)
		}
	case "ecs:DeregisterContainerInstance", "ecs:StopTask":
		if inst.Status == "ACTIVE" && s.thread.lookedAt.After(c.activeAt[id]) {
			c.violate("S12", "%s of drain %s on %s, which is in use", operation, a.ID.Short(), id)
		}
	case "ec2:TerminateInstances":
		if inst.Tasks > 0 && inst.Connected && !slices.Contains(ended, inst.State) {
			c.violate("S12", "drain %s ends %s with %d tasks on it", a.ID.Short(), id, inst.Tasks)
		}
	}
}

func k(actions map[fleet.ActionID]*known, id fleet.ActionID) string { return actions[id].phase }

// issueDrain checks that an instance may be set DRAINING.
func (c *check) issueDrain(job execute.Job, inst *sim.InstanceTruth, truth *sim.Truth, recent bool) {
	policy := &c.s.bus.policy
	if inst.Protected > 0 && !recent {
		c.violate("S11", "drain %s of %s, which has %d protected tasks", job.Action.ID.Short(), inst.ID, inst.Protected)
	}
	if n := inst.Groups["family:job"]; n > 0 && !recent {
		c.violate("S11", "drain %s of %s, which has %d standalone tasks", job.Action.ID.Short(), inst.ID, n)
	}
	if why := c.s.bus.protected[fleet.InstanceID(inst.ID)]; why != "" && !recent {
		c.violate("S11", "drain %s of %s, which is protected: %s", job.Action.ID.Short(), inst.ID, why)
	}
	live, leaving := 0, 0
	for i := range truth.Instances {
		other := &truth.Instances[i]
		if slices.Contains(ended, other.State) {
			continue
		}
		live++
		if other.Status == "DRAINING" && c.voluntary(other.ID) {
			leaving++
		}
	}
	if most := max(1, live*policy.ScaleDown.MaxPercentage/100) + 2; leaving+1 > most {
		c.violate("S3", "drain %s: %d instances leave at once, and %d of %d may", job.Action.ID.Short(), leaving+1, most, live)
	}
}

// voluntary reports whether an instance is being emptied by choice.
func (c *check) voluntary(id string) bool {
	for _, a := range c.actions { //neap:unordered any will do
		if d := a.action.Drain; d != nil && !d.Involuntary && !a.over && string(d.Instance) == id {
			return true
		}
	}
	return false
}

// stopping checks that a task may be stopped by choice.
func (c *check) stopping(job execute.Job, task string) {
	if job.Action.Drain == nil || job.Action.Drain.Involuntary || c.s.thread.lookedAt.Before(c.protectedAt) {
		return
	}
	found, err := c.s.world.DescribeTasks(&sim.DescribeTasksInput{Cluster: cluster, Tasks: []string{task}})
	if err == nil && len(found.Tasks) > 0 && !strings.HasPrefix(found.Tasks[0].Group, "service:") && found.Tasks[0].DesiredStatus != "STOPPED" {
		c.violate("S11", "drain %s stops task %s of %s, which nothing starts again", job.Action.ID.Short(), task, found.Tasks[0].Group)
	}
	out, err := c.s.world.GetTaskProtection(&sim.GetTaskProtectionInput{Cluster: cluster, Tasks: []string{task}})
	if err == nil && len(out.ProtectedTasks) > 0 && out.ProtectedTasks[0].ProtectionEnabled {
		c.violate("S11", "drain %s stops task %s, which is protected", job.Action.ID.Short(), task)
	}
}
