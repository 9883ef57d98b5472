package plan

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/place"
)

// Stage is how near an instance is to its end.
type Stage string

// The stages of an instance.
const (
	StageComing  Stage = "coming"  // launched, not registered yet
	StageStays   Stage = "stays"   // a rule keeps it, or a task that fits nowhere else
	StageWaits   Stage = "waits"   // nothing on it needs it; it goes when its time has come
	StageLeaving Stage = "leaving" // this plan removes it, or it is being removed
)

// Stay is why an instance is still here. It is read by people and by programs.
type Stay struct {
	Instance    fleet.InstanceID     `json:"instance"`
	Type        fleet.TypeName       `json:"type"`
	Zone        fleet.Zone           `json:"zone"`
	Lifecycle   fleet.Lifecycle      `json:"lifecycle"`
	LaunchSpec  fleet.LaunchSpecName `json:"launchSpec,omitempty"`
	Price       fleet.Price          `json:"price"`       // 0 if it is not known
	Utilization float64              `json:"utilization"` // of its scarcer resource, 0 to 1
	Stage       Stage                `json:"stage"`

	// Reason is the first rule that the planner found to hold for it. Where that is a task that
	// fits nowhere else, Considered tells what rules the other instances out, if the instance
	// was asked about by its ID. It is about the instance alone where it could not go even if
	// all others stayed.
	Reason fleet.Reason `json:"reason"`
	Since  time.Time    `json:"since,omitzero"` // of what is under way, or since when it could go
	Next   string       `json:"next,omitempty"` // what happens next, or what would end the rule

	// Otherwise is what would keep it if the rule fell, nil if it could go then.
	Otherwise *fleet.Reason `json:"otherwise,omitempty"`
	// Before are instances that go first. By itself it could go; their tasks take that room, or
	// are to move to this instance.
	Before []fleet.InstanceID `json:"before,omitempty"`

	// Saving is the most that the rule costs per hour: the price of the instance where all that
	// is on it has room elsewhere, else what the price exceeds the worth of its tasks by, which
	// is what packing them anew could save.
	Saving      fleet.Price  `json:"saving"`
	Replacement *Replacement `json:"replacement,omitempty"` // nil if no cheaper one is conceivable
}

// Replacement is what cheaper instances in the place of one could save, and why they are
// not launched.
type Replacement struct {
	Saving fleet.Price `json:"saving"` // per hour, at most
	Why    string      `json:"why"`
}

// hoursPerMonth is the month that AWS counts with in its price lists.
const hoursPerMonth = 730

// PerMonth is what so much per hour is in a month of 730 hours, in dollars.
func PerMonth(p fleet.Price) float64 { return p.USD() * hoursPerMonth }

// WhyStay tells why instances are still here: of those with these IDs in this order, or of
// all of them in the order of the snapshot. IDs that the snapshot does not know are left
// out. It decides as [Make] does, on the same input and by the same code, and takes down
// the first rule that keeps each instance; where removal is switched off or paused it tells
// of the rule behind that, too. It is pure as Make is.
//
// Complexity, n instances, k of them named: that of Make, and O(n) for each instance with a
// task that fits nowhere else, to find the one where least is lacking; O(k·n) with words for
// what rules out the others.
func WhyStay(snap fleet.Snapshot, pol fleet.Policy, mem fleet.Memory, ids ...fleet.InstanceID) []Stay {
	d := newDraft(snap, pol, mem)
	stays := d.tell(ids)
	if d.noRemove == nil || d.noRemove.Code != fleet.ReasonDisabled && d.noRemove.Code != fleet.ReasonPaused {
		return stays
	}
	on := true
	pol.ScaleDown.Enabled, mem.Pause = &on, fleet.Pause{}
	for x, behind := range newDraft(snap, pol, mem).tell(ids) {
		s := &stays[x]
		if s.Reason.Code != d.noRemove.Code {
			continue
		}
		s.Saving, s.Replacement, s.Before = behind.Saving, behind.Replacement, behind.Before
		if behind.Stage == StageStays {
			s.Otherwise = &behind.Reason
		}
	}
	return stays
}

