package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/neap-project/neap/libs/adapters/bus"
	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/outcome"
	"github.com/neap-project/neap/libs/fleet/plan"
)

// explainCmd groups the questions that Neap answers from its own reasons.
type explainCmd struct {
	Service explainServiceCmd `cmd:"" help:"Why tasks of a service wait, where they cannot go, and what is launched for them."`
	Launch  explainLaunchCmd  `cmd:"" help:"What a launch is for, which offerings were considered, why the chosen one, and what came of it."`

	Instance explainInstanceCmd `cmd:"" help:"Why instances are still here: the task that fits nowhere else, the rule or the budget that keeps them, and what that costs a month."`
}

// evidenceFlags say what an explanation is read from.
type evidenceFlags struct {
	natsFlags
	Cluster  fleet.ClusterName `help:"ECS cluster; needed where the installation serves several." placeholder:"NAME"`
	Snapshot string            `help:"Read no installation: decide again on this snapshot, as neap plan --save writes it." placeholder:"FILE"`
	Policy   string            `help:"With --snapshot: the policy file; without one a policy is derived from what runs." placeholder:"FILE" type:"existingfile" short:"p"`
	Output   string            `help:"How to print: text or json." enum:"text,json" default:"text" short:"o"`
}

// evidence is what an explanation is made of: what is seen, and what is decided on it.
type evidence struct {
	snap     fleet.Snapshot
	policy   fleet.Policy
	plan     fleet.Plan   // made on the snapshot
	mem      fleet.Memory // what it was made with
	source   string       // of the policy
	launches []pastLaunch // the oldest first, those of the plan last
	outcomes []fleet.Outcome
}

// pastLaunch is a launch of some plan.
type pastLaunch struct {
	action  fleet.Action
	madeAt  time.Time
	decided bool // it stands in the chain of plans; else it is what would be decided now
}

// gather reads the evidence from where the flags say.
func (f *evidenceFlags) gather(ctx context.Context, c console) (*evidence, error) {
	if f.Snapshot != "" {
		return f.fromFile(ctx, c)
	}
	if f.Policy != "" {
		return nil, fmt.Errorf("%w: --policy %s: it goes with --snapshot; the policy of an installation is the one in force", fleet.ErrInvalid, f.Policy)
	}
	var e *evidence
	err := f.with(ctx, func(ctx context.Context, b *bus.Bus) (err error) {
		e, err = f.fromBus(ctx, b)
		return err
	})
	return e, err
}

// fromFile decides as neap plan --snapshot does.
func (f *evidenceFlags) fromFile(ctx context.Context, c console) (*evidence, error) {
	p := planCmd{Snapshot: f.Snapshot, Policy: f.Policy}
	pol, err := p.readPolicy(c)
	if err != nil {
		return nil, err
	}
	e := &evidence{source: f.Policy}
	if e.snap, err = p.read(ctx, c, pol); err != nil {
		return nil, err
	}
	if pol == nil {
		derived := plan.DerivePolicy(e.snap)
		pol, e.source = &derived, "derived from what runs"
	}
	if err := pol.Validate(); err != nil {
		return nil, fmt.Errorf("the policy derived from what runs lacks something; give one with --policy: %w", err)
	}
	e.snap, _ = p.suppose(e.snap, pol)
	e.decide(pol, longWatched(&e.snap))
	return e, nil
}

// decide makes the plan again. It is pure: what was decided on the same evidence is what
// comes of it.
func (e *evidence) decide(pol *fleet.Policy, mem fleet.Memory) {
	e.policy, e.mem = *pol, mem
	e.plan = plan.Make(e.snap, *pol, mem)
	e.snap.Canonical() // the order in which indices of the plan are to be read
	for _, a := range e.plan.Actions {
		if a.Launch != nil {
			e.launches = append(e.launches, pastLaunch{action: a, madeAt: e.plan.MadeAt})
		}
	}
}

