package plan

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/place"
)

// drain is an instance that could go.
type drain struct {
	instance    int
	utilization float64
	since       time.Time
	tasks       int // that have to move
	lost        int // standalone tasks, which ECS does not move

	replaced    bool        // by instances that are there
	price, loss fleet.Price // loss is what it costs beyond what is on it is worth
}

// removeIdle finds the instances whose tasks all fit elsewhere, least utilized first and
// jointly: each is judged with the ones before it gone. Those that have been so for long
// enough are drained, as many as may go at once.
func (d *draft) removeIdle() {
	if d.noRemove != nil {
		d.note(*d.noRemove)
		if d.noRemove.Code != fleet.ReasonDisabled {
			d.keepClocks() // that nothing was seen says nothing about idleness
		}
		return
	}
	d.out.Reasons = slices.Grow(d.out.Reasons, min(len(d.snap.Instances), mostReasons)) // nearly all stay, with one each
	if d.down != nil {
		d.shutDown()
		return
	}
	candidates := d.candidates()
	d.looked = candidates
	d.markReplaced(candidates)
	m := d.cluster.Mark()
	d.cluster.Order(d.fullestFirst())
	left := d.spareInstances()
	var idle []drain
	for _, c := range candidates {
		inst := &d.snap.Instances[c.instance]
		counts := d.states[c.instance] == active // what AWS takes is not counted on any more
		if field, least, kept := left.keeps(d, inst.LaunchSpec); counts && kept {
			d.because(fleet.ReasonLimit, instanceSubject(inst), "limit", field, "value", least, "allowed", "none", "wanted", "the rest")
			continue
		}
		if why, ok := d.empty(&c); !ok {
			d.note(why)
			continue
		}
		d.countTasks(&c)
		if counts {
			left.take(inst.LaunchSpec)
		}
		idle = append(idle, c)
	}
	d.cluster.Rollback(m)
	for _, c := range idle {
		if d.states[c.instance] == noticed {
			continue
		}
		d.out.Idle = append(d.out.Idle, fleet.Idle{Instance: d.snap.Instances[c.instance].ID, Since: c.since})
	}
	slices.SortFunc(d.out.Idle, func(a, b fleet.Idle) int { return cmp.Compare(a.Instance, b.Instance) })
	d.dropReplacing(idle)
	ripe := d.ripe(idle)
	works := d.rehearseDrains(ripe, d.mayDrain())
	if d.replaceDear(candidates, works, len(idle)-len(ripe)) {
		return
	}
	for _, c := range works {
		d.drain(c)
	}
}

// keepClocks carries over since when instances were idle, of those that still exist.
func (d *draft) keepClocks() {
	for i := range d.snap.Instances {
		id := d.snap.Instances[i].ID
		if since := d.idleSince(id); since.Before(d.now) && d.states[i] == active {
			d.out.Idle = append(d.out.Idle, fleet.Idle{Instance: id, Since: since})
		}
	}
}

func (d *draft) idleSince(id fleet.InstanceID) time.Time {
	i, ok := slices.BinarySearchFunc(d.mem.Idle, id, func(x fleet.Idle, id fleet.InstanceID) int { return cmp.Compare(x.Instance, id) })
	if !ok {
		return d.now
	}
	return d.mem.Idle[i].Since
}

// candidates are the instances that nothing forbids to remove, least utilized first. Among
// equals the one that was idle for longest comes first, so that clocks do not start anew.
func (d *draft) candidates() []drain {
	d.findBonds()
	awaited := make([]int, d.cluster.Len())
	for _, w := range d.demand {
		for _, p := range w.put {
			awaited[p.node] += p.count
		}
	}
	list := make([]drain, 0, len(d.snap.Instances))
	for i := range d.snap.Instances {
		inst := &d.snap.Instances[i]
		if d.states[i] == gone || d.states[i] == leaving || d.states[i] == late || d.acted[inst.ID] {
			continue
		}
		if why, stays := d.mustStay(i, awaited[i]); stays {
			d.note(why)
			continue
		}
		if d.states[i] == active || d.states[i] == noticed {
			list = append(list, drain{instance: i, utilization: utilization(inst), since: d.idleSince(inst.ID)})
		}
	}
	slices.SortFunc(list, func(a, b drain) int {
		if a.utilization != b.utilization {
			return cmp.Compare(a.utilization, b.utilization)
		}
		return cmp.Or(a.since.Compare(b.since), cmp.Compare(a.instance, b.instance))
	})
	return list
}

