package planner

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/neap-project/neap/libs/adapters/bus"
	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/outcome"
)

// streams are the history of a cluster, as lists.
type streams struct {
	plans    []bus.Stored[fleet.Plan]
	outcomes []bus.Stored[fleet.Outcome]
	broken   map[uint64]error // plans that cannot be read
}

func (s *streams) LastPlan(context.Context, fleet.ClusterName) (fleet.Plan, uint64, bool, error) {
	if len(s.plans) == 0 {
		return fleet.Plan{}, 0, false, nil
	}
	last := s.plans[len(s.plans)-1]
	return last.Value, last.Seq, true, nil
}

func (s *streams) Plans(_ context.Context, _ fleet.ClusterName, from uint64) iter.Seq2[bus.Stored[fleet.Plan], error] {
	return since(s.plans, from, s.broken)
}

func (s *streams) Outcomes(_ context.Context, _ fleet.ClusterName, from uint64) iter.Seq2[bus.Stored[fleet.Outcome], error] {
	return since(s.outcomes, from, nil)
}

func since[T any](list []bus.Stored[T], from uint64, broken map[uint64]error) iter.Seq2[bus.Stored[T], error] {
	return func(yield func(bus.Stored[T], error) bool) {
		for _, m := range list {
			if m.Seq >= from && !yield(m, broken[m.Seq]) {
				return
			}
		}
	}
}

// story is a random history: plans that open and close launches, outcomes of open ones.
func story(seed uint64) (events []any) {
	rng := rand.New(rand.NewPCG(seed, 0))
	var open []fleet.ActionID
	for i := range 5 + rng.IntN(30) {
		now := at.Add(time.Duration(i) * time.Minute)
		if len(open) > 0 && rng.IntN(3) > 0 {
			o := fleet.Outcome{Action: open[rng.IntN(len(open))], Kind: fleet.ActionLaunch, At: now, Phase: fleet.PhaseResult}
			if rng.IntN(2) == 0 {
				o.Phase, o.Class = fleet.PhaseFinal, fleet.FailureCapacity
			}
			key := fleet.OfferingKey{Type: "m7i.large", Zone: fleet.Zone(fmt.Sprint("zone-", rng.IntN(2))), Lifecycle: fleet.Spot}
			if rng.IntN(2) == 0 {
				o.Failures = []fleet.OfferingFailure{{Offering: key, Class: fleet.FailureCapacity}}
			} else {
				o.Instances = []fleet.LaunchedInstance{{ID: fleet.InstanceID(fmt.Sprint("i-", i)), Type: key.Type, Zone: key.Zone, Lifecycle: key.Lifecycle}}
			}
			events = append(events, o)
			continue
		}
		p := fleet.Plan{ID: fleet.PlanID(fmt.Sprint("p", i)), Generation: 1, MadeAt: now, ReadStartedAt: now}
		id := fleet.ActionID(fmt.Sprint("a", i))
		p.Actions = []fleet.Action{{ID: id, Kind: fleet.ActionLaunch}}
		if len(open) > 0 && rng.IntN(2) == 0 {
			p.Closures = []fleet.Closure{{Action: open[0], Verdict: fleet.VerdictDone}}
			open = open[1:]
		}
		open = append(open, id)
		events = append(events, p)
	}
	return events
}

