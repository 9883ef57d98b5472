package plan

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/neap-project/neap/libs/fleet"
)

// rollSlack is how much longer a batch of a roll may take than booting and draining: the
// executors may be late, and ECS retries slowly.
const rollSlack = 30 * time.Minute

// roll advances the roll that a person or the policy asks for: when a batch is gone it picks
// the next one, launches what has to be there before it may go, and drains it as far as a
// rehearsal finds room for everything on it. While it replaces instances nothing else is
// removed, so that what was launched for it is there when it is needed.
//
// Which instances are left shows in the snapshot: those that are older than the roll. Only
// the batch is remembered.
//
// Complexity, n instances, b of a batch: O(n log n), and what packing and rehearsing the
// batch takes, O(log b) times each.
func (d *draft) roll() {
	roll, left := d.currentRoll()
	if roll.ID == "" {
		return
	}
	d.rolling = fleet.Rolling{Roll: roll, State: fleet.RollRunning, Left: len(left)}
	if d.mem.Rolling.Roll.ID == roll.ID {
		d.rolling.Since, d.rolling.Why = d.mem.Rolling.Since, d.mem.Rolling.Why
	}
	switch {
	case len(left) == 0:
		d.rolling.State, d.rolling.Why = fleet.RollCompleted, ""
		return
	case !d.mem.Roll.Stopped.IsZero():
		d.rolling.State, d.rolling.Why = fleet.RollStopped, ""
		d.rollWaits("a person has stopped it; \"neap roll resume\" lets it go on")
		return
	case d.mem.Rolling.Roll.ID == roll.ID && d.mem.Rolling.State == fleet.RollFailed && d.mem.Roll.Resumed.Before(d.rolling.Since):
		d.rolling.State = fleet.RollFailed
		d.rollWaits(d.rolling.Why + "; \"neap roll resume\" tries again")
		return
	}
	d.rolling.Why = ""
	if d.mayRoll() {
		d.advance(left)
		return
	}
	d.rolling.Batch = d.batchLeft(left)
	d.rolling.Since = d.now // time in which it may not go on does not count
}

// mayRoll reports whether anything may be removed at all. That the policy does not want
// idle instances removed does not keep these.
func (d *draft) mayRoll() bool {
	return d.down == nil && d.noLaunch == nil && (d.noRemove == nil || d.noRemove.Code == fleet.ReasonDisabled)
}

// currentRoll is the roll to advance and what is left of it: the one that a person asked
// for, until it is over, then those of the policy.
func (d *draft) currentRoll() (fleet.Roll, []int) {
	for _, r := range append([]fleet.Roll{d.mem.Roll}, d.policyRolls()...) {
		left := d.leftOf(&r)
		if len(left) == 0 {
			continue
		}
		if last := &d.mem.Rolling.Roll; last.ID == r.ID {
			r.Total = last.Total
		}
		r.Total = max(r.Total, len(left))
		return r, left
	}
	return d.mem.Roll, nil
}

// policyRolls are the rolls that the policy asks for at this time of the week. A roll that
// goes on is the same as before.
func (d *draft) policyRolls() []fleet.Roll {
	rolls := &d.pol.Rolls
	r := fleet.Roll{By: "policy", RollPace: rolls.RollPace, RespectRestrict: rolls.RespectRestrict}
	var list []fleet.Roll
	for i := range rolls.Schedule {
		w := &rolls.Schedule[i]
		if began, holds := w.Began(d.now); holds {
			r.ID, r.Why = fmt.Sprintf("schedule-%d-%s", i, idTime(began)), "scheduled: "+w.String()
			r.StartedAt, r.LaunchSpecs = began, w.LaunchSpecs
			list = append(list, r)
		}
	}
	if rolls.Drift != fleet.DriftAuto || len(rolls.Windows) > 0 && fleet.Within(rolls.Windows, d.now) == nil {
		return list
	}
	r.Drifted, r.Why, r.LaunchSpecs, r.StartedAt = true, "drifted", nil, d.now
	if last := &d.mem.Rolling; last.Roll.Drifted && last.Roll.By == r.By && last.State != fleet.RollCompleted {
		r.StartedAt = last.Roll.StartedAt
	}
	r.ID = "drift-" + idTime(r.StartedAt)
	return append(list, r)
}

// idTime is a time within the ID of a roll.
func idTime(t time.Time) string { return t.UTC().Format("20060102T150405") }

// leftOf are the instances that a roll has still to replace.
func (d *draft) leftOf(r *fleet.Roll) []int {
	if r.Drifted {
		d.findDrift()
	}
	var left []int
	for i := range d.snap.Instances {
		if inst := &d.snap.Instances[i]; r.Covers(inst) && (!r.Drifted || d.driftOf(inst) != "") {
			left = append(left, i)
		}
	}
	return left
}

