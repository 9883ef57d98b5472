package plan_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/pack"
	"github.com/neap-project/neap/libs/fleet/plan"
)

// TestStanding reads as the specification: what is in the two figures, and what is not.
func TestStanding(t *testing.T) {
	const (
		large = fleet.Price(100_800) // of an m7i.large on demand
		only  = "type m7i.large 2 8 0.1008 0.0400 enis=3 trunk=10\n"
	)
	for name, c := range map[string]struct {
		script string
		want   fleet.Standing
	}{
		"full: nothing is cheaper": {
			only + "service web desired=4 cpu=512 mem=1024\ninstance i-1 m7i.large tasks=web*4",
			fleet.Standing{Cost: large, Bound: large, Anew: large, Tasks: 4},
		},
		"two half empty ones": {
			only + "service web desired=4 cpu=512 mem=1800\ninstance i-1 m7i.large tasks=web*2\ninstance i-2 m7i.large tasks=web*2",
			fleet.Standing{Cost: 2 * large, Bound: large, Anew: large, Tasks: 4},
		},
		"a daemon task on board": {
			only + "service web desired=3 cpu=512 mem=1800\nservice agent daemon cpu=513 mem=128\n" +
				"instance i-1 m7i.large tasks=web*2,agent*1\ninstance i-2 m7i.large tasks=web*1,agent*1",
			fleet.Standing{Cost: 2 * large, Bound: 3 * large / 2, Anew: 2 * large, Tasks: 3}, // two hold three times half of it
		},
		"what waits and has room counts, what has none does not": {
			only + "service web desired=9 cpu=512 mem=1800\ninstance i-1 m7i.large tasks=web*2",
			fleet.Standing{Cost: large, Bound: large, Anew: large, Tasks: 4, NoRoom: 5},
		},
		"headroom that is there": {
			"policy \"{'headroom':{'units':[{'cpuUnits':512,'memoryMiB':1800,'count':1}]}}\"\n" +
				"service web desired=1 cpu=512 mem=1800\ninstance i-1 m7i.large tasks=web*1\ninstance i-2 m7i.large",
			fleet.Standing{Cost: 2 * large, Bound: 89_300, Anew: 89_300, Tasks: 1, Headroom: 1},
		},
		"one a piece by distinctInstance": {
			"service web desired=2 cpu=512 mem=1800 distinct\ninstance i-1 m7i.large tasks=web*1\ninstance i-2 m7i.large tasks=web*1",
			fleet.Standing{Cost: 2 * large, Bound: 2 * 89_300, Anew: 2 * 89_300, Tasks: 2},
		},
		"a type of unknown price, and its tasks, are in neither": {
			"service web desired=2 cpu=512 mem=1800\ninstance i-1 m7i.large tasks=web*1\ninstance i-2 x9.large tasks=web*1",
			fleet.Standing{Cost: large, Bound: 89_300, Anew: 89_300, Tasks: 1, Unpriced: 1},
		},
		"nor does what waits count on their room": {
			only + "type x9.large 2 8 0\nservice web desired=4 cpu=1024 mem=1800\ninstance i-1 m7i.large tasks=web*2\ninstance i-2 x9.large",
			fleet.Standing{Cost: large, Bound: large, Anew: large, Tasks: 2, NoRoom: 2, Unpriced: 1},
		},
		"what the policy prefers weighs nothing": {
			"spec default \"{'preferredTypes':['m7i.*']}\"\nservice web desired=1 cpu=512 mem=1800\ninstance i-1 m7i.large tasks=web*1",
			fleet.Standing{Cost: large, Bound: 89_300, Anew: 89_300, Tasks: 1},
		},
		"what no offering holds is in the cost alone": {
			"service web desired=1 cpu=512 mem=1800\nservice odd desired=1 cpu=512 mem=512 memberOf=\"attribute:rack == 7\"\n" +
				"instance i-1 m7i.large tasks=web*1,odd*1",
			fleet.Standing{Cost: large, Bound: 89_300, Anew: 89_300, Tasks: 1, NoOffering: 1},
		},
		"instances that are not ours are named": {
			"service web desired=1 cpu=512 mem=1800\ninstance i-1 m7i.large not-ours tasks=web*1",
			fleet.Standing{Cost: large, Bound: 89_300, Anew: 89_300, Tasks: 1, Kept: large},
		},
		"where spot may be used, all of it may be": {
			"spec default \"{'spotPercentage':50}\"\nservice web desired=1 cpu=512 mem=1800\ninstance i-1 m7i.large tasks=web*1",
			fleet.Standing{Cost: large, Bound: 38_000, Anew: 38_000, Tasks: 1},
		},
		"a shortage passes": {
			"short c7i.large a on-demand for=1h\nshort c7i.large b on-demand for=1h\nservice web desired=1 cpu=512 mem=1800\ninstance i-1 m7i.large tasks=web*1",
			fleet.Standing{Cost: large, Bound: 89_300, Anew: 89_300, Tasks: 1},
		},
		"cheaper than the policy would buy": {
			only + "type m7i.xlarge 4 16 0.2016\nspec default \"{'instanceTypes':{'allow':['m7i.xlarge']}}\"\nservice web desired=1 cpu=512 mem=1800\ninstance i-1 m7i.large tasks=web*1",
			fleet.Standing{Cost: large, Bound: large, Anew: 2 * large, Tasks: 1},
		},
		"a view that is not whole": {
			"section tasks problem=denied\nservice web desired=1 cpu=512 mem=1800\ninstance i-1 m7i.large tasks=web*1",
			fleet.Standing{Problem: "tasks is incomplete: denied"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := read(c.script)
			if err != nil {
				t.Fatal(err)
			}
			c.want.Cluster, c.want.At = "prod", noon
			got := plan.Standing(s.snap, s.pol, s.mem, pack.Solve)
			if c.want.Bound-got.Bound == 1 { // bounds are rounded down
				got.Bound++
			}
			if got != c.want {
				t.Errorf("%+v\nwant %+v", got, c.want)
			}
		})
	}
}

