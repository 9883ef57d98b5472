package plan

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/neap-project/neap/libs/fleet"
)

// demand is a number of like tasks that need a place: a service wants them, or they have
// to leave the instance they are on.
type demand struct {
	group      int // task group
	deployment string
	count      int
	since      time.Time
	armed      time.Time // since when launches could have helped it and its service was not updated
	desired    int       // of the service
	from       int       // the instance they leave, or fleet.NoIndex
	forgo      int       // of count: the policy launches nothing for these

	put      []put       // where they were put, for the time being
	putOn    map[int]int // where in put each node is, once they are many
	fitNow   int         // of count: on instances that are there
	fitSoon  int         // of count: on instances that are booting
	launched int         // of count: on instances that this plan launches
	reason   fleet.Reason
}

// put is a number of tasks put on a node.
type put struct {
	node, count int
	soon        bool
}

func (w *demand) left() int { return w.count - w.fitNow - w.fitSoon - w.launched }

// wanting is how many of those that are left may be launched for.
func (w *demand) wanting() int { return max(w.left()-w.forgo, 0) }

// findDemand lists what services want and do not have, and what has to move.
func (d *draft) findDemand() {
	byGroup := map[int]*demand{}
	want := func(group int, deployment string, count, forgo int) {
		if count <= 0 {
			return
		}
		w := byGroup[group]
		if w == nil {
			w = &demand{group: group, deployment: deployment, from: fleet.NoIndex}
			byGroup[group] = w
			d.demand = append(d.demand, w)
		}
		w.count = min(w.count+count, mostTasks)
		w.forgo += forgo
	}
	known := d.known()
	for i := range d.snap.Services {
		if svc := &d.snap.Services[i]; svc.Scheduling != fleet.Daemon {
			d.findMissing(svc, known, want)
		}
	}
	for _, w := range d.snap.Waiting {
		want(w.Group, d.deploymentOf(w.Group), w.Count, 0)
	}
	for _, w := range d.demand {
		d.remember(w)
	}
	d.sortDemand(d.demand)
	replaced := map[int]int{}
	for i := range d.snap.Instances {
		if d.states[i] == leaving || d.states[i] == noticed {
			d.findMoves(i, replaced)
		}
	}
	d.sortDemand(d.moves)
	d.movesFrom = make(map[int][]*demand)
	for _, w := range d.moves {
		d.movesFrom[w.from] = append(d.movesFrom[w.from], w)
	}
}

// known is how many tasks of a group there are, waiting ones included, for the groups of
// which some wait.
func (d *draft) known() map[int]int {
	known := map[int]int{}
	for _, w := range d.snap.Waiting {
		if !w.Refused { // these do not exist
			known[w.Group] += w.Count
		}
	}
	if len(known) == 0 {
		return nil
	}
	for _, tc := range d.snap.Tasks {
		if _, waits := known[tc.Group]; waits {
			known[tc.Group] += tc.Running
		}
	}
	return known
}

// findMissing applies the formula of the ECS scheduler: per deployment what is desired and
// neither running nor pending, within the maximum percentage of the service. Tasks that
// wait without an instance are no part of it, whether ECS counts them as pending or not:
// they are demand of their own.
func (d *draft) findMissing(svc *fleet.Service, known map[int]int, want func(group int, deployment string, count, forgo int)) {
	held := 0
	has := func(dep *fleet.Deployment) int { return max(dep.Running+dep.Pending, known[dep.Group]) }
	for i := range svc.Deployments {
		held += has(&svc.Deployments[i])
	}
	room := atMost(svc) - held
	for _, dep := range primaryFirst(svc.Deployments) {
		missing := dep.Desired - has(&dep)
		switch {
		case missing <= 0:
			continue
		case dep.Rollout == fleet.RolloutFailed:
			d.because(fleet.ReasonRollout, "service/"+string(svc.Name), "deployment", dep.ID, "missing", missing)
			continue
		case !dep.Primary && dep.Rollout != "":
			continue // a rolling deployment starts tasks of the primary only
		}
		missing = max(min(missing, room), 0)
		room -= missing
		forgo := 0
		if dep.Rollout != "" {
			forgo = d.surplus(svc, held, missing)
		}
		want(dep.Group, dep.ID, missing, forgo)
	}
}

