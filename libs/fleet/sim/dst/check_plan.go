package dst

import (
	"slices"
	"time"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/plan"
)

// saw notes that a snapshot was published.
func (c *check) saw(snap *fleet.Snapshot) {
	problem, whole := snap.Incomplete(fleet.AllSections()...)
	if whole {
		c.sawAt = c.s.now
		return
	}
	c.s.note("snapshot is incomplete: %s", problem)
}

// decided notes that a planner has made a plan, whether or not it changes anything.
func (c *check) decided() { c.decidedAt = c.s.now }

// deciding sees a plan before it is appended, with what it was made from.
func (c *check) deciding(p *fleet.Plan, b basis) {
	const every = 40 // plans: making one again takes as long as making it
	if c.plans%every == 0 {
		again := plan.Make(*b.snap, b.policy, b.mem)
		if err := again.Seal(); err != nil || again.ID != p.ID {
			c.violate("S15", "made again from the same input, plan %s is %s (%v)", p.ID.Short(), again.ID.Short(), err)
		}
	}
	const most = 16 // replicas that plan at once
	if len(c.pending) > most {
		clear(c.pending) // of plans that were lost
	}
	c.pending[p.ID] = &b
}

// committed sees a plan that has become part of the chain.
func (c *check) committed(p *fleet.Plan) {
	c.plans++
	b := c.pending[p.ID]
	delete(c.pending, p.ID)
	if g := c.s.bus.generation; g != c.generation {
		c.generation, c.last, c.lastRead, c.lostAt, c.changedAt = g, "", time.Time{}, c.s.now, time.Time{}
		clear(c.short)
	}
	if p.Prev != c.last || p.Generation != c.generation || !p.Sealed() {
		c.violate("S4", "plan %s of generation %d follows %q, and was made after %q", p.ID.Short(), p.Generation, c.last.Short(), p.Prev.Short())
	}
	if p.ReadStartedAt.Before(c.lastRead) {
		c.violate("S8", "plan %s is of %s, the one before of %s", p.ID.Short(), p.ReadStartedAt, c.lastRead)
	}
	c.last, c.lastRead = p.ID, p.ReadStartedAt
	for i := range p.Actions {
		c.actions[p.Actions[i].ID] = &known{action: p.Actions[i], generation: p.Generation, planned: c.s.now}
	}
	if b != nil {
		c.plannedTogether(p, b)
		for i := range p.Actions {
			c.planned(p, &p.Actions[i], b)
		}
	}
	if slices.ContainsFunc(p.Actions, func(a fleet.Action) bool { return a.Restore == nil }) {
		c.changedAt = p.MadeAt
	}
	c.s.note("plan %s: %s", p.ID.Short(), inWords(p))
}

// planned checks one action of a plan that was committed.
func (c *check) planned(p *fleet.Plan, a *fleet.Action, b *basis) {
	if since := c.s.bus.pause.Since; !since.IsZero() && c.s.now.Sub(since) > 30*time.Second {
		c.violate("S14", "plan %s was made though all is paused", p.ID.Short())
	}
	if id, ok := a.Target(); ok {
		for i := range b.mem.Open {
			o := &b.mem.Open[i].Action
			other, _ := o.Target()
			closed := slices.ContainsFunc(p.Closures, func(cl fleet.Closure) bool { return cl.Action == o.ID })
			if other == id && o.Kind == a.Kind && !closed {
				c.violate("S4", "%s %s was planned while %s has %s in hand", a.Kind, a.ID.Short(), o.ID.Short(), id)
			}
		}
	}
	switch {
	case a.Launch != nil:
		c.plannedLaunch(p, a, b)
	case a.Reap != nil:
		c.plannedView(a, b)
	case a.Drain != nil && !a.Drain.Involuntary:
		c.plannedView(a, b)
		c.plannedDrain(p, a, b)
	}
}

