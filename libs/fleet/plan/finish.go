package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/place"
)

// applyBudgets bounds what one plan changes, and turns the launches that are left into
// actions: demand before headroom before the minimum.
func (d *draft) applyBudgets() {
	d.holdFlaps()
	burst := d.launchBurst()
	wanted := 0
	for i := range d.fresh {
		wanted += d.fresh[i].count
	}
	slices.SortStableFunc(d.fresh, func(a, b fresh) int { return cmp.Compare(a.later, b.later) })
	allowed, size := burst, 0
	for i := range d.fresh {
		f := &d.fresh[i]
		if cut := f.count - allowed; cut > 0 {
			d.cut(f, cut, fleet.Because(fleet.ReasonBudget, "", "limit", fmt.Sprintf("limits.launchBurst = %d", burst), "allowed", burst, "wanted", wanted))
		}
		allowed -= f.count
		o := &d.market.offers[f.offer]
		if size += launchBytes + len(o.spec.UserData); size > mostBytes {
			d.cut(f, f.count, fleet.Because(fleet.ReasonBudget, "", "limit", "the size of a plan", "allowed", burst-allowed-f.count, "wanted", wanted))
		}
	}
	for i := range d.fresh {
		if d.fresh[i].count > 0 {
			d.launchAction(&d.fresh[i])
		}
	}
	d.capActions()
}

// launchBurst is how many instances one plan may launch.
func (d *draft) launchBurst() int {
	if n := d.pol.Limits.LaunchBurst; n > 0 {
		return n
	}
	const floor, share = 10, 10 // instances, and a tenth of the cluster
	return max(floor, (len(d.states)-count(d.states, gone))/share)
}

// A plan is one message of at most a megabyte, and each launch carries its launch spec.
const (
	launchBytes = 8 << 10   // a launch with twenty offerings, user data apart
	mostBytes   = 500 << 10 // for launches; reasons take most of the rest
)

// cut takes back some of the instances to launch, and says why.
func (d *draft) cut(f *fresh, count int, why fleet.Reason) {
	f.count -= count
	for _, l := range f.loads {
		if n := l.count * count; n > 0 {
			l.wish.credit(-n)
			d.refuse([]*wish{l.wish}, why)
		}
	}
}

// launchAction adds the action that launches some instances.
func (d *draft) launchAction(f *fresh) {
	o := &d.market.offers[f.offer]
	l := fleet.Launch{Spec: *o.spec, Lifecycle: o.Lifecycle, Count: f.count, Boot: bootTimeoutOf(d.pol, o.spec), Replaces: f.later == forSaving}
	l.Offerings = append(l.Offerings, o.Offering)
	for _, alternative := range f.alternatives {
		l.Offerings = append(l.Offerings, d.market.offers[alternative].Offering)
	}
	headroom := 0
	l.Together = len(f.together) > 0
	for _, x := range slices.Concat(f.loads, sumLoads(f.together)) {
		switch {
		case x.wish.unit != nil:
			headroom += x.count
		case x.wish.group != fleet.NoIndex:
			l.For = append(l.For, fleet.Carried{What: d.nameOf(x.wish.group), Count: x.count})
		}
	}
	for _, g := range o.daemons {
		l.For = append(l.For, fleet.Carried{What: "daemon " + d.nameOf(g), Count: 1})
	}
	if headroom > 0 {
		l.For = append(l.For, fleet.Carried{What: "headroom", Count: headroom})
	}
	l.Left, l.Packing = d.leftBy(f), f.packing
	d.act(fleet.Action{Kind: fleet.ActionLaunch, Reason: d.launchReason(f), Launch: &l})
}

// sumLoads adds up the loads that are of the same thing.
func sumLoads(list []load) []load {
	var sums []load
	at := map[*place.Task]int{}
	for _, l := range list {
		i, ok := at[l.wish.task]
		if !ok {
			i = len(sums)
			at[l.wish.task] = i
			sums = append(sums, load{wish: l.wish})
		}
		sums[i].count += l.count
	}
	return sums
}

// capActions keeps a plan small enough for a message; what is cut comes with the next.
// What keeps tasks alive goes first.
func (d *draft) capActions() {
	rank := func(a *fleet.Action) int {
		switch {
		case a.Drain != nil && a.Drain.Involuntary:
			return 0
		case a.Kind == fleet.ActionRestore:
			return 1
		case a.Kind == fleet.ActionLaunch:
			return 2
		default:
			return 3
		}
	}
	slices.SortStableFunc(d.out.Actions, func(a, b fleet.Action) int { return cmp.Compare(rank(&a), rank(&b)) })
	if n := len(d.out.Actions); n > mostActions {
		d.because(fleet.ReasonBudget, "cluster", "limit", fmt.Sprintf("%d actions in a plan", mostActions), "allowed", mostActions, "wanted", n)
		d.out.Actions = d.out.Actions[:mostActions]
	}
}