// TestStandingBound: the bound is never above what the cluster costs, nor above what any
// packing of the same demand costs, however hard that one was looked for; and looking changes
// nothing of what it was given.
func TestStandingBound(t *testing.T) {
	worlds(t, 400, func(t *testing.T, s *script, _ *fleet.Plan) {
		cold := plan.Standing(s.snap, s.pol, s.mem, pack.Solve)
		var proven fleet.Price
		again := plan.Standing(s.snap, s.pol, s.mem, func(p pack.Problem) pack.Solution {
			solution := pack.Solve(p)
			proven = solution.LowerBound
			return solution
		})
		if again != cold {
			t.Errorf("the same input gives %+v and then %+v", cold, again)
		}
		mem := s.mem
		mem.Effort = fleet.EffortNormal
		long := plan.Standing(s.snap, s.pol, mem, pack.Solve)
		// A cluster on which a daemon task has no room is none of those that the packing finds.
		daemon := slices.ContainsFunc(s.snap.Services, func(svc fleet.Service) bool { return svc.Scheduling == fleet.Daemon })
		short := daemon && slices.ContainsFunc(s.snap.Instances, func(i fleet.Instance) bool { return i.Remaining.CPUUnits < 64 || i.Remaining.MemoryMiB < 128 })
		if proven > cold.Cost && !short || cold.Bound > cold.Cost || long.Bound > long.Cost {
			t.Errorf("bound %s of a demand that the cluster serves for %s", proven, cold.Cost)
		}
		if cold.Bound > long.Anew || long.Bound > cold.Anew {
			t.Errorf("bounds %s and %s, but packings for %s and %s", cold.Bound, long.Bound, cold.Anew, long.Anew)
		}
	})
}

