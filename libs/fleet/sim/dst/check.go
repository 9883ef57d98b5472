package dst

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/execute"
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
	return &check{
		s: s, actions: map[fleet.ActionID]*known{}, pending: map[fleet.PlanID]*basis{}, transitions: map[string]int{}, ended: map[string]bool{}, maimed: map[time.Time]bool{}, partial: map[time.Time]bool{},
		alone: map[fleet.InstanceID]time.Time{}, activeAt: map[fleet.InstanceID]time.Time{}, foreign: map[fleet.InstanceID]time.Time{}, short: map[fleet.OfferingKey]time.Time{}, generation: 1,
	}
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
	if (phase == "calling" || phase == "draining") && late > time.Minute && (a.Drain == nil || !a.Drain.Involuntary) {
		c.violate("S8", "%s %s begins %s after its deadline", a.Kind, a.ID.Short(), late)
	}
}

func orPlanned(phase string) string {
	if phase == "" {
		return "planned"
	}
	return phase
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