// tell makes every decision and tells of instances what came of it.
func (d *draft) tell(ids []fleet.InstanceID) []Stay {
	at := make(map[fleet.InstanceID]int, len(d.snap.Instances))
	for i := range d.snap.Instances {
		at[d.snap.Instances[i].ID] = i
	}
	d.asked, d.stuck = make([]bool, len(d.snap.Instances)), map[int]*place.Task{}
	var list []int
	for _, id := range ids {
		if i, ok := at[id]; ok {
			d.asked[i] = true
			list = append(list, i)
		}
	}
	if len(ids) == 0 {
		list = upTo(len(d.snap.Instances))
	}
	d.decide()
	t := teller{draft: d, reasons: map[int]fleet.Reason{}, actions: map[fleet.InstanceID]*fleet.Action{}, losses: map[int]drain{}}
	for _, r := range d.out.Reasons {
		id, _ := strings.CutPrefix(r.Subject, "instance/")
		if i, ok := at[fleet.InstanceID(id)]; ok && r.Code != fleet.ReasonDrifted {
			t.reasons[i] = r // the last word is that of the removal
		}
	}
	for x := range d.out.Actions {
		if id, ok := d.out.Actions[x].Target(); ok {
			t.actions[id] = &d.out.Actions[x]
		}
	}
	if d.bonds == nil { // nothing was to be removed
		d.findBonds()
	}
	for _, c := range d.losses(d.looked) {
		t.losses[c.instance] = c
	}
	d.cluster.Order(d.fullestFirst())
	stays := make([]Stay, 0, len(list))
	for _, i := range list {
		stays = append(stays, t.stay(i))
	}
	return stays
}

func upTo(n int) []int {
	list := make([]int, n)
	for i := range list {
		list[i] = i
	}
	return list
}

// others tells clause by clause what rules the other instances out for a task of one that is
// asked about, each with the number of instances and the one where least is lacking.
func (d *draft) others(from int, t *place.Task) []fleet.Ruling {
	if d.asked == nil {
		return nil
	}
	d.stuck[from] = t
	if !d.asked[from] {
		return nil
	}
	var all tally
	for i := range d.snap.Instances {
		if i == from || d.states[i] == gone {
			continue
		}
		r, ok := d.cluster.Eligible(i, t)
		if ok {
			continue // it has room for some of them
		}
		by := string(r.Kind) + r.Clause
		if !d.cluster.Takes(i) {
			r.Detail = d.whyClosed(i)
			by = r.Detail
		}
		all.add(by, i, shortfall(t.Needs, d.cluster.Free(i)), r)
	}
	var rulings []fleet.Ruling
	for _, r := range all.commonest() {
		inst := &d.snap.Instances[r.first]
		candidate := fmt.Sprintf("%s %s", inst.ID, inst.Type)
		if r.count > 1 {
			candidate = fmt.Sprintf("%d instances, such as %s", r.count, candidate)
		}
		rulings = append(rulings, fleet.Ruling{Candidate: candidate, Verdict: r.verdict(), Cost: d.market.priceOf(inst)})
	}
	return rulings
}

// whyClosed says why an instance takes no tasks where places are looked for.
func (d *draft) whyClosed(i int) string {
	switch d.states[i] {
	case active:
		return "it is to go first"
	case away:
		return "its agent is not connected"
	case bootingUp, late:
		return "it has not registered yet"
	case leaving:
		return "it is draining"
	case noticed:
		return "it is about to be lost or replaced"
	case gone:
	}
	return "it is gone"
}

// teller tells what a draft decided about instances.
type teller struct {
	*draft
	reasons map[int]fleet.Reason // by instance
	actions map[fleet.InstanceID]*fleet.Action
	losses  map[int]drain // by instance
}

// stay tells of one instance.
func (t *teller) stay(i int) Stay {
	inst := &t.snap.Instances[i]
	s := Stay{
		Instance: inst.ID, Type: inst.Type, Zone: inst.Zone, Lifecycle: inst.Lifecycle, LaunchSpec: inst.LaunchSpec,
		Price: t.market.priceOf(inst), Utilization: utilization(inst), Stage: StageStays,
	}
	reason, told := t.reasons[i]
	switch hand := t.handOf(inst.ID); {
	case t.actions[inst.ID] != nil:
		t.planned(&s, t.actions[inst.ID])
	case hand != nil:
		t.inHand(&s, hand)
	case t.states[i] == leaving || t.states[i] == gone || t.states[i] == bootingUp || t.states[i] == late:
		t.passing(&s, i)
	case t.acted[inst.ID]:
		s.Stage, s.Saving = StageWaits, s.Price
		s.Reason = fleet.Because(fleet.ReasonBudget, instanceSubject(inst), "limit", fmt.Sprintf("%d actions in a plan", mostActions), "allowed", mostActions, "wanted", "more")
	case told && (reason.Code == fleet.ReasonRollTurn || reason.Code == fleet.ReasonRollBlocked):
		s.Reason = reason
	case t.noRemove != nil:
		s.Reason = *t.noRemove
		s.Reason.Subject = instanceSubject(inst)
		s.Next = nextOf(&s.Reason)
	case told:
		s.Reason = reason
		t.kept(&s, i)
	default: // it is idle, and waits for a replacement in which its tasks move as well
		s.Stage, s.Saving = StageWaits, s.Price
		s.Reason = fleet.Because(fleet.ReasonReplacing, instanceSubject(inst), "instances", len(t.replacing.Instances))
	}
	return s
}

