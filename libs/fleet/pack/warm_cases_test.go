package pack

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/neap-project/neap/libs/fleet"
)

// TestWarmSolvesWhatHasNothingInCommon gives one Warm a problem after the other that share
// names but hardly anything else: whatever it keeps must do no harm.
func TestWarmSolvesWhatHasNothingInCommon(t *testing.T) {
	var w Warm
	for seed := range uint64(100) {
		rng := rand.New(rand.NewPCG(seed, 21))
		p := random(rng, 1+rng.IntN(12), 30, market()[:3+rng.IntN(42)])
		p.Effort = Effort(rng.IntN(3))
		for range 2 {
			check(t, p, w.Solve(p))
		}
		if n := len(w.patterns); n > mostKept {
			t.Fatalf("seed %d: %d patterns are kept", seed, n)
		}
	}
}

// TestWarmBoundIsNeverAboveTheOptimum compares with exhaustive search, prices moving
// between the calls.
func TestWarmBoundIsNeverAboveTheOptimum(t *testing.T) {
	cases := uint64(1000)
	if testing.Short() {
		cases = 200
	}
	var w Warm
	for seed := range cases {
		rng := rand.New(rand.NewPCG(seed/8, 22)) // eight times the same tasks
		p := random(rng, 4, 2, slices.Clone(market()[:15]))
		p.Limits, p.Effort = Limits{}, Normal
		for i := range p.Items {
			p.Items[i].Allowed = nil
		}
		moved := rand.New(rand.NewPCG(seed, 23))
		for o := range p.Offerings {
			p.Offerings[o].Price += p.Offerings[o].Price * fleet.Price(moved.IntN(61)-30) / 100
		}
		s := w.Solve(p)
		check(t, p, s)
		if best := bruteForce(p); s.LowerBound > best || s.Cost < best {
			t.Fatalf("seed %d: cost %v, optimum %v, bound %v", seed, s.Cost, best, s.LowerBound)
		}
	}
}

// TestWarmFindsWhatItKnewAgain: prices that come back bring the solution back, and what
// is sold no more is not bought.
func TestWarmFindsWhatItKnewAgain(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 24))
	p := random(rng, 10, 30, market())
	p.Limits, p.Effort = Limits{}, Normal
	var w Warm
	first := w.Solve(p)
	fewer := p
	fewer.Items = slices.Clone(p.Items)
	gone := p.Offerings[first.Instances[0].Offering].Name
	for i := range fewer.Items {
		fewer.Items[i].Allowed = make([]bool, len(p.Offerings))
		for o := range p.Offerings {
			fewer.Items[i].Allowed[o] = p.Offerings[o].Name != gone && (p.Items[i].Allowed == nil || p.Items[i].Allowed[o])
		}
	}
	check(t, fewer, w.Solve(fewer))
	if again := w.Solve(p); again.Cost > first.Cost*1005/1000 {
		t.Errorf("costs %v, before %v", again.Cost, first.Cost)
	}
}