// RollLeft are the instances that a roll has still to replace, sorted. It takes time in
// proportion to the snapshot.
func RollLeft(snap fleet.Snapshot, pol fleet.Policy, r fleet.Roll) []fleet.InstanceID {
	d := newDraft(snap, pol, fleet.Memory{})
	d.market = newMarket(d)
	left := d.leftOf(&r)
	ids := make([]fleet.InstanceID, len(left))
	for x, i := range left {
		ids[x] = d.snap.Instances[i].ID
	}
	slices.Sort(ids)
	return ids
}

// advance goes on with the batch of a roll, or begins the next one.
func (d *draft) advance(left []int) {
	d.findBondsWith(d.rollTags())
	d.findDrift()
	free := d.rollable(left)
	batch := d.batchLeft(left)
	if why, failed := d.batchFailed(batch); failed {
		d.rolling.State, d.rolling.Since, d.rolling.Why = fleet.RollFailed, d.now, why
		d.rollWaits(why + "; \"neap roll resume\" tries again")
		return
	}
	batch = slices.DeleteFunc(batch, func(id fleet.InstanceID) bool {
		i, _ := d.indexOf(id)
		return d.states[i] != leaving && !slices.Contains(free, i)
	})
	if len(batch) == 0 {
		d.rolling.Since = d.now
		for _, i := range free[:min(len(free), d.rolling.Roll.Batch())] {
			batch = append(batch, d.snap.Instances[i].ID)
		}
		slices.Sort(batch)
	}
	if d.rolling.Batch = batch; len(batch) == 0 {
		return // each of them has said why; meanwhile the cluster is scaled as ever
	}
	d.replaceBatch(left, free, d.candidatesOf(batch))
	holds := fleet.Because(fleet.ReasonRollHolds, "cluster", "roll", d.rolling.Roll.ID)
	d.noRemove = &holds
}

func (d *draft) rollTags() tagRule {
	if d.rolling.Roll.RespectRestrict {
		return heedTags
	}
	return ignoreTags
}

// batchLeft is what is left of the batch of the last plan.
func (d *draft) batchLeft(left []int) []fleet.InstanceID {
	last := &d.mem.Rolling
	if last.Roll.ID != d.rolling.Roll.ID || last.State != fleet.RollRunning {
		return nil
	}
	var batch []fleet.InstanceID
	for _, i := range left {
		id := d.snap.Instances[i].ID
		if _, of := slices.BinarySearch(last.Batch, id); of {
			batch = append(batch, id)
		}
	}
	slices.Sort(batch)
	return batch
}

func (d *draft) indexOf(id fleet.InstanceID) (int, bool) {
	return slices.BinarySearchFunc(d.snap.Instances, id, func(inst fleet.Instance, id fleet.InstanceID) int { return cmp.Compare(inst.ID, id) })
}

// batchFailed says why a batch has failed, if it has: something refuses to launch or to
// drain, or it takes far longer than booting and draining may.
func (d *draft) batchFailed(batch []fleet.InstanceID) (why string, failed bool) {
	if len(batch) == 0 {
		return "", false
	}
	within := rollSlack + bootGrace + time.Duration(d.pol.Boot.Timeout)
	if d.pol.HasWindows() {
		within += time.Duration(d.pol.Boot.WindowsTimeout)
	}
	longest := time.Duration(0)
	for _, id := range batch {
		if s := d.setback(fleet.ActionDrain, string(id)); s != nil && s.At.After(d.rolling.Since) {
			return fmt.Sprintf("draining %s fails (%s: %s)", id, s.Class, s.Message), true
		}
		i, _ := d.indexOf(id)
		longest = max(longest, time.Duration(d.pol.DrainOf(d.snap.Instances[i].LaunchSpec).Timeout))
	}
	for i := range d.pol.LaunchSpecs {
		if s := d.setback(fleet.ActionLaunch, string(d.pol.LaunchSpecs[i].Name)); s != nil && s.At.After(d.rolling.Since) {
			return fmt.Sprintf("launching from %s fails (%s: %s)", s.Of, s.Class, s.Message), true
		}
	}
	if within += longest; d.now.Sub(d.rolling.Since) > within {
		why = fmt.Sprintf("%d instances of a batch were not replaced within %s", len(batch), ago(within))
		if d.mem.Rolling.Why != "" {
			why += ": " + d.mem.Rolling.Why
		}
		return why, true
	}
	return "", false
}