// handOf is the action of an earlier plan that has an instance in hand.
func (t *teller) handOf(id fleet.InstanceID) *fleet.Open {
	for x := range t.mem.Open {
		o := &t.mem.Open[x]
		if target, ok := o.Action.Target(); ok && target == id && !t.closed(o.Action.ID) {
			return o
		}
	}
	return nil
}

// planned tells of an instance that this plan acts on.
func (t *teller) planned(s *Stay, a *fleet.Action) {
	s.Reason = a.Reason
	switch a.Kind {
	case fleet.ActionRestore:
		s.Next = "this plan undoes its drain"
		return
	case fleet.ActionDrain:
		s.Next = "this plan drains it; " + endOf(a.Drain, t.now)
	default:
		s.Next = "this plan terminates it"
	}
	s.Stage, s.Saving = StageLeaving, s.Price
	if t.out.DryRun {
		s.Next = "nothing: the policy is a dry run; else " + s.Next
	}
}

// inHand tells of an instance that an earlier plan acts on.
func (t *teller) inHand(s *Stay, o *fleet.Open) {
	what := "is being drained"
	s.Next = "it is terminated when the drainer has made sure that it is of no use"
	switch o.Action.Kind {
	case fleet.ActionRestore:
		what, s.Next = "is being restored", "it takes tasks again"
	case fleet.ActionDrain:
		s.Next = endOf(o.Action.Drain, o.PlannedAt)
	default:
		what = "is being terminated"
	}
	if s.Stage = StageLeaving; o.Action.Restore != nil {
		s.Stage = StageStays
	} else {
		s.Saving = s.Price
	}
	s.Since = o.PlannedAt
	s.Reason = fleet.Because(fleet.ReasonUnderWay, "instance/"+string(s.Instance), "what", what+" for "+ago(t.now.Sub(o.PlannedAt)), "why", o.Action.Reason.String())
}

// endOf says how a drain ends.
func endOf(a *fleet.Drain, begun time.Time) string {
	text := "it is terminated when its tasks have left"
	if a.Timeout == 0 {
		return text
	}
	last := begun.Add(time.Duration(a.Timeout)).UTC().Format(time.RFC3339)
	if a.OnTimeout == fleet.TimeoutRestore {
		return text + "; if they have not by about " + last + ", it is set active again"
	}
	return text + "; those left at about " + last + " are stopped"
}

// passing tells of an instance that comes or goes and that no action has in hand.
func (t *teller) passing(s *Stay, i int) {
	inst := &t.snap.Instances[i]
	subject := instanceSubject(inst)
	switch t.states[i] {
	case bootingUp, late:
		s.Stage, s.Since = StageComing, inst.LaunchedAt
		s.Reason = fleet.Because(fleet.ReasonStarting, subject, "age", ago(t.now.Sub(inst.LaunchedAt)), "timeout", ago(t.bootTimeout(inst)))
		s.Next = "it takes tasks when it has registered; else it is terminated"
		if inst.Owner == "" {
			s.Next = "it takes tasks when it has registered; Neap did not launch it and leaves it alone"
		}
	case leaving:
		s.Stage, s.Saving = StageLeaving, s.Price
		if r, told := t.reasons[i]; told {
			s.Reason = r
			return
		}
		s.Reason = fleet.Because(fleet.ReasonUnderWay, subject, "what", "is "+string(inst.Status), "why", "no open action of Neap has it in hand")
		s.Next = "whoever drains it decides; ECS places nothing on it"
	default:
		s.Stage = StageLeaving
		s.Reason = fleet.Because(fleet.ReasonUnderWay, subject, "what", "is gone", "why", "EC2 shows terminated instances for a while")
	}
}

// kept tells of an instance that the removal left where it is, for a reason.
func (t *teller) kept(s *Stay, i int) {
	inst := &t.snap.Instances[i]
	s.Next = nextOf(&s.Reason)
	switch s.Reason.Code {
	case fleet.ReasonUnstable, fleet.ReasonCooldown, fleet.ReasonBudget, fleet.ReasonHours, fleet.ReasonFailing, fleet.ReasonUnsettled:
		s.Stage, s.Saving, s.Since = StageWaits, s.Price, t.since(inst.ID)
		if s.Reason.Code == fleet.ReasonUnstable {
			s.Next = "it may go from " + s.Since.Add(time.Duration(t.pol.ScaleDown.StableFor)).UTC().Format(time.RFC3339)
		}
		return
	case fleet.ReasonUnfit, fleet.ReasonKeepHeadroom:
		t.unfit(s, i)
	default:
		if why, ok := t.goesAlone(i); ok {
			s.Saving = s.Price
		} else if why.Code != s.Reason.Code {
			s.Otherwise = &why
		}
	}
	if s.Reason.Code == fleet.ReasonYoung {
		s.Next = "that is over at " + inst.LaunchedAt.Add(time.Duration(t.pol.ScaleDown.MinLifetime)).UTC().Format(time.RFC3339)
	}
	t.replacement(s, i)
}

