package dst

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/action"
	"github.com/neap-project/neap/libs/fleet/execute"
	"github.com/neap-project/neap/libs/fleet/sim"
)

// check watches every plan and every call, and says what must hold and does not. The names
// are those of docs/reliability.md.
type check struct {
	s           *system
	violations  []Violation
	actions     map[fleet.ActionID]*known
	pending     map[fleet.PlanID]*basis // plans that are being appended
	last        fleet.PlanID            // of the chain of this generation
	lastRead    time.Time
	generation  uint64
	lostAt      time.Time // when the streams were lost last
	transitions map[string]int
	plans       int
	calls       int
	ended       map[string]bool                 // instances that Neap terminated
	protectedAt time.Time                       // when a task was protected last
	partial     map[time.Time]bool              // snapshots of which not everything could be read, by when their reading began
	maimed      map[time.Time]bool              // snapshots that lack much of what is there, in the same way
	maimedAt    time.Time                       // when the last such snapshot was made
	foreign     map[fleet.InstanceID]time.Time  // instances whose owner tag a person has removed, and when
	alone       map[fleet.InstanceID]time.Time  // instances that drain and have no action, and since when
	activeAt    map[fleet.InstanceID]time.Time  // when the state of a container instance was set last
	limits      []want                          // the limits of instances that there were, and until when
	short       map[fleet.OfferingKey]time.Time // when EC2 had no capacity of an offering
	changedAt   time.Time                       // when a plan of this chain launched or removed something last
	healedAt    time.Time                       // when all faults ended; zero: they have not
	sawAt       time.Time                       // when a snapshot was published last that is whole
	decidedAt   time.Time                       // when a planner decided last
}

// known is what is known of an action.
type known struct {
	action     fleet.Action
	generation uint64
	planned    time.Time
	intents    int
	phase      string
	changes    int
	over       bool      // its final outcome was published
	ends       bool      // its record has an end
	endedAt    time.Time // since when
	begunAt    time.Time // when its launch began to be frozen
	sentAt     time.Time // when it was sent first
}

// basis is what a plan was made from, as far as the checks need it.
type basis struct {
	snap   *fleet.Snapshot
	policy fleet.Policy
	mem    fleet.Memory
	age    time.Duration // of the snapshot, by the clock of the planner
}

func newCheck(s *system) *check {
	return &check{s: s, actions: map[fleet.ActionID]*known{}, pending: map[fleet.PlanID]*basis{}, transitions: map[string]int{}, ended: map[string]bool{}, maimed: map[time.Time]bool{}, partial: map[time.Time]bool{},
		alone: map[fleet.InstanceID]time.Time{}, activeAt: map[fleet.InstanceID]time.Time{}, foreign: map[fleet.InstanceID]time.Time{}, short: map[fleet.OfferingKey]time.Time{}, generation: 1}
}

// violate notes that an invariant does not hold.
func (c *check) violate(invariant, format string, args ...any) {
	v := Violation{invariant, c.s.now, fmt.Sprintf(format, args...)}
	c.s.note("VIOLATION %s: %s", v.Invariant, v.What)
	c.violations = append(c.violations, v)
}

// kindOf reports whether an action is of one of the kinds.
func (c *check) kindOf(id fleet.ActionID, kinds []fleet.ActionKind) bool {
	k := c.actions[id]
	return k != nil && slices.Contains(kinds, k.action.Kind)
}

// outcome sees what is published.
func (c *check) outcome(o *fleet.Outcome) {
	k := c.actions[o.Action]
	switch {
	case k == nil:
		c.violate("S4", "outcome of action %s, which no plan has", o.Action.Short())
	case o.Phase == fleet.PhaseIntent:
		k.intents++
	case o.Phase == fleet.PhaseFinal:
		k.over = true
		c.final(o)
	}
	for _, f := range o.Failures {
		if f.Class == fleet.FailureCapacity || f.Class == fleet.FailureQuota {
			c.short[f.Offering] = o.At
		}
	}
	for _, inst := range o.Instances {
		delete(c.short, fleet.OfferingKey{Type: inst.Type, Zone: inst.Zone, Lifecycle: inst.Lifecycle})
	}
}

