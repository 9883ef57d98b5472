package dst

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/execute"
	"github.com/neap-project/neap/libs/fleet/plan"
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
	ended       map[string]bool    // instances that Neap terminated
	protectedAt time.Time          // when a task was protected last
	maimed      map[time.Time]bool // snapshots that lack much of what is there, by when their reading began
}

// known is what is known of an action.
type known struct {
	action     fleet.Action
	generation uint64
	intents    int
	phase      string
	changes    int
	over       bool // its final outcome was published
	ends       bool // its record has an end
}

// basis is what a plan was made from, as far as the checks need it.
type basis struct {
	snap   *fleet.Snapshot
	stored time.Time
}

func newCheck(s *system) *check {
	return &check{s: s, actions: map[fleet.ActionID]*known{}, pending: map[fleet.PlanID]*basis{}, transitions: map[string]int{}, ended: map[string]bool{}, maimed: map[time.Time]bool{}, generation: 1}
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

// deciding sees a plan before it is appended, with what it was made from.
func (c *check) deciding(p *fleet.Plan, snap *fleet.Snapshot, stored time.Time, mem fleet.Memory) {
	const every = 40 // plans: making one again takes as long as making it
	if c.plans%every == 0 {
		again := plan.Make(*snap, c.s.bus.policy, mem)
		if err := again.Seal(); err != nil || again.ID != p.ID {
			c.violate("S15", "made again from the same input, plan %s is %s (%v)", p.ID.Short(), again.ID.Short(), err)
		}
	}
	const most = 16 // replicas that plan at once
	if len(c.pending) > most {
		clear(c.pending) // of plans that were lost
	}
	c.pending[p.ID] = &basis{snap, stored}
}

// committed sees a plan that has become part of the chain.
func (c *check) committed(p *fleet.Plan) {
	c.plans++
	b := c.pending[p.ID]
	delete(c.pending, p.ID)
	if g := c.s.bus.generation; g != c.generation {
		c.generation, c.last, c.lastRead, c.lostAt = g, "", time.Time{}, c.s.now
	}
	if p.Prev != c.last || p.Generation != c.generation || !p.Sealed() {
		c.violate("S4", "plan %s of generation %d follows %q, and was made after %q", p.ID.Short(), p.Generation, c.last.Short(), p.Prev.Short())
	}
	if p.ReadStartedAt.Before(c.lastRead) {
		c.violate("S8", "plan %s is of %s, the one before of %s", p.ID.Short(), p.ReadStartedAt, c.lastRead)
	}
	c.last, c.lastRead = p.ID, p.ReadStartedAt
	for i := range p.Actions {
		c.actions[p.Actions[i].ID] = &known{action: p.Actions[i], generation: p.Generation}
		if b != nil {
			c.planned(p, &p.Actions[i], b)
		}
	}
	c.s.note("plan %s: %s", p.ID.Short(), inWords(p))
}

// planned checks one action of a plan that was committed.
func (c *check) planned(p *fleet.Plan, a *fleet.Action, b *basis) {
	age := c.s.now.Sub(b.snap.ReadStartedAt)
	if since := c.s.bus.pause.Since; !since.IsZero() && c.s.now.Sub(since) > 30*time.Second {
		c.violate("S14", "plan %s was made though all is paused", p.ID.Short())
	}
	switch {
	case a.Launch != nil:
		if len(a.Launch.For) == 0 && a.Reason.Code != fleet.ReasonMinimum {
			c.violate("S6", "launch %s is for nothing", a.ID.Short())
		}
		if age > staleForAll+time.Minute {
			c.violate("S8", "launch %s was planned on a snapshot of %s ago", a.ID.Short(), age)
		}
	case a.Drain != nil && !a.Drain.Involuntary:
		if c.maimed[b.snap.ReadStartedAt] {
			c.violate("S10", "drain %s was planned on a view that lacks two fifths of what is there", a.ID.Short())
		}
		if age > 2*staleForRemoval+staleForAll {
			c.violate("S8", "drain %s was planned on a snapshot of %s ago", a.ID.Short(), age)
		}
		for _, section := range b.snap.Sections {
			if !section.Complete {
				c.violate("S9", "drain %s was planned though section %s was incomplete: %s", a.ID.Short(), section.Name, section.Problem)
			}
		}
	}
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
		k.phase = phase
		if k.changes++; k.changes > 64 {
			c.violate("L8", "action %s has changed its state %d times", entry.Action.Short(), k.changes)
		}
	}
}

func orPlanned(phase string) string {
	if phase == "" {
		return "planned"
	}
	return phase
}

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
	// A process that was stopped after it had read the button cannot know of it.
	if since := s.bus.pause.Since; !since.IsZero() && s.now.Sub(since) > 5*time.Second && !t.gateAt.Before(since) {
		c.violate("S14", "%s for action %s, %s after the pause", operation, job.Action.ID.Short(), s.now.Sub(since))
	}
	if since := s.bus.pause.Since; !since.IsZero() && t.gateAt.Before(since) && s.now.Sub(t.gateAt) > 3*time.Minute {
		c.violate("S14", "%s for action %s, %s after the button was read last", operation, job.Action.ID.Short(), s.now.Sub(t.gateAt))
	}
	truth := s.world.Truth()
	if job.Action.Launch != nil {
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
		if inst := &truth.Instances[i]; inst.Action != "" && !slices.Contains(ended, inst.State) {
			live++
		}
	}
	most := c.s.bus.policy.Limits.MaxInstances
	if c.s.now.Sub(c.lostAt) < 30*time.Minute {
		most += 10
	}
	if n := job.Action.Launch.Count; live+n > most {
		c.violate("S2", "launch %s of %d, %d are there and %d is the most", job.Action.ID.Short(), n, live, most)
	}
}

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
	if i < 0 || a.Drain == nil || a.Drain.Involuntary {
		return
	}
	inst := &truth.Instances[i]
	recent := s.now.Sub(c.protectedAt) < 10*time.Second || s.thread.of.stoppedUntil.Add(time.Minute).After(s.now)
	switch operation {
	case "ecs:UpdateContainerInstancesState":
		if inst.Status == "ACTIVE" && k(c.actions, a.ID) == "draining" {
			c.issueDrain(job, inst, truth, recent)
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