// finish fills in what people and metrics ask about, and seals the plan.
func (d *draft) finish() fleet.Plan {
	for _, w := range d.demand {
		d.out.Demand = append(d.out.Demand, d.answer(w))
	}
	d.noteServices()
	d.out.Replacing, d.out.Rolling = d.replacing, d.rolling
	slices.SortFunc(d.out.Demand, func(a, b fleet.UnmetDemand) int {
		return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.Deployment, b.Deployment), cmp.Compare(a.Count, b.Count))
	})
	d.fileReasons()
	d.summarise()
	var err error
	fill := func(digest string, e error) string {
		if e != nil && err == nil {
			err = e
		}
		return digest
	}
	d.out.Snapshot = fill(d.snap.Digest())
	d.out.Policy = fill(d.policyDigest())
	d.out.Memory = fill(d.mem.Digest())
	if e := d.out.Seal(); err == nil {
		err = e
	}
	if err != nil {
		panic("plan: " + err.Error()) // plain data always encodes
	}
	return d.out
}

// answer says what became of a demand.
func (d *draft) answer(w *demand) fleet.UnmetDemand {
	u := fleet.UnmetDemand{
		Group: d.snap.TaskGroups[w.group].Group, Deployment: w.deployment, Count: w.count, Since: w.since, Desired: w.desired, Armed: w.armed,
		FitNow: w.fitNow + w.fitSoon, Launched: w.launched, Unplaced: w.left(), Reason: w.reason,
	}
	if d.heldBack(w) {
		u.Armed = d.now
	}
	subject := d.subject(w.group)
	switch {
	case w.left() > 0:
		if u.Reason.Code == "" {
			panic("plan: no reason why " + d.nameOf(w.group) + " is not placed")
		}
	case w.launched > 0:
		u.Reason = fleet.Because(fleet.ReasonDemand, subject, "tasks", w.launched, "for", d.nameOf(w.group))
	case w.fitSoon > 0:
		u.Reason = fleet.Because(fleet.ReasonBooting, subject, "count", w.fitSoon)
	case d.refused(w.group):
		u.Reason = fleet.Because(fleet.ReasonAskAgain, subject, "count", w.fitNow)
	default:
		u.Reason = fleet.Because(fleet.ReasonFitsNow, subject, "count", w.fitNow)
	}
	return u
}

// refused reports whether tasks of a group are wanted because ECS refused to start them.
func (d *draft) refused(group int) bool {
	return slices.ContainsFunc(d.snap.Waiting, func(w fleet.Waiting) bool { return w.Group == group && w.Refused })
}

// fileReasons sorts the reasons by subject, so that one can be found, and bounds them: in
// a very large cluster those about the fullest instances are left out, which are the
// least likely to be asked about.
func (d *draft) fileReasons() {
	for _, w := range d.moves {
		if w.left() > 0 && w.reason.Code != "" {
			d.note(w.reason)
		}
	}
	if n := len(d.out.Reasons) + d.untold; n > mostReasons {
		d.out.Reasons = d.out.Reasons[:mostReasons]
		d.out.Reasons = append(d.out.Reasons, fleet.Because(fleet.ReasonBudget, "cluster", "limit", fmt.Sprintf("%d reasons in a plan", mostReasons), "allowed", mostReasons, "wanted", n))
	}
	d.out.Reasons = sortReasons(d.out.Reasons)
	d.out.Reasons = slices.CompactFunc(d.out.Reasons, func(a, b fleet.Reason) bool {
		return a.Subject == b.Subject && a.Code == b.Code && a.String() == b.String()
	})
}

// sortReasons sorts by subject and code, and keeps the order of equals. Reasons are large:
// their places are sorted, and each is moved once.
func sortReasons(reasons []fleet.Reason) []fleet.Reason {
	if len(reasons) == 0 {
		return nil // and not a list without any, which differs from it on the wire
	}
	order := make([]int, len(reasons))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int {
		a, b := &reasons[i], &reasons[j]
		if c := strings.Compare(a.Subject, b.Subject); c != 0 {
			return c
		}
		return cmp.Or(cmp.Compare(a.Code, b.Code), i-j)
	})
	sorted := make([]fleet.Reason, 0, len(reasons))
	for _, i := range order {
		sorted = append(sorted, reasons[i])
	}
	return sorted
}

func (d *draft) summarise() {
	s := &d.out.Summary
	for i := range d.snap.Instances {
		inst := &d.snap.Instances[i]
		switch d.states[i] {
		case gone:
			continue
		case bootingUp, late:
			s.Launching++
		case leaving:
			s.Draining++
		case active, away, noticed:
		}
		s.Instances++
		s.Cost += d.market.priceOf(inst)
	}
	for _, tc := range d.snap.Tasks {
		s.TasksRunning += tc.Running
	}
	for _, w := range d.demand {
		s.TasksWaiting += w.count
		s.TasksFitNow += w.fitNow + w.fitSoon
		s.TasksUnplaced += w.left()
	}
	for _, u := range d.units {
		s.HeadroomWanted += u.wanted
		s.HeadroomPresent += u.present + u.launched
	}
	s.CostAfter = s.Cost
	for i := range d.out.Actions {
		a := &d.out.Actions[i]
		if a.Launch != nil {
			s.Launching += a.Launch.Count
		}
		s.CostAfter += a.Reason.Cost
	}
	for i := range d.snap.Instances { // those that are leaving already save their price as well
		if d.states[i] == leaving {
			s.CostAfter -= d.market.priceOf(&d.snap.Instances[i])
		}
	}
}

func count(states []state, which state) int {
	n := 0
	for _, s := range states {
		if s == which {
			n++
		}
	}
	return n
}