// utilization is the share of its scarcer resource that tasks on an instance reserve.
func utilization(inst *fleet.Instance) float64 {
	share := func(total, left int64) float64 {
		if total <= 0 {
			return 0
		}
		return float64(total-left) / float64(total)
	}
	return max(share(inst.Registered.CPUUnits, inst.Remaining.CPUUnits), share(inst.Registered.MemoryMiB, inst.Remaining.MemoryMiB))
}

// empty moves what is on an instance to others, fullest first, or says what would not fit.
// If it does, the instance stays closed and its tasks stay where they were moved. What is
// hardest to move is asked about first and by itself: in a full cluster that settles it for
// nearly all instances, in O(log n) each.
func (d *draft) empty(c *drain) (fleet.Reason, bool) {
	i := c.instance
	if d.states[i] == noticed {
		return d.replaced(i)
	}
	list := d.held(i)
	if len(list) == 0 {
		d.cluster.Close(i)
		return fleet.Reason{}, true
	}
	first, hopeless := d.hardest(list)
	if !d.cluster.Fits(first.task, i) {
		return d.unmoved(i, first, 0, ""), false
	}
	if hopeless != nil {
		return d.unmoved(i, hopeless, 0, ""), false
	}
	slices.SortStableFunc(list, compareHeld)
	m := d.cluster.Mark()
	d.cluster.Close(i)
	for x := range list {
		h := &list[x]
		d.cluster.Take(i, h.task, h.count)
		if n := d.cluster.FitUpTo(h.task, h.count, nowhere); n < h.count {
			beside := ""
			if x > 0 || n > 0 {
				beside = "with the rest of what is on it moved, "
			}
			why := d.unmoved(i, h, n, beside)
			d.cluster.Rollback(m)
			if n == 0 {
				d.cluster.Fits(h.task, i) // if it never did, that is known of the next instance
			}
			return why, false
		}
	}
	return fleet.Reason{}, true
}

// hardest is the hardest to move of what is on an instance, and of that what is known to
// fit nowhere whatever else is moved, if there is any.
func (d *draft) hardest(list []heldTask) (first, hopeless *heldTask) {
	for x := range list {
		h := &list[x]
		if first == nil || h.before(first) {
			first = h
		}
		if d.cluster.FitsNowhere(h.task) && (hopeless == nil || h.before(hopeless)) {
			hopeless = h
		}
	}
	return first, hopeless
}

// unmoved says what of an instance fits nowhere else, when so many of them do, beside what.
func (d *draft) unmoved(i int, h *heldTask, fit int, beside string) fleet.Reason {
	if d.full() {
		return fleet.Reason{}
	}
	subject := instanceSubject(&d.snap.Instances[i])
	if h.headroom {
		return fleet.Because(fleet.ReasonKeepHeadroom, subject, "missing", h.count-fit, "wanted", d.unitOf(h.task).wanted)
	}
	why := fleet.Because(fleet.ReasonUnfit, subject, "task", h.task.Name, "why", beside+d.nearest(i, h.task))
	why.Considered = d.others(i, h.task)
	return why
}

// countTasks counts what ECS has to move, and what would be lost.
func (d *draft) countTasks(c *drain) {
	for _, tc := range d.tasksOn(c.instance) {
		switch g := &d.snap.TaskGroups[tc.Group]; {
		case g.Daemon:
		case g.Standalone:
			c.lost += tc.Running
		default:
			c.tasks += tc.Running
		}
	}
}

// replaced reports whether the tasks of an instance that is likely to be taken all have
// room on others by now: it was looked for when everything else was placed.
func (d *draft) replaced(i int) (fleet.Reason, bool) {
	for _, w := range d.movesFrom[i] {
		if w.fitNow < w.count {
			return fleet.Because(fleet.ReasonUnfit, instanceSubject(&d.snap.Instances[i]), "task", d.nameOf(w.group), "why", "its replacement is on its way"), false
		}
	}
	return fleet.Reason{}, true
}