// surplus is how many of the tasks that a rolling deployment would start at once it can go
// on without, if that is all the policy wants to launch for. What replaces nothing is never
// surplus; of the others ECS needs room for one, or for none where it may stop a task first.
func (d *draft) surplus(svc *fleet.Service, held, missing int) int {
	if d.pol.ScaleUp.Surge != fleet.SurgeProgress {
		return 0
	}
	needs := max(svc.Desired-held, 0)
	if atLeast(svc) >= svc.Desired {
		needs++
	}
	return max(missing-needs, 0)
}

func primaryFirst(deployments []fleet.Deployment) []fleet.Deployment {
	order := make([]fleet.Deployment, 0, len(deployments))
	for _, primary := range [...]bool{true, false} {
		for _, dep := range deployments {
			if dep.Primary == primary {
				order = append(order, dep)
			}
		}
	}
	return order
}

// The percentages of a service that does not set them.
const (
	defaultMaxPercent = 200
	allPercent        = 100
)

// atMost is how many tasks a service may have at once: the maximum percentage, rounded
// down as ECS does.
func atMost(svc *fleet.Service) int {
	percent := svc.MaxPercent
	if percent == 0 {
		percent = defaultMaxPercent
	}
	return svc.Desired * percent / allPercent
}

// atLeast is how many tasks a service keeps up: the minimum percentage, rounded up.
func atLeast(svc *fleet.Service) int {
	return (svc.Desired*svc.MinHealthyPercent + allPercent - 1) / allPercent
}

// deploymentOf is the deployment that tasks of a group belong to, if a service runs them.
func (d *draft) deploymentOf(group int) string {
	if svc, ok := d.service(group); ok {
		for i := range svc.Deployments {
			if svc.Deployments[i].Group == group {
				return svc.Deployments[i].ID
			}
		}
	}
	return ""
}

func (d *draft) service(group int) (*fleet.Service, bool) {
	i := d.services[group]
	if i == fleet.NoIndex {
		return nil, false
	}
	return &d.snap.Services[i], true
}

// remember finds out how long a demand has been unmet, and how long launches could have
// helped it. A new task definition is a new deployment, and so a new demand; another desired
// count arms it anew.
func (d *draft) remember(w *demand) {
	name := d.snap.TaskGroups[w.group].Group
	if svc, ok := d.service(w.group); ok {
		w.desired = svc.Desired
	}
	w.since, w.armed = d.now, d.now
	for _, known := range d.mem.Demand {
		if known.Group != name || known.Deployment != w.deployment {
			continue
		}
		w.since = known.Since
		if known.Desired == w.desired {
			w.armed = known.Since
			if !known.Armed.IsZero() {
				w.armed = known.Armed
			}
		}
		return
	}
}

// heldBack reports whether it is not the demand's fault that it is not met: Neap could not
// launch for it, or was told not to. Such time does not count against it.
func (d *draft) heldBack(w *demand) bool {
	if *d.pol.DryRun || d.down != nil {
		return true
	}
	if w.left() == 0 {
		return false
	}
	switch w.reason.Code {
	case fleet.ReasonShortage, fleet.ReasonLimit, fleet.ReasonBudget, fleet.ReasonSetback, fleet.ReasonPaused,
		fleet.ReasonIncomplete, fleet.ReasonStale, fleet.ReasonPace, fleet.ReasonSurge, fleet.ReasonShutdown:
		return true
	default:
		return false
	}
}

// findMoves lists the tasks that ECS has to start elsewhere before an instance is empty.
// Standalone and daemon tasks are not moved, and what was replaced already is not moved
// again: replaced is how many of those of a group were counted on other instances. It takes
// time in proportion to the kinds of tasks on the instance.
func (d *draft) findMoves(i int, replaced map[int]int) {
	for _, tc := range d.tasksOn(i) {
		g := &d.snap.TaskGroups[tc.Group]
		svc, ok := d.service(tc.Group)
		if g.Daemon || g.Standalone || !ok || tc.Running == 0 || svc.Scheduling == fleet.Daemon {
			continue
		}
		held, primary := 0, false
		for _, dep := range svc.Deployments {
			held += dep.Running + dep.Pending
			primary = primary || dep.Primary && dep.Group == tc.Group
		}
		if !primary || svc.Desired == 0 {
			continue // tasks of an old deployment go away, and the new one's are wanted anyway
		}
		done := min(max(held-svc.Desired-replaced[tc.Group], 0), tc.Running)
		if done > 0 {
			replaced[tc.Group] += done
		}
		if count := tc.Running - done; count > 0 {
			d.moves = append(d.moves, &demand{group: tc.Group, count: min(count, mostTasks), from: i, since: d.now})
		}
	}
}