// final checks what an action says of itself at its end: what it has reserved is free again.
func (c *check) final(o *fleet.Outcome) {
	truth, a := c.s.world.Truth(), &c.actions[o.Action].action
	if a.Launch != nil {
		if n := truth.History.Launches[string(a.ID)].Launched; n > 0 && len(o.Instances) == 0 {
			c.violate("S17", "launch %s gave %d instances, and ends as if it had given none: %s", a.ID.Short(), n, o.Message)
		}
		return
	}
	if id, _ := a.Target(); a.Restore == nil && o.Class == fleet.FailureNone {
		for i := range truth.Instances {
			if inst := &truth.Instances[i]; inst.ID == string(id) && !slices.Contains(ended, inst.State) {
				c.violate("S17", "%s %s ends as done, and %s is %s: %s", a.Kind, a.ID.Short(), id, inst.State, o.Message)
			}
		}
	}
}

// transition sees a record that is written.
func (c *check) transition(entry execute.Entry) {
	k := c.actions[entry.Action]
	if k == nil {
		return
	}
	ends := bytes.Contains(entry.Value, []byte(`"end":{`))
	if k.ends && !ends {
		c.violate("S4", "the record of %s, which was over, begins again: a compare-and-set was ignored", entry.Action.Short())
	}
	if ends && !k.ends {
		k.endedAt = c.s.now
	}
	k.ends = ends
	_, rest, found := bytes.Cut(entry.Value, []byte(`"state":{"phase":"`))
	if !found {
		return
	}
	end := bytes.IndexByte(rest, '"')
	if phase := string(rest[:end]); end > 0 && phase != k.phase {
		if k.phase != "" || phase != "planned" {
			c.transitions[fmt.Sprintf("%s %s→%s", k.action.Kind, orPlanned(k.phase), phase)]++
		}
		c.begins(&k.action, phase)
		k.phase = phase
		if k.changes++; k.changes > 64 {
			c.violate("L8", "action %s has changed its state %d times", entry.Action.Short(), k.changes)
		}
	}
}

// begins checks that an action does not begin when the world has moved on since it was planned.
func (c *check) begins(a *fleet.Action, phase string) {
	late := c.s.thread.of.ranSince(a.Deadline)
	if (phase == "calling" || phase == "draining") && late > time.Minute && !(a.Drain != nil && a.Drain.Involuntary) {
		c.violate("S8", "%s %s begins %s after its deadline", a.Kind, a.ID.Short(), late)
	}
}

func orPlanned(phase string) string {
	if phase == "" {
		return "planned"
	}
	return phase
}

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

// calm checks, once all faults have ended, that everybody is at work.
func (c *check) calm() {
	if c.healedAt.IsZero() || c.s.now.Sub(c.healedAt) < startUp {
		return
	}
	c.recorded()
	c.forgotten()
	const beats = 4 // two replicas, one of which may have just begun to read
	most := beats*c.s.cfg.Beat + leaseTTL
	if ago := c.s.now.Sub(c.sawAt); ago > most {
		c.violate("L2", "the last whole snapshot is %s old", ago)
	}
	if ago := c.s.now.Sub(c.decidedAt); ago > most {
		c.violate("L9", "the last plan was made %s ago", ago)
	}
}

// forgotten checks that somebody is at each instance that drains.
func (c *check) forgotten() {
	inHand := map[fleet.InstanceID]bool{}
	for _, entry := range c.s.bus.records() {
		var r execute.Record
		if err := entry.Decode(&r); err == nil && !r.Finished() {
			id, _ := r.Action.Target()
			inHand[id] = true
		}
	}
	for _, inst := range c.s.world.Truth().Instances {
		id := fleet.InstanceID(inst.ID)
		if inst.Status != "DRAINING" || slices.Contains(ended, inst.State) || inHand[id] {
			delete(c.alone, id)
			continue
		}
		if c.alone[id].IsZero() {
			c.alone[id] = c.s.now
		}
		if long := c.s.now.Sub(c.alone[id]); long > 2*startUp {
			c.violate("L5", "%s has been DRAINING for %s, and nobody is at it", id, long)
		}
	}
}