type heldTask struct {
	task     *place.Task
	count    int
	headroom bool
	rank     int64 // what has to be moved first has the least
}

// held is what is on a node and has to leave it, in no order worth having. It is good
// until the next call.
func (d *draft) held(i int) []heldTask {
	list := d.heldBuffer[:0]
	d.cluster.Held(i, func(t *place.Task, count int) bool {
		if d.leaves(i, t) {
			list = append(list, heldTask{task: t, count: count, headroom: t.Reserved, rank: rankOf(t)})
		}
		return true
	})
	d.heldBuffer = list
	return list
}

// leaves reports whether a task on a node has to leave it: daemon tasks go down with it,
// and standalone tasks are lost if the policy lets them be.
func (d *draft) leaves(i int, t *place.Task) bool {
	if t.Index == fleet.NoIndex {
		return true
	}
	switch d.bonds[t.Index] {
	case staysBehind:
		return false
	case losable: // one that only waits has to find a place
		return !slices.ContainsFunc(d.tasksOn(i), func(tc fleet.TaskCount) bool { return tc.Group == t.Index })
	default:
		return true
	}
}

// rankOf puts tasks before headroom, and what needs most first, so that what fits nowhere
// is found soon.
func rankOf(t *place.Task) int64 {
	rank := -sizeOf(t)
	if t.Reserved {
		rank += math.MaxInt64
	}
	return rank
}

// sizeOf is how much of an instance a task takes, with a vCPU as good as 4 GiB.
func sizeOf(t *place.Task) int64 { return max(4*t.Needs.CPUUnits, t.Needs.MemoryMiB) }

func (h *heldTask) before(other *heldTask) bool { return compareHeld(*h, *other) < 0 }

func compareHeld(a, b heldTask) int {
	if a.rank != b.rank {
		return cmp.Compare(a.rank, b.rank)
	}
	return cmp.Compare(a.task.Name, b.task.Name)
}

func (d *draft) unitOf(t *place.Task) *unit {
	for _, u := range d.units {
		if u.task == t {
			return u
		}
	}
	return nil
}

// ripe picks those that may go now: idle for long enough, and nothing has changed lately.
// What AWS is likely to take need not wait.
func (d *draft) ripe(idle []drain) []drain {
	stable, cooldown := time.Duration(d.pol.ScaleDown.StableFor), time.Duration(d.pol.ScaleDown.Cooldown)
	quiet := d.quietFor()
	trouble, closed := d.trouble(), d.closedHours()
	hoped := 0 // what may still be needed as headroom is no surplus
	for _, u := range d.units {
		hoped += u.hoped
	}
	var ripe []drain
	for _, c := range idle {
		subject := instanceSubject(&d.snap.Instances[c.instance])
		hurry := (d.states[c.instance] == noticed || c.replaced) && !d.restores()
		long := d.now.Sub(c.since)
		switch {
		case trouble != nil:
			why := *trouble
			why.Subject = subject
			d.out.Reasons = append(d.out.Reasons, why)
		case hoped > 0 && d.states[c.instance] != noticed: // it is no surplus, and until it drains ECS moves nothing
			d.because(fleet.ReasonUnsettled, subject, "missing", hoped, "wanted", d.headroomWanted())
		case closed != nil && d.states[c.instance] != noticed:
			why := *closed
			why.Subject = subject
			d.note(why)
		case long < stable && !hurry:
			d.because(fleet.ReasonUnstable, subject, "for", ago(long), "wait", ago(stable))
		case quiet < cooldown && !hurry:
			changed := "the cluster changed " + ago(quiet) + " ago"
			if d.changing() {
				changed = "this plan adds instances"
			}
			d.because(fleet.ReasonCooldown, subject, "changed", changed, "wait", ago(cooldown))
		default:
			ripe = append(ripe, c)
		}
	}
	return ripe
}

// mayDrain is how many more may drain now.
func (d *draft) mayDrain() int {
	size := count(d.states, active) + count(d.states, away) + count(d.states, noticed) + count(d.states, leaving)
	leavingNow := 0
	for i, s := range d.states {
		if inst := &d.snap.Instances[i]; s == leaving && inst.Owner != "" && inst.Notice.Kind == "" || d.goesUnwell(i) {
			leavingNow++
		}
	}
	return max(size*d.pol.ScaleDown.MaxPercentage/allPercent, 1) - leavingNow
}

