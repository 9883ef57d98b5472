package outcome_test

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/outcome"
)

var (
	at   = time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC)
	pool = fleet.OfferingKey{Type: "m7i.large", Zone: "us-east-1a", Lifecycle: fleet.Spot}
)

func plan(id fleet.PlanID, made time.Time, actions ...fleet.Action) *fleet.Plan {
	return &fleet.Plan{ID: id, Generation: 1, MadeAt: made, ReadStartedAt: made, Actions: actions}
}

func result(phase fleet.OutcomePhase, action fleet.ActionID, when time.Time) *fleet.Outcome {
	return &fleet.Outcome{Action: action, Kind: fleet.ActionLaunch, Phase: phase, At: when}
}

func TestPlansOpenAndCloseActions(t *testing.T) {
	mem := outcome.Remember(fleet.Memory{}, plan("p1", at, fleet.Action{ID: "a", Kind: fleet.ActionLaunch}, fleet.Action{ID: "b", Kind: fleet.ActionDrain}))
	if len(mem.Open) != 2 || mem.Prev != "p1" || mem.LaunchedAt != at || mem.RemovedAt != at {
		t.Fatalf("after the first plan: %+v", mem)
	}
	second := plan("p2", at.Add(time.Minute))
	second.Closures = []fleet.Closure{{Action: "a", Verdict: fleet.VerdictDone}}
	mem = outcome.Remember(mem, second)
	if len(mem.Open) != 1 || mem.Open[0].Action.ID != "b" || mem.LaunchedAt != at {
		t.Errorf("after closing a: %+v", mem)
	}
}

func TestDryRunOpensNothing(t *testing.T) {
	p := plan("p1", at, fleet.Action{ID: "a", Kind: fleet.ActionLaunch})
	p.DryRun = true
	if mem := outcome.Remember(fleet.Memory{}, p); len(mem.Open) != 0 || !mem.LaunchedAt.IsZero() || mem.Prev != "p1" {
		t.Errorf("a dry run launched something: %+v", mem)
	}
}

// TestRemoved: what goes by our own will is remembered for an hour, and what AWS takes is not.
func TestRemoved(t *testing.T) {
	drain := func(id fleet.InstanceID, involuntary bool) fleet.Action {
		return fleet.Action{Kind: fleet.ActionDrain, Drain: &fleet.Drain{Instance: id, Type: "m7i.large", Involuntary: involuntary}}
	}
	mem := outcome.Remember(fleet.Memory{}, plan("p1", at, drain("i-1", false), drain("i-2", true)))
	if len(mem.Removed) != 1 || mem.Removed[0] != (fleet.Removed{Instance: "i-1", Type: "m7i.large", At: at}) {
		t.Errorf("after a drain: %+v", mem.Removed)
	}
	dry := plan("p2", at.Add(time.Minute), drain("i-3", false))
	dry.DryRun = true
	if mem = outcome.Remember(mem, dry); len(mem.Removed) != 1 {
		t.Errorf("a dry run removes nothing: %+v", mem.Removed)
	}
	if mem = outcome.Remember(mem, plan("p3", at.Add(time.Hour), drain("i-4", false))); len(mem.Removed) != 2 {
		t.Errorf("an hour later: %+v", mem.Removed)
	}
	if mem = outcome.Remember(mem, plan("p4", at.Add(time.Hour+time.Second))); len(mem.Removed) != 1 || mem.Removed[0].Instance != "i-4" {
		t.Errorf("and a second: %+v", mem.Removed)
	}
	var many []fleet.Action
	for i := range 300 {
		many = append(many, drain(fleet.InstanceID(fmt.Sprintf("i-%03d", i)), false))
	}
	if mem = outcome.Remember(mem, plan("p5", at.Add(time.Hour+time.Minute), many...)); len(mem.Removed) != 200 || mem.Removed[199].Instance != "i-299" {
		t.Errorf("of many it remembers %d", len(mem.Removed))
	}
}

func TestOutcomesFoldOnce(t *testing.T) {
	mem := outcome.Remember(fleet.Memory{}, plan("p1", at, fleet.Action{ID: "a", Kind: fleet.ActionLaunch}))
	got := result(fleet.PhaseResult, "a", at.Add(time.Second))
	got.Instances = []fleet.LaunchedInstance{{ID: "i-1", Type: "m7i.large"}}
	got.Failures = []fleet.OfferingFailure{{Offering: pool, Class: fleet.FailureCapacity}}
	final := result(fleet.PhaseFinal, "a", at.Add(2*time.Second))
	once := outcome.Fold(outcome.Fold(mem, got), final)
	if !once.Open[0].Over || len(once.Open[0].Instances) != 1 || len(once.Shortages) != 1 {
		t.Fatalf("after the launch: %+v", once)
	}
	twice := outcome.Fold(outcome.Fold(once, got), final)
	if !reflect.DeepEqual(once, twice) {
		t.Errorf("folding again changed it:\n%+v\n%+v", once, twice)
	}
	if len(mem.Shortages) != 0 || mem.Open[0].Over {
		t.Error("Fold changed the memory it was given")
	}
}