// rollable are the instances of a roll that may drain now, the oldest first. Each of the
// others says why it may not.
func (d *draft) rollable(left []int) []int {
	awaited := d.awaited()
	var free []int
	for _, i := range left {
		inst := &d.snap.Instances[i]
		why := ""
		switch held, stays := d.isHeld(i); {
		case d.states[i] == leaving:
			continue
		case stays:
			why = held.String()
		case d.states[i] != active || d.acted[inst.ID]:
			why = "it is not in service"
		case awaited[i] > 0:
			why = fmt.Sprintf("%d waiting tasks fit on it and ECS has yet to place them", awaited[i])
		case d.rolling.Roll.RespectRestrict && d.restrictedSpec(i):
			why = "its launch spec lets only empty instances go"
		}
		if why != "" {
			d.because(fleet.ReasonRollBlocked, instanceSubject(inst), "roll", d.rolling.Roll.ID, "why", why)
			continue
		}
		free = append(free, i)
	}
	slices.SortStableFunc(free, func(a, b int) int {
		return cmp.Or(d.snap.Instances[a].LaunchedAt.Compare(d.snap.Instances[b].LaunchedAt), cmp.Compare(a, b))
	})
	return free
}

// awaited is how many waiting tasks were put on each node.
func (d *draft) awaited() []int {
	awaited := make([]int, d.cluster.Len())
	for _, w := range d.demand {
		for _, p := range w.put {
			awaited[p.node] += p.count
		}
	}
	return awaited
}

// restrictedSpec reports whether an instance may go only when it is empty, and is not.
func (d *draft) restrictedSpec(i int) bool {
	spec, ok := d.pol.Spec(d.snap.Instances[i].LaunchSpec)
	return ok && spec.ScaleDown.Restrict && d.tasksBut(i, staysBehind) > 0
}

// candidatesOf are the instances of a batch that are not draining yet.
func (d *draft) candidatesOf(batch []fleet.InstanceID) []drain {
	var set []drain
	for _, id := range batch {
		if i, ok := d.indexOf(id); ok && d.states[i] != leaving {
			c := drain{instance: i, utilization: utilization(&d.snap.Instances[i]), since: d.now, price: d.market.priceOf(&d.snap.Instances[i])}
			d.countTasks(&c)
			set = append(set, c)
		}
	}
	return set
}

// replaceBatch launches what has to be there before the rest of a batch may drain, or drains
// as much of it as may now.
func (d *draft) replaceBatch(left, free []int, set []drain) {
	lacking := 0
	for _, i := range left {
		if d.states[i] != active {
			lacking++
		}
	}
	queue := d.queueOf(free, set)
	switch room := d.rolling.Roll.MayLack() - lacking; {
	case len(set) == 0:
		queue("others drain")
	case d.successorsBoot() || d.changing():
		queue("what was launched for it has yet to register")
	case room <= 0:
		queue(fmt.Sprintf("%d of %d instances of the roll are out of service, and %d %% are to be healthy", lacking, d.rolling.Roll.Total, d.rolling.Roll.MinHealthyPercent))
	default:
		d.replacing = fleet.Replacing{} // what was launched for a saving is room like any other now
		d.market.build()
		s, ok := d.successors(set)
		if !ok {
			why := "nothing can be launched for what is on the next instance: no capacity, or a limit of the policy is reached"
			d.rollWaits(why)
			queue(why)
			return
		}
		if d.launchSuccessors(s) {
			queue("what takes its place is launched first")
			return
		}
		d.drainBatch(s.out[:min(len(s.out), room)], queue)
	}
}

// queueOf returns a function that tells those that may go, but for what drains, why they wait.
func (d *draft) queueOf(free []int, set []drain) func(why string) {
	return func(why string) {
		for _, i := range free {
			switch of := slices.ContainsFunc(set, func(c drain) bool { return c.instance == i }); {
			case d.draining(i):
			case of:
				d.rollTurn(i, why)
			default:
				d.rollTurn(i, "other instances go first")
			}
		}
	}
}

func (d *draft) rollTurn(i int, why string) {
	inst := &d.snap.Instances[i]
	d.because(fleet.ReasonRollTurn, instanceSubject(inst), "roll", d.rolling.Roll.ID, "why", why, "drift", d.driftWords(inst))
}

func (d *draft) draining(i int) bool {
	return slices.ContainsFunc(d.drains, func(c drain) bool { return c.instance == i })
}

func (d *draft) driftWords(inst *fleet.Instance) string {
	if what := d.driftOf(inst); what != "" {
		return "; drifted: " + what
	}
	return ""
}

// successors finds what has to be launched before some instances may go: for as many of
// them as the limits allow, all of them at first.
func (d *draft) successors(set []drain) (*swap, bool) {
	for n := len(set); n > 0; n /= 2 {
		if s := d.swapFor(set[:n], nil); s != nil && d.mayGrow(s) {
			return s, true
		}
	}
	return nil, false
}