// unfit says what it costs that something fits nowhere else: the price of the instance if it
// is for the strategies of ECS, the headroom, or a rule that keeps a task from room that is
// there; else the waste that is left on it.
func (t *teller) unfit(s *Stay, i int) {
	s.Since = t.since(s.Instance)
	if !s.Since.IsZero() || s.Reason.Code == fleet.ReasonKeepHeadroom { // it failed in the rehearsal
		s.Saving = s.Price
	}
	if !s.Since.IsZero() {
		return
	}
	why, ok := t.goesAlone(i)
	if ok {
		s.Before = t.before(i)
		return
	}
	s.Reason = why // what holds whatever goes before it is the one to know
	if task := t.stuck[i]; task != nil && t.hasRoom(task, i) {
		s.Saving = s.Price
	}
	s.Saving = max(s.Saving, t.losses[i].loss)
}

// before are the instances that were found idle before one was looked at.
func (t *teller) before(i int) []fleet.InstanceID {
	var list []fleet.InstanceID
	for _, c := range t.looked {
		if c.instance == i {
			break
		}
		if id := t.snap.Instances[c.instance].ID; !t.since(id).IsZero() {
			list = append(list, id)
		}
	}
	return list
}

// hasRoom reports whether an instance other than one has as much free as a task needs.
func (t *teller) hasRoom(task *place.Task, except int) bool {
	for i := range t.snap.Instances {
		if i != except && t.cluster.Takes(i) && task.Needs.Fits(t.cluster.Free(i)) {
			return true
		}
	}
	return false
}

// goesAlone reports whether what is on an instance fits on the others if none of them goes,
// else what does not.
func (t *teller) goesAlone(i int) (fleet.Reason, bool) {
	m := t.cluster.Mark()
	defer t.cluster.Rollback(m)
	return t.empty(&drain{instance: i})
}

// since is since when an instance could go.
func (t *teller) since(id fleet.InstanceID) time.Time {
	if x := slices.IndexFunc(t.out.Idle, func(idle fleet.Idle) bool { return idle.Instance == id }); x >= 0 {
		return t.out.Idle[x].Since
	}
	return time.Time{}
}

// replacement tells what cheaper instances could save, and why they are not launched.
func (t *teller) replacement(s *Stay, i int) {
	c, ok := t.losses[i]
	if !ok || c.loss <= 0 || c.loss >= c.price { // what is empty is removed, not replaced
		return
	}
	_, underWay := slices.BinarySearch(t.replacing.Instances, s.Instance)
	switch {
	case underWay:
		s.Replacement = &Replacement{c.loss, "its replacement is on its way"}
	case c.loss < t.threshold(c.price) && *t.pol.ScaleDown.Replace:
		s.Replacement = &Replacement{c.loss, fmt.Sprintf("the policy wants to save %d %% at least (scaleDown.replaceSavings)", t.pol.ScaleDown.ReplaceSavings)}
	case t.noSwap != "":
		s.Replacement = &Replacement{c.loss, t.noSwap}
	default:
		s.Replacement = &Replacement{c.loss, "others are replaced first"}
	}
}

// nextOf says what would end a rule that keeps an instance, "" if the reason says it.
func nextOf(r *fleet.Reason) string {
	switch r.Code {
	case fleet.ReasonPaused:
		return "neap resume ends the pause"
	case fleet.ReasonDisabled:
		return "scaleDown.enabled: true in the policy switches it on"
	case fleet.ReasonUpheaval:
		return "neap pause and neap resume tell Neap that a person has looked"
	case fleet.ReasonStale, fleet.ReasonIncomplete:
		return "Neap decides again on the next complete view"
	case fleet.ReasonNotOurs:
		return "Neap removes only what it launched"
	case fleet.ReasonProtected:
		if r.Fact("what") == "the instance" {
			return "neap unprotect, or the end of the protection in EC2, lets it go"
		}
		return "the task ends its protection, or it expires"
	case fleet.ReasonBudget:
		return "it goes with a later plan, when those before it are gone"
	case fleet.ReasonCooldown, fleet.ReasonFailing, fleet.ReasonUnsettled:
		return "Neap decides again with every view of the cluster"
	case fleet.ReasonAwaited:
		return "ECS places them when it tries again, within minutes"
	default:
		return ""
	}
}