// TestMemoryIsTheFoldOfTheStreams: a planner that read along, one that lost its memory now
// and then, and one that begins today remember the same, and that is what a plain fold in
// the order of events gives.
func TestMemoryIsTheFoldOfTheStreams(t *testing.T) {
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 1))
		var s streams
		var along, forgetful, fresh recollection
		var want fleet.Memory
		for i, event := range story(seed) {
			stored := at.Add(time.Duration(i) * time.Minute)
			switch e := event.(type) {
			case fleet.Plan:
				s.plans = append(s.plans, bus.Stored[fleet.Plan]{Value: e, Seq: uint64(i + 1), At: stored})
				want = outcome.Remember(want, &e)
				if rng.IntN(2) == 0 { // as if it had appended the plan itself
					along.remember(&e, uint64(i+1))
				}
			case fleet.Outcome:
				s.outcomes = append(s.outcomes, bus.Stored[fleet.Outcome]{Value: e, Seq: uint64(i + 1), At: stored})
				want = outcome.Fold(want, &e)
			}
			if rng.IntN(5) == 0 {
				forgetful.forget()
			}
			for _, r := range []*recollection{&along, &forgetful} {
				if err := r.refresh(t.Context(), &s, web); err != nil {
					t.Fatalf("seed %d: %v", seed, err)
				}
			}
		}
		if err := fresh.refresh(t.Context(), &s, web); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		for name, r := range map[string]*recollection{"along": &along, "forgetful": &forgetful, "fresh": &fresh} {
			if got := normal(r.mem); !reflect.DeepEqual(got, normal(want)) {
				t.Fatalf("seed %d: the memory that was read %s is\n%+v\nwant\n%+v", seed, name, got, normal(want))
			}
		}
	}
}

// normal makes empty and absent tables equal.
func normal(m fleet.Memory) fleet.Memory {
	m.Open = slices.Concat(m.Open)
	m.Shortages = slices.Concat(m.Shortages)
	return m
}

// TestAnOutcomeNeverPrecedesItsPlan: the servers that store plans and outcomes have clocks
// of their own.
func TestAnOutcomeNeverPrecedesItsPlan(t *testing.T) {
	p := fleet.Plan{ID: "p", Generation: 1, MadeAt: at, Actions: []fleet.Action{{ID: "a", Kind: fleet.ActionLaunch}}}
	o := fleet.Outcome{Action: "a", Kind: fleet.ActionLaunch, Phase: fleet.PhaseResult, At: at, Instances: []fleet.LaunchedInstance{{ID: "i-1"}}}
	s := streams{
		plans:    []bus.Stored[fleet.Plan]{{Value: p, Seq: 1, At: at.Add(2 * time.Second)}},
		outcomes: []bus.Stored[fleet.Outcome]{{Value: o, Seq: 1, At: at}},
	}
	var r recollection
	if err := r.refresh(t.Context(), &s, web); err != nil {
		t.Fatal(err)
	}
	if len(r.mem.Open) != 1 || len(r.mem.Open[0].Instances) != 1 {
		t.Errorf("open actions %+v, want the launch with its instance", r.mem.Open)
	}
}

func TestAPlanThatCannotBeReadStopsPlanning(t *testing.T) {
	s := streams{
		plans:  []bus.Stored[fleet.Plan]{{Value: fleet.Plan{ID: "p"}, Seq: 1, At: at}, {Value: fleet.Plan{ID: "q"}, Seq: 2, At: at}},
		broken: map[uint64]error{1: fleet.ErrVersion},
	}
	var r recollection
	if err := r.refresh(t.Context(), &s, web); !errors.Is(err, fleet.ErrVersion) {
		t.Errorf("a gap in the chain is answered with %v, want ErrVersion", err)
	}
	if r.planSeq != 0 || len(r.mem.Open) != 0 {
		t.Errorf("half a memory is kept: %+v", r)
	}
}

// TestForeignMessagesAreNoGap: what no release of Neap wrote is passed over, wherever it
// stands in the chain.
func TestForeignMessagesAreNoGap(t *testing.T) {
	s := streams{
		plans: []bus.Stored[fleet.Plan]{
			{Value: fleet.Plan{ID: "p", Generation: 1}, Seq: 1, At: at},
			{Seq: 2, At: at},
			{Value: fleet.Plan{ID: "q", Generation: 1}, Seq: 3, At: at},
			{Seq: 4, At: at},
		},
		broken: map[uint64]error{2: bus.ErrForeign, 4: bus.ErrForeign},
	}
	var r recollection
	for range 2 {
		if err := r.refresh(t.Context(), &s, web); err != nil {
			t.Fatal(err)
		}
		if r.mem.Prev != "q" || r.planSeq != 4 {
			t.Errorf("the last plan is %q and the chain ends at %d, want q and 4", r.mem.Prev, r.planSeq)
		}
	}
}

