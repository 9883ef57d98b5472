package outcome_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/outcome"
)

// ended makes a final outcome about something.
func ended(kind fleet.ActionKind, of string, when time.Time, class fleet.FailureClass) *fleet.Outcome {
	return &fleet.Outcome{Action: "a", Kind: kind, Of: of, Phase: fleet.PhaseFinal, At: when, Class: class, Message: "because"}
}

// answered makes the result of a launch.
func answered(when time.Time, class fleet.FailureClass, failures ...fleet.FailureClass) *fleet.Outcome {
	o := ended(fleet.ActionLaunch, "default", when, class)
	o.Phase, o.Message = fleet.PhaseResult, ""
	for _, f := range failures {
		o.Failures = append(o.Failures, fleet.OfferingFailure{Offering: pool, Class: f, Message: "no"})
	}
	return o
}

// TestFailuresSetBack: 30 s, doubled with each failure in a row up to 30 min.
func TestFailuresSetBack(t *testing.T) {
	var mem fleet.Memory
	now := at
	for i, wait := range []time.Duration{30 * time.Second, time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 16 * time.Minute, 30 * time.Minute, 30 * time.Minute} {
		mem = outcome.Fold(mem, ended(fleet.ActionLaunch, "default", now, fleet.FailureDenied))
		want := []fleet.Setback{{
			Kind: fleet.ActionLaunch, Of: "default", Class: fleet.FailureDenied, Message: "because", At: now, Until: now.Add(wait), Strikes: i + 1,
		}}
		if !reflect.DeepEqual(mem.Setbacks, want) {
			t.Fatalf("after %d failures: %+v, want %+v", i+1, mem.Setbacks, want)
		}
		again := outcome.Fold(mem, ended(fleet.ActionLaunch, "default", now.Add(wait-1), fleet.FailureInvalid))
		if !reflect.DeepEqual(again.Setbacks, want) {
			t.Fatalf("another failure within the wait counts: %+v", again.Setbacks)
		}
		now = now.Add(wait)
	}
	if mem.Setback(fleet.ActionLaunch, "default", now.Add(-1)) == nil || mem.Setback(fleet.ActionLaunch, "default", now) != nil {
		t.Errorf("the wait does not end when it should: %+v", mem.Setbacks)
	}
	if mem.Setback(fleet.ActionLaunch, "other", now.Add(-1)) != nil || mem.Setback(fleet.ActionDrain, "default", now.Add(-1)) != nil {
		t.Error("other work is set back too")
	}
}

// TestWhatSetsBack tells failures that would come again at once from the others.
func TestWhatSetsBack(t *testing.T) {
	launch, drained := fleet.ActionLaunch, fleet.ActionDrain
	gave := answered(at, fleet.FailureNone, fleet.FailureInvalid)
	gave.Instances = []fleet.LaunchedInstance{{ID: "i-1"}}
	nameless := ended(launch, "", at, fleet.FailureDenied)
	for name, c := range map[string]struct {
		outcome *fleet.Outcome
		want    fleet.FailureClass
	}{
		"stale":                     {ended(launch, "default", at, fleet.FailureStale), fleet.FailureStale},
		"quota of the account":      {answered(at, fleet.FailureQuota), fleet.FailureQuota},
		"quota of offerings":        {answered(at, fleet.FailureNone, fleet.FailureQuota), ""},
		"no capacity in offerings":  {answered(at, fleet.FailureNone, fleet.FailureCapacity), ""},
		"some of both":              {answered(at, fleet.FailureNone, fleet.FailureInvalid, fleet.FailureCapacity), ""},
		"offerings that are wrong":  {answered(at, fleet.FailureNone, fleet.FailureInvalid), fleet.FailureInvalid},
		"no capacity, not said of":  {answered(at, fleet.FailureCapacity), fleet.FailureCapacity},
		"nothing, and no reason":    {answered(at, fleet.FailureNone), fleet.FailureCapacity},
		"the end of such a one":     {ended(launch, "default", at, fleet.FailureCapacity), ""},
		"no answer":                 {ended(launch, "default", at, fleet.FailureUnknown), ""},
		"throttled":                 {answered(at, fleet.FailureThrottled), ""},
		"did not register":          {ended(launch, "default", at, fleet.FailureTimeout), ""},
		"gave some":                 {gave, ""},
		"of nothing":                {nameless, ""},
		"a drain that was rejected": {ended(drained, "i-1", at, fleet.FailureStale), fleet.FailureStale},
		"a drain that took long":    {ended(drained, "i-1", at, fleet.FailureTimeout), fleet.FailureTimeout},
		"a drain that worked":       {ended(drained, "i-1", at, fleet.FailureNone), ""},
	} {
		mem := outcome.Fold(fleet.Memory{}, c.outcome)
		if got := len(mem.Setbacks) == 1 && mem.Setbacks[0].Class == c.want; got != (c.want != "") || len(mem.Setbacks) > 1 {
			t.Errorf("%s: %+v, want one of class %q", name, mem.Setbacks, c.want)
		}
	}
}

func TestWhatEndsASetback(t *testing.T) {
	first := plan("p1", at)
	first.Policy = "one"
	mem := outcome.Remember(fleet.Memory{}, first)
	for _, of := range []string{"other", "default"} { // sorted by fold
		mem = outcome.Fold(mem, ended(fleet.ActionLaunch, of, at.Add(time.Minute), fleet.FailureInvalid))
	}
	before := mem
	gave := answered(at.Add(time.Minute), fleet.FailureNone)
	gave.Instances = []fleet.LaunchedInstance{{ID: "i-1"}}
	if got := outcome.Fold(mem, gave).Setbacks; len(got) != 1 || got[0].Of != "other" {
		t.Errorf("a launch that worked leaves %+v", got)
	}
	gave.At = at
	if got := outcome.Fold(mem, gave).Setbacks; len(got) != 2 {
		t.Errorf("one from before the failure, folded late, leaves %+v", got)
	}
	next := func(after time.Duration, policy string) int {
		p := plan("p2", at.Add(after))
		p.Policy = policy
		return len(outcome.Remember(mem, p).Setbacks)
	}
	if next(2*time.Minute, "one") != 2 || next(2*time.Minute, "another") != 0 || next(time.Hour, "one") != 0 {
		t.Error("setbacks are to last until the policy changes, or long after the wait")
	}
	if !reflect.DeepEqual(mem, before) || len(mem.Setbacks) != 2 {
		t.Error("the memory that was folded has changed")
	}
}