// plannedLaunch checks a launch of a plan.
func (c *check) plannedLaunch(p *fleet.Plan, a *fleet.Action, b *basis) {
	if len(a.Launch.For) == 0 && a.Reason.Code != fleet.ReasonMinimum {
		c.violate("S6", "launch %s is for nothing", a.ID.Short())
	}
	if b.age > staleForAll+slack {
		c.violate("S8", "launch %s was planned on a snapshot of %s ago", a.ID.Short(), b.age)
	}
	const wait = 3*time.Minute - slack // for as long an offering that had no capacity is not asked again
	for i := range a.Launch.Offerings {
		key := a.Launch.Offerings[i].Key()
		if at, short := c.short[key]; short && p.MadeAt.Sub(at) < wait && c.s.now.Sub(at) > slack {
			c.violate("S7", "launch %s asks for %s in %s, which had no capacity at %s", a.ID.Short(), key.Type, key.Zone, at.Format(time.TimeOnly))
		}
	}
}

// slack is what passes between a decision and the append, or an event and a reader.
const slack = 15 * time.Second

// plannedView checks what a removal that nobody but Neap wants was planned on.
func (c *check) plannedView(a *fleet.Action, b *basis) {
	if c.maimed[b.snap.ReadStartedAt] {
		c.violate("S10", "%s %s was planned on a view that lacks two fifths of what is there", a.Kind, a.ID.Short())
	}
	if b.age > staleForRemoval+slack {
		c.violate("S8", "%s %s was planned on a snapshot of %s ago", a.Kind, a.ID.Short(), b.age)
	}
	if c.partial[b.snap.ReadStartedAt] {
		c.violate("S9", "%s %s was planned though something could not be read", a.Kind, a.ID.Short())
	}
	for _, section := range b.snap.Sections {
		if !section.Complete && section.Name != fleet.SectionNetwork && (a.Reap == nil || section.Name != fleet.SectionCatalogue) {
			c.violate("S9", "%s %s was planned though section %s was incomplete: %s", a.Kind, a.ID.Short(), section.Name, section.Problem)
		}
	}
}

// plannedDrain checks a drain by choice of a plan.
func (c *check) plannedDrain(p *fleet.Plan, a *fleet.Action, b *basis) {
	i := slices.IndexFunc(b.snap.Instances, func(inst fleet.Instance) bool { return inst.ID == a.Drain.Instance })
	if i < 0 {
		c.violate("S13", "drain %s was planned of %s, which is not in the view", a.ID.Short(), a.Drain.Instance)
		return
	}
	inst := &b.snap.Instances[i]
	if inst.Owner == "" {
		c.violate("S13", "drain %s was planned of %s, which is not ours", a.ID.Short(), inst.ID)
	}
	if inst.Protected != "" {
		c.violate("S11", "drain %s was planned of %s, which is protected: %s", a.ID.Short(), inst.ID, inst.Protected)
	}
	for _, tc := range b.snap.Tasks {
		if g := &b.snap.TaskGroups[tc.Group]; tc.Instance == i && (tc.Protected > 0 || g.Standalone && tc.Running > 0) {
			c.violate("S11", "drain %s was planned of %s, where a task of %s must stay", a.ID.Short(), inst.ID, g.Group)
		}
	}
	if !surplus(a) {
		return
	}
	policy := &c.s.bus.policy.ScaleDown
	if age := p.MadeAt.Sub(inst.LaunchedAt); age < time.Duration(policy.MinLifetime) {
		c.violate("L8", "drain %s was planned of %s, %s after its launch", a.ID.Short(), inst.ID, age)
	}
	if quiet := p.MadeAt.Sub(c.changedAt); quiet < time.Duration(policy.Cooldown) {
		c.violate("S3", "drain %s was planned %s after the last change", a.ID.Short(), quiet)
	}
	for _, idle := range p.Idle {
		if idle.Instance == inst.ID && p.MadeAt.Sub(idle.Since) < time.Duration(policy.StableFor) {
			c.violate("S3", "drain %s was planned of %s, idle since %s", a.ID.Short(), inst.ID, idle.Since.Format(time.TimeOnly))
		}
	}
}