// mayGrow reports whether what a rehearsal lacks could be launched, too. It is not: the old
// instances drain only as far as a rehearsal finds room, and the next turn is about the rest.
func (d *draft) mayGrow(s *swap) bool {
	more := &swap{out: s.out, in: slices.Clone(s.in)}
	short := d.lacks(more)
	return len(short) == 0 || d.enlarge(more, short, nil)
}

// launchSuccessors launches what a swap needs, and what the minimum needs beside it. It
// reports whether that is anything.
func (d *draft) launchSuccessors(s *swap) bool {
	tasks := 0
	for _, c := range s.out {
		tasks += c.tasks
	}
	why := fleet.Because(fleet.ReasonRoll, "cluster", "roll", d.rolling.Roll.ID, "instances", len(s.out), "tasks", tasks)
	for i := range s.in {
		s.in[i].why = why
	}
	missing := d.belowMinimum(s)
	before := len(d.fresh)
	d.commit(s.in)
	for i := range d.pol.LaunchSpecs {
		spec := &d.pol.LaunchSpecs[i]
		g := fleet.TaskGroup{Group: "minimum of " + string(spec.Name), RequiredAttributes: []fleet.Attribute{{Name: fleet.AttributeLaunchSpec, Value: string(spec.Name)}}}
		d.keepAtLeast(&g, missing[spec.Name], why)
	}
	for i := range d.fresh[before:] {
		d.fresh[before+i].later = forSaving
	}
	return len(d.fresh) > before
}

// belowMinimum is how many instances of each launch spec are missing when a swap is done.
func (d *draft) belowMinimum(s *swap) map[fleet.LaunchSpecName]int {
	left := d.spareInstances()
	for i := range s.in {
		spec := d.market.offers[s.in[i].offer].spec.Name
		left.instances += s.in[i].count
		if _, limited := left.specs[spec]; limited {
			left.specs[spec] += s.in[i].count
		}
	}
	missing := map[fleet.LaunchSpecName]int{}
	for _, c := range s.out {
		name := d.snap.Instances[c.instance].LaunchSpec
		if _, known := d.pol.Spec(name); !known {
			name = d.pol.LaunchSpecs[0].Name
		}
		if _, _, kept := left.keeps(d, name); kept {
			missing[name]++
			continue
		}
		left.take(name)
	}
	return missing
}

// drainBatch drains as many instances as a rehearsal finds room for together. If it finds
// room for none of them, the first gets an instance for what is on it alone: the packing
// leaves ECS no slack.
func (d *draft) drainBatch(set []drain, queue func(string)) {
	for n := len(set); n > 0; n /= 2 {
		if _, ok := d.drainsWork(set[:n]); !ok {
			continue
		}
		for _, c := range set[:n] {
			inst := &d.snap.Instances[c.instance]
			why := fleet.Because(fleet.ReasonRolled, instanceSubject(inst), "roll", d.rolling.Roll.ID, "tasks", c.tasks, "drift", d.driftWords(inst))
			why.Cost = -d.market.priceOf(inst)
			d.drains = append(d.drains, c)
			d.drainAction(c.instance, why, false)
			d.out.Actions[len(d.out.Actions)-1].Drain.RestrictedTasks = d.rollTags() == ignoreTags
		}
		queue("other instances go first")
		return
	}
	if s, ok := d.likeForLike(set[:1]); ok && d.launchSuccessors(s) {
		queue("ECS might spread the tasks so that they do not fit: what takes its place is launched first")
		return
	}
	why := "the placement strategies of the services leave no room for what is on the next instance in a rehearsal"
	d.rollWaits(why)
	queue(why)
}

// likeForLike finds instances that hold all that is on some, wherever else it would fit.
func (d *draft) likeForLike(set []drain) (*swap, bool) {
	m := d.cluster.Mark()
	defer d.cluster.Rollback(m)
	homeless, kinds := d.vacate(set)
	s := &swap{out: set}
	return s, d.enlarge(s, d.wishesFor(homeless, kinds), nil)
}

// rollWaits says why a roll does not go on.
func (d *draft) rollWaits(why string) {
	if d.rolling.State == fleet.RollRunning {
		d.rolling.Why = why
	}
	state := "waits"
	switch d.rolling.State {
	case fleet.RollStopped:
		state = "is stopped"
	case fleet.RollFailed:
		state = "has failed"
	case fleet.RollRunning, fleet.RollCompleted:
	}
	d.because(fleet.ReasonRollWaits, "cluster", "roll", d.rolling.Roll.ID, "scope", d.rolling.Roll.Scope(), "state", state, "why", why)
}