// fromBus reads the newest snapshot, the policy in force and the history of a cluster.
func (f *evidenceFlags) fromBus(ctx context.Context, b *bus.Bus) (*evidence, error) {
	cluster, err := f.which(ctx, b)
	if err != nil {
		return nil, err
	}
	pol, revision, err := b.Control().Policy(ctx, cluster)
	if errors.Is(err, fleet.ErrNotFound) {
		return nil, fmt.Errorf("cluster %s has no policy; apply one with: neap policy apply --cluster %s FILE: %w", cluster, cluster, err)
	}
	if err != nil {
		return nil, err
	}
	e := &evidence{source: fmt.Sprintf("in force, revision %d", revision)}
	if e.snap, _, err = b.LatestSnapshot(ctx, cluster); err != nil {
		return nil, err
	}
	mem, err := e.remember(ctx, b, cluster)
	if err != nil {
		return nil, err
	}
	if mem.Pause, err = b.Control().Paused(ctx, cluster); err != nil {
		return nil, err
	}
	if mem.Roll, err = b.Control().Roll(ctx, cluster); err != nil {
		return nil, err
	}
	mem.Generation = b.Generation()
	e.decide(&pol, mem)
	return e, nil
}

// which is the cluster that is asked about.
func (f *evidenceFlags) which(ctx context.Context, b *bus.Bus) (fleet.ClusterName, error) {
	return clusterOr(ctx, b, f.Cluster)
}

// clusterOr returns the cluster that was named, and else the only one there is.
func clusterOr(ctx context.Context, b *bus.Bus, named fleet.ClusterName) (fleet.ClusterName, error) {
	if named != "" {
		return named, named.Validate()
	}
	clusters, err := b.Control().Clusters(ctx)
	switch {
	case err != nil:
		return "", err
	case len(clusters) == 0:
		return "", fmt.Errorf("%w: no cluster has a policy; apply one with: neap policy apply --cluster NAME FILE", fleet.ErrNotFound)
	case len(clusters) > 1:
		return "", fmt.Errorf("%w: --cluster: not given, and the installation serves %d; say which (%s)", fleet.ErrInvalid, len(clusters), some(clusters))
	}
	return clusters[0], nil
}

// clockSkew is by how much the servers that store plans and outcomes may disagree: a plan
// goes before what came of it.
const clockSkew = 5 * time.Second

// remember folds the history of a cluster into what a planner knows, and keeps the
// launches and outcomes for the telling.
func (e *evidence) remember(ctx context.Context, b *bus.Bus, cluster fleet.ClusterName) (fleet.Memory, error) {
	var plans []bus.Stored[fleet.Plan]
	for p, err := range b.Plans(ctx, cluster, 0) {
		switch {
		case errors.Is(err, bus.ErrForeign):
			continue
		case err != nil:
			return fleet.Memory{}, fmt.Errorf("plan %d of %s: %w", p.Seq, cluster, err)
		}
		for _, a := range p.Value.Actions {
			if a.Launch != nil {
				e.launches = append(e.launches, pastLaunch{action: a, madeAt: p.Value.MadeAt, decided: true})
			}
		}
		plans = append(plans, p)
	}
	var mem fleet.Memory
	for o, err := range b.Outcomes(ctx, cluster, 0) {
		switch {
		case err != nil && o.Seq == 0:
			return mem, fmt.Errorf("outcomes of %s: %w", cluster, err)
		case err != nil:
			continue // one that cannot be read teaches nothing
		}
		for len(plans) > 0 && !plans[0].At.After(o.At.Add(clockSkew)) {
			mem = outcome.Remember(mem, &plans[0].Value)
			plans = plans[1:]
		}
		mem = outcome.Fold(mem, &o.Value)
		e.outcomes = append(e.outcomes, o.Value)
	}
	for i := range plans {
		mem = outcome.Remember(mem, &plans[i].Value)
	}
	return mem, nil
}

// open reports whether a launch is under way: decided and not over.
func (e *evidence) open(id fleet.ActionID) bool {
	return slices.ContainsFunc(e.mem.Open, func(o fleet.Open) bool { return o.Action.ID == id }) &&
		!slices.ContainsFunc(e.plan.Closures, func(c fleet.Closure) bool { return c.Action == id })
}

// state puts into words how far a launch got.
func (e *evidence) state(l *pastLaunch) string {
	switch {
	case !l.decided && e.plan.DryRun:
		return "would be launched now (dry run)"
	case !l.decided:
		return "decided on the newest snapshot"
	case e.open(l.action.ID):
		return "under way"
	}
	return "over"
}