// surplus reports whether an instance is drained because nobody needs it, and for no other
// reason that would not wait.
func surplus(a *fleet.Action) bool {
	return a.Drain != nil && (a.Reason.Code == fleet.ReasonIdle || a.Reason.Code == fleet.ReasonEmpty || a.Reason.Code == fleet.ReasonLosable)
}

// plannedTogether checks what the actions of a plan come to.
func (c *check) plannedTogether(p *fleet.Plan, b *basis) {
	launched, size := 0, 0
	for i := range p.Actions {
		if l := p.Actions[i].Launch; l != nil {
			launched += l.Count
		}
	}
	for i := range b.snap.Instances {
		if b.snap.Instances[i].Status != fleet.StatusGone {
			size++
		}
	}
	const floor, share = 10, 10 // instances, and a tenth of the cluster
	if most := max(floor, size/share); launched > most {
		c.violate("S3", "plan %s launches %d instances, and %d may be launched at once", p.ID.Short(), launched, most)
	}
	if !slices.ContainsFunc(p.Actions, func(a fleet.Action) bool { return surplus(&a) }) {
		return
	}
	c.leavesRoom(p, b)
	for _, d := range p.Demand {
		if d.Unplaced > 0 && d.Reason.Code == fleet.ReasonShortage {
			c.violate("S5", "plan %s removes instances though EC2 has none to give for %s", p.ID.Short(), d.Group)
		}
	}
	for i := range b.mem.Open {
		if o := &b.mem.Open[i]; o.Action.Launch != nil && o.Over && o.Class != fleet.FailureNone {
			c.violate("S5", "plan %s removes instances though launch %s has just failed: %s", p.ID.Short(), o.Action.ID.Short(), o.Class)
		}
	}
}

// leavesRoom checks that what stays is as much as the policy keeps, and has room for what has
// to move: in sum, and for the largest task.
func (c *check) leavesRoom(p *fleet.Plan, b *basis) {
	goes := map[fleet.InstanceID]bool{}
	for i := range p.Actions {
		if d := p.Actions[i].Drain; d != nil {
			goes[d.Instance] = true
		}
	}
	for i := range b.mem.Open {
		if d := b.mem.Open[i].Action.Drain; d != nil {
			goes[d.Instance] = true
		}
	}
	stay := 0
	var room, largest, moves, need fleet.Resources
	for i := range b.snap.Instances {
		inst := &b.snap.Instances[i]
		if inst.Status != fleet.StatusActive || inst.Notice.Kind != "" || goes[inst.ID] {
			continue
		}
		stay++
		room = room.Add(inst.Remaining)
		largest = most(largest, inst.Remaining)
	}
	for _, tc := range b.snap.Tasks {
		g, on := &b.snap.TaskGroups[tc.Group], b.snap.Instances[tc.Instance].ID
		if g.Daemon || !slices.ContainsFunc(p.Actions, func(a fleet.Action) bool { return surplus(&a) && a.Drain.Instance == on }) {
			continue
		}
		moves = moves.Add(g.Needs.Times(int64(tc.Running)))
		need = most(need, g.Needs)
	}
	if least := c.s.bus.policy.Limits.MinInstances; stay < least {
		c.violate("S5", "plan %s leaves %d instances, and %d is the least", p.ID.Short(), stay, least)
	}
	if moves.CPUUnits > room.CPUUnits || moves.MemoryMiB > room.MemoryMiB || need.CPUUnits > largest.CPUUnits || need.MemoryMiB > largest.MemoryMiB {
		c.violate("S5", "plan %s moves tasks of %v, the largest of %v, into room of %v, the largest of %v", p.ID.Short(), moves, need, room, largest)
	}
}

// most is the larger of each resource.
func most(a, b fleet.Resources) fleet.Resources {
	return fleet.Resources{CPUUnits: max(a.CPUUnits, b.CPUUnits), MemoryMiB: max(a.MemoryMiB, b.MemoryMiB)}
}