func TestIntentsTeachNothing(t *testing.T) {
	intent := result(fleet.PhaseIntent, "a", at)
	intent.Failures = []fleet.OfferingFailure{{Offering: pool, Class: fleet.FailureCapacity}}
	if mem := outcome.Fold(fleet.Memory{}, intent); len(mem.Shortages) != 0 {
		t.Errorf("got %+v", mem)
	}
}

func TestShortagesBackOff(t *testing.T) {
	fail := func(mem fleet.Memory, when time.Time, class fleet.FailureClass) fleet.Memory {
		o := result(fleet.PhaseResult, "gone", when)
		o.Failures = []fleet.OfferingFailure{{Offering: pool, Class: class}}
		return outcome.Fold(mem, o)
	}
	mem := fail(fleet.Memory{}, at, fleet.FailureCapacity)
	wantUntil(t, mem, at.Add(3*time.Minute))
	mem = fail(mem, at.Add(time.Minute), fleet.FailureCapacity) // still blocked: the same strike
	wantUntil(t, mem, at.Add(3*time.Minute))
	for _, wait := range []time.Duration{6 * time.Minute, 12 * time.Minute, 24 * time.Minute, 30 * time.Minute, 30 * time.Minute} {
		now := mem.Shortages[0].Until
		mem = fail(mem, now, fleet.FailureCapacity)
		wantUntil(t, mem, now.Add(wait))
	}
	if mem := fail(fleet.Memory{}, at, fleet.FailureInvalid); len(mem.Shortages) != 0 {
		t.Errorf("a wrong request says nothing about capacity: %+v", mem)
	}
	if got := fail(fleet.Memory{}, at, fleet.FailureQuota).Shortages[0].Until; got != at.Add(5*time.Minute) {
		t.Errorf("quota: until %s", got)
	}

	given := result(fleet.PhaseResult, "gone", mem.Shortages[0].Until)
	given.Instances = []fleet.LaunchedInstance{{ID: "i-1", Type: pool.Type, Zone: pool.Zone, Lifecycle: pool.Lifecycle}}
	if got := outcome.Fold(mem, given); len(got.Shortages) != 0 {
		t.Errorf("EC2 gave one out: %+v", got.Shortages)
	}
	later := plan("p9", mem.Shortages[0].Until.Add(31*time.Minute))
	if got := outcome.Remember(mem, later); len(got.Shortages) != 0 {
		t.Errorf("long over: %+v", got.Shortages)
	}
}

func wantUntil(t *testing.T, mem fleet.Memory, want time.Time) {
	t.Helper()
	if len(mem.Shortages) != 1 || !mem.Shortages[0].Until.Equal(want) {
		t.Fatalf("got %+v, want until %s", mem.Shortages, want)
	}
}

// TestNotice: what a plan saw is remembered whether it was committed or not, in the same way.
func TestNotice(t *testing.T) {
	seen := plan("p1", at)
	seen.Idle = []fleet.Idle{{Instance: "i-1", Since: at}}
	seen.Unhealthy = []fleet.Unhealthy{{Instance: "i-2", Since: at}}
	seen.Demand = []fleet.UnmetDemand{{Group: "service:web", Deployment: "d", Count: 3, Since: at, Desired: 4, Armed: at.Add(time.Minute)}}
	seen.Services = []fleet.SeenService{{Service: "web", Desired: 4, Grown: 2, HalvedAt: at, Deployment: "d", Failed: 3, Crashed: 1, HadRoom: true}}
	noticed := outcome.Notice(fleet.Memory{Demand: []fleet.DemandAge{{Group: "service:gone"}}}, seen)
	want := fleet.Memory{
		Idle: seen.Idle, Unhealthy: seen.Unhealthy, Services: seen.Services,
		Demand: []fleet.DemandAge{{Group: "service:web", Deployment: "d", Since: at, Desired: 4, Armed: at.Add(time.Minute)}},
	}
	if !reflect.DeepEqual(noticed, want) {
		t.Errorf("got %+v, want %+v", noticed, want)
	}
	committed := outcome.Remember(fleet.Memory{}, seen)
	if !reflect.DeepEqual(committed.Demand, want.Demand) || !reflect.DeepEqual(committed.Services, want.Services) || !reflect.DeepEqual(committed.Idle, want.Idle) {
		t.Errorf("a plan that is committed is remembered otherwise: %+v", committed)
	}
}