// recorded checks that no action of a plan was passed over: each has a record by now, if only
// one that says that it came too late.
func (c *check) recorded() {
	for _, id := range sorted(c.actions) {
		if k := c.actions[id]; k.ends && !k.over && k.generation == c.s.bus.generation && c.s.now.Sub(k.endedAt) > startUp {
			c.violate("S18", "%s %s ended at %s, and its outcome was never published", k.action.Kind, id.Short(), k.endedAt.Format(time.TimeOnly))
		}
	}
	const recent = 15 * time.Minute // what is older may have been closed, and that leaves a record, too
	for _, id := range sorted(c.actions) {
		k := c.actions[id]
		ago := c.healedAt.Sub(k.planned)
		if _, there := c.s.bus.ledger[id]; !there && k.generation == c.s.bus.generation && ago > 0 && ago < recent {
			c.violate("L3", "%s %s was planned %s before all faults ended, and nobody has recorded it", k.action.Kind, id.Short(), ago)
		}
	}
}

// startUp is how long it may take from the end of all faults, a pause and the loss of the
// streams among them, until all are at work again (L11, L12).
const startUp = 5 * time.Minute

// regularly checks what must hold at any time.
func (c *check) regularly() {
	history := c.s.world.Truth().History
	for _, v := range history.Violations {
		if c.ended[v.Instance] { // by us, not by a person
			c.violate("S12", "%s %s: %s", v.Kind, v.Instance, v.Detail)
		}
	}
	for _, token := range sorted(history.Launches) {
		if l, k := history.Launches[token], c.actions[fleet.ActionID(token)]; k == nil || l.Launched > k.action.Launch.Count {
			c.violate("S1", "client token %s gave %d instances, and that many were not planned", token, l.Launched)
		}
	}
	if err := c.s.world.Check(); err != nil {
		c.violate("world", "%v", err)
	}
	c.s.after(10*time.Minute, c.regularly)
}

// atRest checks that everything has come to rest.
func (c *check) atRest() {
	for _, v := range c.unrest() {
		c.violate(v.Invariant, "%s", v.What)
	}
}

// unrest is what is not at rest.
func (c *check) unrest() []Violation {
	var found []Violation
	add := func(invariant, format string, args ...any) {
		found = append(found, Violation{invariant, c.s.now, fmt.Sprintf(format, args...)})
	}
	truth := c.s.world.Truth()
	for _, svc := range truth.Clusters[0].Services {
		more := svc.Name == daemonName && svc.Running > svc.Desired // ECS counts those that a person drains
		if svc.Running != svc.Desired && !more || svc.Pending > 0 {
			add("L1", "service %s: %d desired, %d running, %d pending", svc.Name, svc.Desired, svc.Running, svc.Pending)
		}
	}
	for i := range truth.Instances {
		inst := &truth.Instances[i]
		if slices.Contains(ended, inst.State) {
			continue
		}
		if inst.Status == "" && inst.Action != "" {
			add("L4", "instance %s has not registered: %s %s", inst.ID, inst.State, inst.Trouble)
		}
		if inst.Status == "DRAINING" {
			add("L5", "instance %s is still DRAINING, with %d tasks", inst.ID, inst.Tasks)
		}
	}
	for _, entry := range c.s.bus.records() {
		var r execute.Record
		if err := entry.Decode(&r); err != nil || !r.Finished() && r.Closed == nil {
			add("L3", "%s %s has not ended: %s", r.Action.Kind, entry.Action.Short(), r.State)
		}
	}
	return found
}

// inWords is a plan in a line.
func inWords(p *fleet.Plan) string {
	var b bytes.Buffer
	for i := range p.Actions {
		a := &p.Actions[i]
		fmt.Fprintf(&b, "%s %s %s", a.Kind, a.ID.Short(), a.Of())
		if a.Launch != nil {
			fmt.Fprintf(&b, " %d %s", a.Launch.Count, a.Launch.Offerings[0].Type)
		}
		fmt.Fprintf(&b, " (%s); ", a.Reason.Code)
	}
	for _, cl := range p.Closures {
		fmt.Fprintf(&b, "close %s %s; ", cl.Action.Short(), cl.Verdict)
	}
	return b.String()
}
