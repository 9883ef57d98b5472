package pack_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/pack"
)

// drift changes a problem a little, as a cluster does from tick to tick: counts of some
// services, now and then a service that comes or goes, an offering that runs out or is
// back, a price that moves; and everything is listed in another order.
func drift(rng *rand.Rand, p pack.Problem, all []pack.Offering) pack.Problem {
	p.Items, p.Offerings = slices.Clone(p.Items), slices.Clone(p.Offerings)
	for range 1 + len(p.Items)/20 {
		item := &p.Items[rng.IntN(len(p.Items))]
		item.Count = max(1, item.Count+rng.IntN(max(3, item.Count/5))-max(1, item.Count/10))
	}
	switch rng.IntN(6) {
	case 0:
		at := rng.IntN(len(p.Items))
		p.Items = slices.Delete(p.Items, at, at+1)
	case 1:
		item := p.Items[rng.IntN(len(p.Items))]
		item.Name = fmt.Sprintf("new %d", rng.Uint32())
		item.Needs.MemoryMiB += 64
		item.Count = 1 + rng.IntN(10)
		p.Items = append(p.Items, item)
	case 2:
		at := rng.IntN(len(p.Offerings))
		p.Offerings = slices.Delete(p.Offerings, at, at+1)
	case 3:
		p.Offerings = slices.Clone(all)
	case 4:
		o := &p.Offerings[rng.IntN(len(p.Offerings))]
		o.Price += o.Price * fleet.Price(rng.IntN(11)-5) / 100
	}
	rng.Shuffle(len(p.Items), func(a, b int) { p.Items[a], p.Items[b] = p.Items[b], p.Items[a] })
	rng.Shuffle(len(p.Offerings), func(a, b int) { p.Offerings[a], p.Offerings[b] = p.Offerings[b], p.Offerings[a] })
	return p
}

// ticks is a sequence of problems.
func ticks(seed uint64, n int, p pack.Problem) []pack.Problem {
	rng, all := rand.New(rand.NewPCG(seed, 12)), p.Offerings
	list := []pack.Problem{p}
	for len(list) < n {
		list = append(list, drift(rng, list[len(list)-1], all))
	}
	return list
}

// TestWarmIsNoDearerAndTakesFewerSteps follows a cluster over 50 ticks.
func TestWarmIsNoDearerAndTakesFewerSteps(t *testing.T) {
	seeds := uint64(3)
	if testing.Short() {
		seeds = 1
	}
	for seed := range seeds {
		var w pack.Warm
		var cold, warm fleet.Price
		var coldSteps, warmSteps int
		p := pack.Problem{Items: workload(seed, 400, 40, 64), Offerings: market(t, "cmr", math.MaxInt64), Effort: pack.Normal}
		for at, p := range ticks(seed, 50, p) {
			a, b := pack.Solve(p), w.Solve(p)
			checkPacking(t, p, b)
			if b.LowerBound > a.Cost {
				t.Fatalf("seed %d, tick %d: the bound %v is above a solution %v", seed, at, b.LowerBound, a.Cost)
			}
			if at > 0 {
				cold, warm = cold+a.Cost, warm+b.Cost
				coldSteps, warmSteps = coldSteps+a.Steps, warmSteps+b.Steps
			}
			if at < 49 {
				continue
			}
			if again := w.Solve(p); again.Cost > b.Cost {
				t.Errorf("seed %d: the same problem again costs %v, not %v", seed, again.Cost, b.Cost)
			}
		}
		t.Logf("seed %d: cost %v cold, %v warm; %d and %d million steps", seed, cold, warm, coldSteps/1e6, warmSteps/1e6)
		if warm > cold {
			t.Errorf("seed %d: warm costs %v, cold %v", seed, warm, cold)
		}
		if warmSteps*2 > coldSteps {
			t.Errorf("seed %d: warm takes %d steps, cold %d", seed, warmSteps, coldSteps)
		}
	}
}

// checkPacking fails the test if a solution over-fills, forgets or invents anything.
func checkPacking(t testing.TB, p pack.Problem, s pack.Solution) {
	t.Helper()
	placed := make([]int, len(p.Items))
	var cost fleet.Price
	for _, inst := range s.Instances {
		cost += p.Offerings[inst.Offering].Price * fleet.Price(inst.Count)
		var sum fleet.Resources
		for _, h := range inst.Items {
			sum = sum.Add(p.Items[h.Item].Needs.Times(int64(h.Count)))
			placed[h.Item] += h.Count * inst.Count
		}
		if !sum.Fits(p.Offerings[inst.Offering].Capacity) {
			t.Fatalf("%s is over-filled", p.Offerings[inst.Offering].Name)
		}
	}
	for _, u := range s.Unplaced {
		placed[u.Item] += u.Count
	}
	for i, n := range placed {
		if n != p.Items[i].Count {
			t.Fatalf("%s: %d of %d are placed", p.Items[i].Name, n, p.Items[i].Count)
		}
	}
	if cost != s.Cost || s.Cost < s.LowerBound {
		t.Fatalf("cost is %v, said to be %v, bound %v", cost, s.Cost, s.LowerBound)
	}
}

// BenchmarkWarm follows a cluster over 50 ticks, each solved for itself and with what was
// found before.
func BenchmarkWarm(b *testing.B) {
	p := pack.Problem{Items: workload(1, 1000, 90, 64), Offerings: market(b, "cmr", math.MaxInt64), Effort: pack.Normal}
	problems := ticks(1, 50, p)
	for _, name := range []string{"cold", "warm"} {
		b.Run(name, func(b *testing.B) {
			var steps int
			var cost, bound fleet.Price
			n := 0
			begin := processorTime(b)
			for b.Loop() {
				var w pack.Warm
				steps, cost, bound, n = 0, 0, 0, n+1
				for _, p := range problems {
					var s pack.Solution
					if name == "warm" {
						s = w.Solve(p)
					} else {
						s = pack.Solve(p)
					}
					steps, cost, bound = steps+s.Steps, cost+s.Cost, bound+s.LowerBound
				}
			}
			ticks := float64(n * len(problems))
			b.ReportMetric(1e3*(processorTime(b)-begin)/ticks, "cpu-ms/tick")
			b.ReportMetric(float64(steps)/1e6/float64(len(problems)), "Msteps/tick")
			b.ReportMetric(cost.USD()/float64(len(problems)), "$/h")
			b.ReportMetric(100*(float64(cost)/float64(bound)-1), "%over-bound")
		})
	}
}