// launchWords is a launch with its reasons, as they are printed.
type launchWords struct {
	ID       fleet.ActionID   `json:"id"`
	State    string           `json:"state"`
	MadeAt   time.Time        `json:"madeAt"`
	Count    int              `json:"count"`
	Offering fleet.Offering   `json:"offering"`
	Or       []fleet.Offering `json:"or,omitempty"` // that EC2 may pick instead
	Because  string           `json:"because"`
	Reason   fleet.Reason     `json:"reason"`
	Each     []fleet.Carried  `json:"eachHolds"`
	Price    fleet.Price      `json:"pricePerInstance"`
	Left     fleet.Resources  `json:"leftPerInstance"`
	Waste    string           `json:"waste"`
	Packing  fleet.Packing    `json:"packing,omitzero"`
	Gap      float64          `json:"gap"`
}

func (e *evidence) words(l *pastLaunch) launchWords {
	a := l.action.Launch
	w := launchWords{
		ID: l.action.ID, State: e.state(l), MadeAt: l.madeAt, Count: a.Count, Offering: a.Offerings[0], Or: a.Offerings[1:],
		Because: l.action.Reason.String(), Reason: l.action.Reason, Each: a.For, Price: a.Offerings[0].Price, Left: a.Left, Packing: a.Packing,
	}
	if room := a.Offerings[0].Capacity; !a.Left.IsZero() || !a.Packing.IsZero() {
		w.Waste = fmt.Sprintf("%s of its CPU and %s of its memory stay free", percent(a.Left.CPUUnits, room.CPUUnits), percent(a.Left.MemoryMiB, room.MemoryMiB))
	}
	if a.Packing.Bound > 0 {
		w.Gap = a.Packing.Cost.USD()/a.Packing.Bound.USD() - 1
	}
	return w
}

// print prints a launch for people.
func (w *launchWords) print(b *bytes.Buffer) {
	o := &w.Offering
	fmt.Fprintf(b, "  launch %s, %s\n", w.ID.Short(), w.State)
	fmt.Fprintf(b, "    %d × %s, launch spec %s, %s each\n", w.Count, o.Key(), o.LaunchSpec, dollars(w.Price))
	if text := orElse(w.Or); text != "" {
		fmt.Fprintf(b, "    or, as EC2 has capacity: %s\n", text)
	}
	fmt.Fprintf(b, "    because %s\n", w.Because)
	fmt.Fprintf(b, "    each holds %s\n", carried(w.Each))
	if w.Waste != "" {
		fmt.Fprintf(b, "    waste: %s (%s)\n", w.Waste, w.Left)
	}
	if p := w.Packing; p.Bound > 0 {
		fmt.Fprintf(b, "    bound: packed together for %s before spot shares; no choice of instances costs less than %s; gap %s\n",
			dollars(p.Cost), dollars(p.Bound), gapWords(w.Gap))
	}
	rulings(b, "    ", "OFFERINGS CONSIDERED", w.Reason.Considered)
}

// rulings prints candidates and what became of them.
func rulings(b *bytes.Buffer, indent, title string, list []fleet.Ruling) {
	if len(list) == 0 {
		return
	}
	var rows bytes.Buffer
	t := newTable(&rows, title, "PRICE", "VERDICT")
	for _, r := range list {
		price := ""
		if r.Cost != 0 {
			price = dollars(r.Cost)
		}
		t.row(r.Candidate, price, r.Verdict)
	}
	t.end()
	for line := range strings.Lines(rows.String()) {
		fmt.Fprintf(b, "%s%s\n", indent[:max(len(indent)-2, 0)], strings.TrimRight(line, " \n"))
	}
}

// orElse names the offerings that EC2 may pick, by type and zone.
func orElse(list []fleet.Offering) string {
	const most = 6
	var names []string
	for i := range list {
		names = append(names, fmt.Sprintf("%s %s", list[i].Type, list[i].Zone))
	}
	if more := len(names) - most; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), more)
	}
	return strings.Join(names, ", ")
}

type explainLaunchCmd struct {
	ID string `arg:"" help:"Action ID of the launch or how it begins, as neap status and the logs show it, or the ID of an instance that it gave; \"last\" is the newest." placeholder:"ID"`
	evidenceFlags
}

// Help shows examples.
func (*explainLaunchCmd) Help() string {
	return "Examples:\n  neap explain launch last --cluster web\n  neap explain launch i-0123456789abcdef0\n  neap explain launch last --snapshot web.json --policy policy.yaml"
}

// launchExplained is everything the command shows.
type launchExplained struct {
	Cluster  fleet.ClusterName `json:"cluster"`
	Launch   launchWords       `json:"launch"`
	Outcomes []fleet.Outcome   `json:"outcomes"`
}