func TestWhatWasNoticedIsRemembered(t *testing.T) {
	idle := []fleet.Idle{{Instance: "i-1", Since: at}}
	var r recollection
	chained := fleet.Plan{ID: "p", Generation: 1, ReadStartedAt: at}
	r.remember(&chained, 1)
	r.notice(&fleet.Plan{ReadStartedAt: at.Add(time.Second), Idle: idle, Demand: []fleet.UnmetDemand{{Group: "service:web", Since: at}}})
	mem := r.at(1, fleet.Pause{})
	if !reflect.DeepEqual(mem.Idle, idle) || len(mem.Demand) != 1 {
		t.Errorf("idle %v, demand %v: what a plan saw that was not appended is lost", mem.Idle, mem.Demand)
	}
	later := fleet.Plan{ID: "q", Generation: 1, ReadStartedAt: at.Add(time.Minute)}
	r.mem = outcome.Remember(r.mem, &later) // by another planner
	if mem := r.at(1, fleet.Pause{}); len(mem.Idle) != 0 {
		t.Errorf("idle %v: what was noticed before the last plan of the chain outlives it", mem.Idle)
	}
}

func TestWhatIsAppended(t *testing.T) {
	launch := func(n int) []fleet.Action {
		return []fleet.Action{{Kind: fleet.ActionLaunch, Launch: &fleet.Launch{Count: n, Spec: fleet.LaunchSpec{Name: "default"}}}}
	}
	closure := []fleet.Closure{{Action: "a", Verdict: fleet.VerdictDone}}
	for _, c := range []struct {
		name string
		last fleet.Plan
		plan fleet.Plan
		want bool
	}{
		{"nothing to do", fleet.Plan{}, fleet.Plan{}, false},
		{"a launch", fleet.Plan{}, fleet.Plan{Actions: launch(1)}, true},
		{"a closure", fleet.Plan{}, fleet.Plan{Closures: closure}, true},
		{"the same launch again: it is another one", fleet.Plan{Actions: launch(1)}, fleet.Plan{Actions: launch(1)}, true},
		{"dry run, first proposal", fleet.Plan{}, fleet.Plan{DryRun: true, Actions: launch(1)}, true},
		{"dry run, nothing to propose", fleet.Plan{}, fleet.Plan{DryRun: true}, false},
		{"dry run, same proposal", fleet.Plan{DryRun: true, Actions: launch(1)}, fleet.Plan{DryRun: true, Actions: launch(1)}, false},
		{"dry run, more", fleet.Plan{DryRun: true, Actions: launch(1)}, fleet.Plan{DryRun: true, Actions: launch(2)}, true},
		{"dry run, no more", fleet.Plan{DryRun: true, Actions: launch(1)}, fleet.Plan{DryRun: true}, true},
		{"dry run after the real thing", fleet.Plan{Actions: launch(1)}, fleet.Plan{DryRun: true, Actions: launch(1)}, true},
	} {
		r := recollection{last: c.last}
		if got := r.adds(&c.plan); got != c.want {
			t.Errorf("%s: appended %t, want %t", c.name, got, c.want)
		}
	}
}

func TestProposalKnowsNoOrder(t *testing.T) {
	drain := func(id fleet.InstanceID) fleet.Action {
		return fleet.Action{ID: fleet.ActionID("of " + id), Kind: fleet.ActionDrain, Drain: &fleet.Drain{Instance: id}}
	}
	one := fleet.Plan{Actions: []fleet.Action{drain("i-1"), drain("i-2")}}
	two := fleet.Plan{Actions: []fleet.Action{drain("i-2"), drain("i-1")}}
	if cmp.Compare(proposal(&one), proposal(&two)) != 0 {
		t.Errorf("%q and %q propose the same", proposal(&one), proposal(&two))
	}
}
