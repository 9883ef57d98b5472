package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/plan"
)

type explainInstanceCmd struct {
	IDs []fleet.InstanceID `arg:"" optional:"" name:"id" help:"EC2 instance IDs." placeholder:"ID"`
	All bool               `help:"Every instance of the cluster, a line each."`
	evidenceFlags
}

// Help shows examples.
func (*explainInstanceCmd) Help() string {
	return `Tells the first rule that keeps an instance, as the planner finds it on the newest snapshot: the task
that fits nowhere else and what rules the other instances out for it, the headroom that the instance
carries, who protects it, or the budget, the hours or the cooldown that it waits for; what would keep it
if that rule fell; and what the rule costs a month of 730 hours, at most. Where all that is on an instance
has room elsewhere that is its price, else what packing its tasks anew could save.

Examples:
  neap explain instance i-0123456789abcdef0
  neap explain instance i-0123456789abcdef0 i-0fedcba9876543210 --cluster prod --output json
  neap explain instance --all --cluster prod
  neap explain instance --all --snapshot web.json --policy policy.yaml`
}

// instancesExplained is everything the command shows.
type instancesExplained struct {
	Cluster   fleet.ClusterName   `json:"cluster"`
	At        time.Time           `json:"at"`
	Policy    string              `json:"policy"`
	Instances []instanceExplained `json:"instances"`
}

// instanceExplained is why an instance stays, in words and in dollars.
type instanceExplained struct {
	plan.Stay
	Because             string  `json:"because"`
	SavingPerMonth      float64 `json:"savingPerMonth"` // in dollars
	ReplacementPerMonth float64 `json:"replacementPerMonth,omitempty"`
}

// Run explains instances.
func (x *explainInstanceCmd) Run(ctx context.Context, c console) error {
	if len(x.IDs) > 0 == x.All {
		return fmt.Errorf("%w: ID: say which instances, such as i-0123456789abcdef0, or --all", fleet.ErrInvalid)
	}
	e, err := x.gather(ctx, c)
	if err != nil {
		return err
	}
	got, err := e.instances(x.IDs)
	if err != nil {
		return err
	}
	if x.Output == "json" {
		return writeJSON(c.out, got)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "Cluster %s at %s: %s\nPolicy: %s\n", got.Cluster, got.At.UTC().Format(time.RFC3339), count(len(e.snap.Instances), "instance"), got.Policy)
	if x.All {
		got.table(&b)
	} else {
		for i := range got.Instances {
			got.Instances[i].print(&b)
		}
	}
	writeTrimmed(c.out, &b)
	return nil
}

// instances gathers why instances stay; no IDs stand for all of them.
func (e *evidence) instances(ids []fleet.InstanceID) (*instancesExplained, error) {
	known := make([]fleet.InstanceID, len(e.snap.Instances))
	for i := range e.snap.Instances {
		known[i] = e.snap.Instances[i].ID
	}
	for _, id := range ids {
		if !slices.Contains(known, id) {
			return nil, fmt.Errorf("%w: cluster %s has no instance %.80q; it has %s", fleet.ErrNotFound, e.snap.Cluster, id, cmp.Or(some(known), "none"))
		}
	}
	got := &instancesExplained{Cluster: e.snap.Cluster, At: e.snap.TakenAt, Policy: e.source, Instances: []instanceExplained{}}
	for _, s := range plan.WhyStay(e.snap, e.policy, e.mem, ids...) {
		one := instanceExplained{Stay: s, Because: s.Reason.String(), SavingPerMonth: plan.PerMonth(s.Saving)}
		if s.Replacement != nil {
			one.ReplacementPerMonth = plan.PerMonth(s.Replacement.Saving)
		}
		got.Instances = append(got.Instances, one)
	}
	return got, nil
}

// table prints a line for each instance.
func (x *instancesExplained) table(b *bytes.Buffer) {
	fmt.Fprintln(b)
	t := newTable(b, "INSTANCE", "TYPE", "LIFECYCLE", "PRICE", "USED", "STAGE", "COSTS A MONTH", "BECAUSE")
	for i := range x.Instances {
		s := &x.Instances[i]
		t.row(s.Instance, s.Type, s.Lifecycle, priceWords(s.Price), used(s.Utilization), s.Stage, atMost(s.SavingPerMonth), s.Because)
	}
	t.end()
}

// print prints one instance for people.
func (s *instanceExplained) print(b *bytes.Buffer) {
	fmt.Fprintf(b, "\n%s %s %s in %s, %s, %s used: %s\n", s.Instance, s.Type, s.Lifecycle, s.Zone, priceWords(s.Price), used(s.Utilization), s.Stage)
	fmt.Fprintf(b, "  because %s\n", s.Because)
	if len(s.Before) > 0 {
		fmt.Fprintf(b, "  by itself it could go; others go before it, and their tasks take the room: %s\n", some(s.Before))
	}
	if s.Otherwise != nil {
		fmt.Fprintf(b, "  without that rule it would stay all the same: %s\n", s.Otherwise)
	}
	if !s.Since.IsZero() {
		since := "since"
		if s.Stage == plan.StageWaits {
			since = "it could go since"
		}
		fmt.Fprintf(b, "  %s %s\n", since, s.Since.UTC().Format(time.RFC3339))
	}
	if s.Next != "" {
		fmt.Fprintf(b, "  next: %s\n", s.Next)
	}
	switch {
	case s.Stage == plan.StageComing:
	case s.Saving == 0:
		fmt.Fprint(b, "  the rule costs nothing\n")
	case s.Stage == plan.StageLeaving:
		fmt.Fprintf(b, "  that saves $%.2f a month\n", s.SavingPerMonth)
	default:
		fmt.Fprintf(b, "  the rule costs %s a month\n", atMost(s.SavingPerMonth))
	}
	if s.Replacement != nil {
		fmt.Fprintf(b, "  cheaper instances in its place would save %s a month: %s\n", atMost(s.ReplacementPerMonth), s.Replacement.Why)
	}
	considered := s.Reason.Considered
	if s.Otherwise != nil {
		considered = s.Otherwise.Considered
	}
	rulings(b, "  ", "WHAT RULES THE OTHERS OUT", considered)
}

func priceWords(p fleet.Price) string {
	if p == 0 {
		return "price not known"
	}
	return dollars(p)
}

func used(share float64) string { return fmt.Sprintf("%.0f %%", 100*share) }

// atMost is an amount that an estimate does not exceed.
func atMost(dollars float64) string {
	if dollars == 0 {
		return "nothing"
	}
	return fmt.Sprintf("≤ $%.2f", dollars)
}