// Run explains one launch.
func (x *explainLaunchCmd) Run(ctx context.Context, c console) error {
	e, err := x.gather(ctx, c)
	if err != nil {
		return err
	}
	l, err := e.launch(x.ID)
	if err != nil {
		return err
	}
	got := launchExplained{Cluster: e.snap.Cluster, Launch: e.words(l), Outcomes: []fleet.Outcome{}}
	for i := range e.outcomes {
		if e.outcomes[i].Action == l.action.ID {
			got.Outcomes = append(got.Outcomes, e.outcomes[i])
		}
	}
	if x.Output == "json" {
		return writeJSON(c.out, got)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "Cluster %s, planned at %s\n\n", got.Cluster, got.Launch.MadeAt.UTC().Format(time.RFC3339))
	got.Launch.print(&b)
	if len(got.Outcomes) > 0 {
		fmt.Fprint(&b, "\nWHAT CAME OF IT\n")
		t := newTable(&b, "AT", "STEP", "PHASE", "RESULT", "BY")
		for i := range got.Outcomes {
			o := &got.Outcomes[i]
			t.row(o.At.UTC().Format(time.RFC3339), o.Step, string(o.Phase), resultOf(o), o.By)
		}
		t.end()
	}
	writeTrimmed(c.out, &b)
	return nil
}

// resultOf puts the result of a step into words.
func resultOf(o *fleet.Outcome) string {
	var parts []string
	for _, inst := range o.Instances {
		parts = append(parts, fmt.Sprintf("%s %s %s", inst.ID, inst.Type, inst.Zone))
	}
	for _, f := range o.Failures {
		parts = append(parts, fmt.Sprintf("%s: %s", f.Offering, cmp.Or(f.Code, string(f.Class))))
	}
	if o.Class != fleet.FailureNone {
		parts = append(parts, strings.TrimSuffix(fmt.Sprintf("%s: %s", o.Class, o.Message), ": "))
	}
	return cmp.Or(strings.Join(parts, "; "), "–")
}

// launch finds a launch by the beginning of its ID, or by an instance that it gave.
func (e *evidence) launch(id string) (*pastLaunch, error) {
	if len(e.launches) == 0 {
		return nil, fmt.Errorf("%w: cluster %s has no launch, past or planned", fleet.ErrNotFound, e.snap.Cluster)
	}
	if id == "last" {
		return &e.launches[len(e.launches)-1], nil
	}
	action := fleet.ActionID(id)
	if strings.HasPrefix(id, "i-") {
		if action = e.launchOf(fleet.InstanceID(id)); action == "" {
			return nil, fmt.Errorf("%w: no launch of Neap in cluster %s gave instance %s", fleet.ErrNotFound, e.snap.Cluster, id)
		}
	}
	var found []*pastLaunch
	for i := range e.launches {
		l := &e.launches[i]
		if strings.HasPrefix(string(l.action.ID), string(action)) && action != "" &&
			!slices.ContainsFunc(found, func(f *pastLaunch) bool { return f.action.ID == l.action.ID }) {
			found = append(found, l)
		}
	}
	switch len(found) {
	case 0:
		var ids []string
		for i := range e.launches {
			ids = append(ids, e.launches[len(e.launches)-1-i].action.ID.Short())
		}
		return nil, fmt.Errorf("%w: no launch %.64q in cluster %s; there are %s", fleet.ErrNotFound, id, e.snap.Cluster, some(ids))
	case 1:
		return found[0], nil
	}
	return nil, fmt.Errorf("%w: %d launches begin with %.64q; give more of the ID", fleet.ErrInvalid, len(found), id)
}

// launchOf is the action that launched an instance; "" if none of ours did.
func (e *evidence) launchOf(id fleet.InstanceID) fleet.ActionID {
	for i := range e.snap.Instances {
		if e.snap.Instances[i].ID == id && e.snap.Instances[i].Action != "" {
			return e.snap.Instances[i].Action
		}
	}
	for i := range e.outcomes {
		o := &e.outcomes[i]
		if o.Kind == fleet.ActionLaunch && slices.ContainsFunc(o.Instances, func(l fleet.LaunchedInstance) bool { return l.ID == id }) {
			return o.Action
		}
	}
	return ""
}

// some lists the first few of many.
func some[T ~string](list []T) string {
	const most = 10
	var words []string
	for _, one := range list[:min(len(list), most)] {
		words = append(words, string(one))
	}
	if more := len(list) - most; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(words, ", "), more)
	}
	return strings.Join(words, ", ")
}