// manyShapes writes a script of services without room.
func manyShapes(rng *rand.Rand) string {
	var b strings.Builder
	fmt.Fprintln(&b, `policy "{'limits':{'launchBurst':1000}}"`)
	for i := range 6 + rng.IntN(8) {
		fmt.Fprintf(&b, "service s%d desired=%d cpu=%d mem=%d\n", i, 1+rng.IntN(9), 64+rng.IntN(1500), 128+rng.IntN(6000))
	}
	return b.String()
}

// TestMoreEffort: a plan that was made with more effort says so and is made again from what
// it says; sometimes it is cheaper, and only a cheaper one counts as such.
func TestMoreEffort(t *testing.T) {
	cheaper := 0
	for seed := range uint64(30) {
		s, err := read(manyShapes(rand.New(rand.NewPCG(seed, 11))))
		if err != nil {
			t.Fatal(err)
		}
		fast := s.make()
		mem := s.mem
		mem.Effort = fleet.EffortNormal
		normal := plan.Make(s.snap, s.pol, mem)
		if fast.Effort != fleet.EffortFast || normal.Effort != fleet.EffortNormal || normal.Memory == fast.Memory {
			t.Fatalf("seed %d: efforts %q and %q are not what the plans were made with", seed, fast.Effort, normal.Effort)
		}
		mem.Effort = normal.Effort
		if again := plan.Make(s.snap, s.pol, mem); !reflect.DeepEqual(again, normal) {
			t.Fatalf("seed %d: made again of what it says, the plan is another", seed)
		}
		better := plan.Cheaper(s.snap, s.pol, mem, &normal, &fast)
		if saves := normal.Summary.CostAfter < fast.Summary.CostAfter; better != saves {
			t.Errorf("seed %d: %s instead of %s counts as cheaper: %t", seed, normal.Summary.CostAfter, fast.Summary.CostAfter, better)
		}
		if better {
			cheaper++
			if f, n := plan.PackingOf(&fast), plan.PackingOf(&normal); f.Gap() <= 0 || n.Cost >= f.Cost || n.Bound > f.Cost {
				t.Errorf("seed %d: packings %+v and %+v", seed, f, n)
			}
		}
	}
	if cheaper == 0 {
		t.Error("more effort never was cheaper: then nobody needs it")
	}
}

// TestCheaper: what is served comes first, then the price as the policy weighs it.
func TestCheaper(t *testing.T) {
	s, err := read("spec default \"{'preferredTypes':['m7i.*']}\"\nservice web desired=4 cpu=512 mem=1024\n")
	if err != nil {
		t.Fatal(err)
	}
	p := s.make()
	launch := func(typ fleet.TypeName, price fleet.Price, unplaced, headroom int) *fleet.Plan {
		l := *p.Actions[0].Launch
		off := l.Offerings[0]
		off.Type, off.Price = typ, price
		l.Offerings = []fleet.Offering{off}
		q := fleet.Plan{Actions: []fleet.Action{{Launch: &l}}}
		q.Summary.TasksUnplaced, q.Summary.HeadroomPresent = unplaced, headroom
		return &q
	}
	m7i, c7i := launch("m7i.large", 100_800, 0, 0), launch("c7i.large", 89_300, 0, 0)
	for name, c := range map[string]struct {
		p, than *fleet.Plan
		want    bool
	}{
		"the same":                              {m7i, m7i, false},
		"preferred, though its price is higher": {m7i, c7i, true},
		"not preferred":                         {c7i, m7i, false},
		"serves more":                           {launch("m7i.xlarge", 201_600, 0, 0), launch("m7i.large", 100_800, 1, 0), true},
		"serves less":                           {launch("m7i.large", 100_800, 1, 0), launch("m7i.xlarge", 201_600, 0, 0), false},
		"more headroom":                         {launch("m7i.xlarge", 201_600, 0, 2), launch("m7i.large", 100_800, 0, 1), true},
	} {
		if got := plan.Cheaper(s.snap, s.pol, s.mem, c.p, c.than); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