// restores reports whether this plan undoes drains: the room they give is not there yet.
func (d *draft) restores() bool {
	return slices.ContainsFunc(d.out.Actions, func(a fleet.Action) bool { return a.Kind == fleet.ActionRestore })
}

// changing reports whether this plan itself adds to the cluster.
func (d *draft) changing() bool { return len(d.fresh) > 0 || d.restores() }

// quietFor is how long ago the cluster was last changed by us; what this plan launches and
// restores are changes too.
func (d *draft) quietFor() time.Duration {
	if d.changing() {
		return 0
	}
	last := d.mem.LaunchedAt
	if d.mem.RemovedAt.After(last) {
		last = d.mem.RemovedAt
	}
	return d.now.Sub(last)
}

// trouble is why nothing should be given away now: what cannot be replaced is no surplus.
func (d *draft) trouble() *fleet.Reason {
	for i := range d.mem.Open {
		o := &d.mem.Open[i]
		if o.Action.Launch != nil && o.Over && o.Class != fleet.FailureNone {
			r := fleet.Because(fleet.ReasonFailing, "", "why", fmt.Sprintf("%s: %s", o.Class, o.Message))
			return &r
		}
	}
	for i := range d.pol.LaunchSpecs {
		if s := d.setback(fleet.ActionLaunch, string(d.pol.LaunchSpecs[i].Name)); s != nil {
			r := fleet.Because(fleet.ReasonFailing, "", "why", fmt.Sprintf("%s: %s", s.Class, s.Message))
			return &r
		}
	}
	for _, w := range slices.Concat(d.demand, d.moves) {
		if w.left() > 0 && w.reason.Code == fleet.ReasonShortage {
			r := fleet.Because(fleet.ReasonFailing, "", "why", w.reason.String())
			return &r
		}
	}
	return nil
}

// drain plans to empty an instance and terminate it.
func (d *draft) drain(c drain) {
	inst := &d.snap.Instances[c.instance]
	subject := instanceSubject(inst)
	long := ago(d.now.Sub(c.since))
	why := fleet.Because(fleet.ReasonIdle, subject, "tasks", c.tasks, "for", long, "utilization", fmt.Sprintf("%.0f %%", 100*c.utilization))
	switch {
	case d.states[c.instance] == noticed:
		why = fleet.Because(fleet.ReasonInterrupted, subject, "notice", inst.Notice.Kind, "at", inst.Notice.At.UTC().Format(time.RFC3339))
	case c.replaced:
		why = fleet.Because(fleet.ReasonReplaced, subject, "tasks", c.tasks, "utilization", fmt.Sprintf("%.0f %%", 100*c.utilization))
	case c.lost > 0:
		why = fleet.Because(fleet.ReasonLosable, subject, "lost", c.lost, "tasks", c.tasks, "for", long)
	case c.tasks == 0:
		why = fleet.Because(fleet.ReasonEmpty, subject, "for", long)
	}
	why.Cost = -d.market.priceOf(inst)
	d.drains = append(d.drains, c)
	d.drainAction(c.instance, why, false)
}

func (d *draft) drainAction(i int, why fleet.Reason, involuntary bool) {
	inst := &d.snap.Instances[i]
	how := d.pol.DrainOf(inst.LaunchSpec)
	if d.down != nil {
		how.OnTimeout = fleet.TimeoutStop // there is nowhere to go
	}
	a := fleet.Drain{
		Instance: inst.ID, ContainerInstance: inst.ContainerInstance, Type: inst.Type, Involuntary: involuntary,
		Timeout: how.Timeout, OnTimeout: how.OnTimeout, StandaloneTasks: d.pol.ScaleDown.StandaloneTasks,
	}
	for _, tc := range d.tasksOn(i) {
		if g := &d.snap.TaskGroups[tc.Group]; tc.Running > 0 && !g.Daemon {
			a.Tasks = append(a.Tasks, fleet.Carried{What: d.nameOf(tc.Group), Count: tc.Running})
		}
	}
	d.act(fleet.Action{Kind: fleet.ActionDrain, Reason: why, Drain: &a})
}