// tasksOn is the part of the task table about an instance: the table is sorted by it.
func (d *draft) tasksOn(i int) []fleet.TaskCount { return d.snap.Tasks[d.starts[i]:d.starts[i+1]] }

// startsOf finds where each instance begins in the task table.
func startsOf(s *fleet.Snapshot) []int {
	starts := make([]int, len(s.Instances)+1)
	for _, tc := range s.Tasks {
		starts[tc.Instance+1]++
	}
	for i := range s.Instances {
		starts[i+1] += starts[i]
	}
	return starts
}

// sortDemand puts what is hardest to place first: what has the least choice, and then what
// is large. ECS may come to them in another order; then they are launched for once it has,
// for what is launched before that is filled with the others as well.
func (d *draft) sortDemand(list []*demand) {
	slices.SortStableFunc(list, func(a, b *demand) int {
		x, y := d.snap.TaskGroups[a.group].Needs, d.snap.TaskGroups[b.group].Needs
		return cmp.Or(
			cmp.Compare(d.choosy(b.group), d.choosy(a.group)),
			cmp.Compare(y.GPUs, x.GPUs), cmp.Compare(max(4*y.CPUUnits, y.MemoryMiB), max(4*x.CPUUnits, x.MemoryMiB)),
			cmp.Compare(a.group, b.group), cmp.Compare(a.from, b.from))
	})
}

// choosy says how little choice tasks of a group have: what shuns other tasks finds nothing
// once these are spread over all there is; others want certain instances, or one each.
func (d *draft) choosy(group int) int {
	g := &d.snap.TaskGroups[group]
	switch {
	case d.tasks[group].UsesTasks():
		return 2
	case len(g.Constraints) > 0 || g.Distinct || len(g.Ports) > 0:
		return 1
	}
	return 0
}

// placeWaiting puts what waits where ECS is going to put it: on what is there, and what is
// left on what is booting. Tasks that have to move need room just so.
func (d *draft) placeWaiting() {
	for _, list := range [...][]*demand{d.demand, d.moves} {
		for _, w := range list {
			d.place(w, false)
		}
	}
	d.openBooting()
	for _, list := range [...][]*demand{d.demand, d.moves} {
		for _, w := range list {
			d.place(w, true)
		}
	}
	d.closeBooting()
}

func (d *draft) openBooting() {
	for _, i := range d.booting {
		d.cluster.Open(i)
	}
}

func (d *draft) closeBooting() {
	for _, i := range d.booting {
		d.cluster.Close(i)
	}
}

// place puts as many tasks of a demand as there is room for.
func (d *draft) place(w *demand, soon bool) {
	if d.snap.TaskGroups[w.group].Unsized {
		return
	}
	d.cluster.PlaceEach(d.tasks[w.group], w.left(), nil, func(node int) { w.note(node, soon) })
}

func (w *demand) note(node int, soon bool) {
	if soon {
		w.fitSoon++
	} else {
		w.fitNow++
	}
	at, ok := w.putAt(node)
	if ok {
		w.put[at].count++
		return
	}
	w.put = append(w.put, put{node: node, count: 1, soon: soon})
}

// putAt finds a node among those that tasks were put on. There is a map of them once they
// are many.
func (w *demand) putAt(node int) (at int, ok bool) {
	const few = 16
	if len(w.put) <= few {
		at = slices.IndexFunc(w.put, func(p put) bool { return p.node == node })
		return at, at >= 0
	}
	if w.putOn == nil {
		w.putOn = map[int]int{}
	}
	for at := len(w.putOn); at < len(w.put); at++ { // nodes are put on at the end, and once
		w.putOn[w.put[at].node] = at
	}
	at, ok = w.putOn[node]
	return at, ok
}

// takeBack undoes what place did.
func (d *draft) takeBack(w *demand) {
	for _, p := range w.put {
		d.cluster.Take(p.node, d.tasks[w.group], p.count)
	}
	w.put, w.putOn, w.fitNow, w.fitSoon = nil, nil, 0, 0
}

// subject is what the reasons of a task group are filed under.
func (d *draft) subject(group int) string {
	return subjectOf(d.snap.TaskGroups[group].Group)
}

// subjectOf turns "service:web" into "service/web" and anything else into "task/…".
func subjectOf(group string) string {
	if name, ok := strings.CutPrefix(group, "service:"); ok {
		return "service/" + name
	}
	return "task/" + group
}

func (d *draft) nameOf(group int) string { return d.tasks[group].Name }
