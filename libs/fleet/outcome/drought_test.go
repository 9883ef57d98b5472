package outcome_test

import (
	"testing"
	"time"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/outcome"
)

// refused is a launch of a plan that was answered with want of capacity in zones.
func refused(plan fleet.PlanID, when time.Time, zones ...fleet.Zone) *fleet.Outcome {
	o := result(fleet.PhaseResult, "gone", when)
	o.Plan = plan
	for _, z := range zones {
		o.Failures = append(o.Failures, fleet.OfferingFailure{Class: fleet.FailureCapacity, Offering: fleet.OfferingKey{Type: "m7i.large", Zone: z, Lifecycle: fleet.Spot}})
	}
	return o
}

// TestDrought: two plans in a row without a spot instance, whatever the pools, and for a
// while on-demand is bought; each try after it that fails doubles the wait.
func TestDrought(t *testing.T) {
	mem := outcome.Fold(fleet.Memory{}, refused("p1", at, "a"))
	mem = outcome.Fold(mem, refused("p1", at.Add(time.Second), "b"))
	if mem.Drought.Strikes != 1 || !mem.Drought.Until.IsZero() {
		t.Fatalf("one plan is no drought: %+v", mem.Drought)
	}
	mem = outcome.Fold(mem, refused("p2", at.Add(10*time.Second), "a"))
	now := at.Add(10 * time.Second)
	for i, wait := range []time.Duration{3 * time.Minute, 6 * time.Minute, 12 * time.Minute, 24 * time.Minute, 30 * time.Minute, 30 * time.Minute} {
		want := fleet.Drought{Zone: "a", Plan: mem.Drought.Plan, At: now, Until: now.Add(wait), Strikes: i + 2}
		if mem.Drought != want {
			t.Fatalf("strike %d: %+v, want %+v", i+2, mem.Drought, want)
		}
		if again := outcome.Fold(mem, refused("late", now.Add(wait-1), "a")); again.Drought != want {
			t.Fatalf("a launch within the drought counts: %+v", again.Drought)
		}
		now = now.Add(wait)
		mem = outcome.Fold(mem, refused(fleet.PlanID("p"+now.String()), now, "a"))
	}

	for name, c := range map[string]struct {
		at   time.Time
		want int
	}{"given": {now, 0}, "given long before": {at, mem.Drought.Strikes}} {
		gave := result(fleet.PhaseResult, "gone", c.at)
		gave.Instances = []fleet.LaunchedInstance{{ID: "i-1", Lifecycle: fleet.Spot}}
		if got := outcome.Fold(mem, gave).Drought; got.Strikes != c.want {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if got := outcome.Remember(mem, plan("p9", mem.Drought.Until.Add(31*time.Minute))).Drought; got != (fleet.Drought{}) {
		t.Errorf("long over: %+v", got)
	}
}

// TestDryWhere: of one zone only if no other was asked for; other failures are none of it.
func TestDryWhere(t *testing.T) {
	for name, c := range map[string]struct {
		first, second []fleet.Zone
		dries, spares fleet.Zone
	}{
		"one zone":        {[]fleet.Zone{"a"}, []fleet.Zone{"a"}, "a", "b"},
		"two in a row":    {[]fleet.Zone{"a"}, []fleet.Zone{"b"}, "c", ""},
		"two in one call": {[]fleet.Zone{"a", "b"}, []fleet.Zone{"a"}, "c", ""},
	} {
		mem := outcome.Fold(outcome.Fold(fleet.Memory{}, refused("p1", at, c.first...)), refused("p2", at, c.second...))
		dries := func(z fleet.Zone, l fleet.Lifecycle) bool {
			return mem.Drought.Dries(fleet.OfferingKey{Zone: z, Lifecycle: l}, at.Add(time.Minute))
		}
		if !dries(c.dries, fleet.Spot) || c.spares != "" && dries(c.spares, fleet.Spot) || dries(c.dries, fleet.OnDemand) {
			t.Errorf("%s: %+v", name, mem.Drought)
		}
	}
	quota := refused("p1", at, "a")
	quota.Failures[0].Class = fleet.FailureQuota
	onDemand := refused("p1", at, "a")
	onDemand.Failures[0].Offering.Lifecycle = fleet.OnDemand
	for _, o := range []*fleet.Outcome{quota, onDemand, refused("p1", at)} {
		if mem := outcome.Fold(fleet.Memory{}, o); mem.Drought != (fleet.Drought{}) {
			t.Errorf("%+v counts: %+v", o.Failures, mem.Drought)
		}
	}
}
