package dst

import (
	"fmt"
	"slices"
	"time"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/execute"
)

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
