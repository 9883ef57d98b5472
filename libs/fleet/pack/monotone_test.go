package pack

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/neap-project/neap/libs/fleet"
)

// Adding an offering can never raise the least cost, but it may raise the cost of an answer
// that is not the best one: other patterns come first, and the search ends elsewhere. By how
// much is limited by what the answer says of itself. Its bound is below the least cost with
// the offering, which is no more than the least cost without, nor than any cost without. So
//
//	cost with ≤ (1 + gap with) · cost without,
//	bound with − bound without ≤ cost without − bound without,
//
// and the second is all that the bound may rise by: what the proof without lacked. Both
// follow from one inequality, that the bound with is at most the cost without, which is
// checked in every case. Beyond that the tests hold how often and by how much answers do get
// dearer: seldom, and by no more than the effort may be above its bound.

// enlarge adds an offering to a problem, like one that it has in another size, price or
// zone. Items that are not allowed everywhere may be allowed on it or not.
func enlarge(rng *rand.Rand, p Problem) Problem {
	extra := p.Offerings[rng.IntN(len(p.Offerings))]
	extra.Name = "extra"
	extra.Zone = []fleet.Zone{"a", "b", "c"}[rng.IntN(3)]
	percent := func(n int64) int64 { return n * int64(60+rng.IntN(81)) / 100 }
	extra.Capacity.CPUUnits, extra.Capacity.MemoryMiB = percent(extra.Capacity.CPUUnits), percent(extra.Capacity.MemoryMiB)
	extra.Price = fleet.Price(percent(int64(extra.Price)))
	return with(p, extra, func(*Item) bool { return rng.IntN(3) > 0 })
}

// with is a problem with one offering more, on which allowed says what may be.
func with(p Problem, extra Offering, allowed func(*Item) bool) Problem {
	p.Offerings = append(slices.Clone(p.Offerings), extra)
	p.Items = slices.Clone(p.Items)
	for i := range p.Items {
		if item := &p.Items[i]; item.Allowed != nil {
			item.Allowed = append(slices.Clone(item.Allowed), allowed(item))
		}
	}
	return p
}

// unlimited is a random problem without limits, all of whose items some offering holds.
func unlimited(rng *rand.Rand, shapes, most int, offers []Offering) Problem {
	p := random(rng, shapes, most, offers)
	p.Limits = Limits{}
	for i := range p.Items {
		if item := &p.Items[i]; item.Allowed != nil && !slices.ContainsFunc(order(len(offers)), func(o int) bool {
			return item.Allowed[o] && item.Needs.Fits(offers[o].Capacity)
		}) {
			item.Allowed = nil
		}
	}
	return p
}

// rises counts by how much answers got dearer.
type rises struct {
	cases, risen  int
	worst         float64
	before, after fleet.Price
}

// compare solves a problem without and with an offering more and checks what must hold in
// every case.
func (r *rises) compare(t *testing.T, name string, p, more Problem) (without, with Solution) {
	t.Helper()
	without, with = Solve(p), Solve(more)
	check(t, p, without)
	check(t, more, with)
	if len(without.Unplaced) > 0 || len(with.Unplaced) > 0 {
		t.Fatalf("%s: unplaced %v, %v", name, without.Unplaced, with.Unplaced)
	}
	if with.LowerBound > without.Cost {
		t.Fatalf("%s: with an offering more the bound is %v, but %v is possible without", name, with.LowerBound, without.Cost)
	}
	r.cases++
	r.before, r.after = r.before+without.Cost, r.after+with.Cost
	if with.Cost > without.Cost {
		r.risen++
		r.worst = max(r.worst, float64(with.Cost)/float64(without.Cost)-1)
	}
	return without, with
}

// hold checks the rises that were measured.
func (r *rises) hold(t *testing.T, often, worst float64) {
	t.Helper()
	share := float64(r.risen) / float64(r.cases)
	t.Logf("an offering more made %d of %d answers dearer (%.1f %%), by %.2f %% at worst; all together cost %.2f %% less",
		r.risen, r.cases, 100*share, 100*r.worst, 100*(1-float64(r.after)/float64(r.before)))
	if share > often || r.worst > worst || r.after > r.before {
		t.Errorf("at most %.1f %% of the answers may get dearer, by at most %.1f %%, and not all together", 100*often, 100*worst)
	}
}

// TestMoreOfferingsSmall compares with the exact optimum of small problems.
func TestMoreOfferingsSmall(t *testing.T) {
	var r rises
	over, optimal := fleet.Price(0), fleet.Price(0)
	cases := uint64(2000)
	if testing.Short() {
		cases = 300
	}
	for seed := range cases {
		rng := rand.New(rand.NewPCG(seed, 5))
		p := unlimited(rng, 4, 2, market()[:15])
		for i := range p.Items {
			p.Items[i].Allowed = nil
		}
		more := enlarge(rng, p)
		name := fmt.Sprintf("seed %d", seed)
		_, with := r.compare(t, name, p, more)
		best, bestWith := bruteForce(p), bruteForce(more)
		if bestWith > best {
			t.Fatalf("%s: the exhaustive search finds %v with an offering more, %v without", name, bestWith, best)
		}
		if with.LowerBound > bestWith {
			t.Fatalf("%s: the bound %v is above the optimum %v", name, with.LowerBound, bestWith)
		}
		over, optimal = over+with.Cost, optimal+bestWith
		if float64(with.Cost) > float64(best)*(1+smallNoise) {
			t.Errorf("%s: %v with an offering more, though %v is possible without", name, with.Cost, best)
		}
	}
	t.Logf("cost is %.2f %% above the optimum", 100*(float64(over)/float64(optimal)-1))
	r.hold(t, 0.02, smallNoise)
}

// TestMoreOfferings adds offerings to problems of the size of a real one.
func TestMoreOfferings(t *testing.T) {
	for _, c := range []struct {
		effort       Effort
		cases        uint64
		often, worst float64
	}{{Fast, 150, 0.3, 0.03}, {Normal, 20, 0.5, 0.01}} {
		t.Run(fmt.Sprint("effort=", c.effort), func(t *testing.T) {
			var r rises
			if testing.Short() {
				c.cases /= 5
			}
			for seed := range c.cases {
				rng := rand.New(rand.NewPCG(seed, 6))
				p := unlimited(rng, 10+rng.IntN(30), 40, market())
				p.Effort = c.effort
				r.compare(t, fmt.Sprintf("seed %d", seed), p, enlarge(rng, p))
			}
			r.hold(t, c.often, c.worst)
		})
	}
}

// smallNoise is by how much the answer to a problem of some five tasks may be above the
// optimum: there one instance is a large part of the cost.
const smallNoise = 0.1

// TestNeedlessOfferingChangesNothing adds what cannot be of use: an offering that costs more
// than one like it. Cost and bound stay as they are to the last digit, as it is dropped
// before the search.
func TestNeedlessOfferingChangesNothing(t *testing.T) {
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 7))
		p := unlimited(rng, 1+rng.IntN(20), 40, market())
		at := rng.IntN(len(p.Offerings))
		extra := p.Offerings[at]
		extra.Name, extra.Price = "extra", extra.Price*110/100
		extra.Capacity.MemoryMiB -= int64(rng.IntN(2))
		more := with(p, extra, func(i *Item) bool { return i.Allowed[at] })
		a, b := Solve(p), Solve(more)
		check(t, more, b)
		if a.Cost != b.Cost || a.LowerBound != b.LowerBound {
			t.Errorf("seed %d: a needless offering makes it %v (bound %v), not %v (%v)", seed, b.Cost, b.LowerBound, a.Cost, a.LowerBound)
		}
	}
}

// TestPricesInAnotherCurrency multiplies all prices. By 2 and 4 the answer is the same bin by
// bin, and cost and bound are multiplied: a floating-point number then changes its exponent
// only. By other numbers it may be another answer as good, as rounding breaks ties another
// way; then costs and bounds differ in both directions and hardly on the whole.
func TestPricesInAnotherCurrency(t *testing.T) {
	for _, c := range []struct {
		k     fleet.Price
		exact bool
	}{{2, true}, {4, true}, {3, false}, {10, false}} {
		const worst, mean, whole = 0.05, 0.005, 1e-5 // whole: bounds are whole numbers
		var once, scaled float64
		for seed := range uint64(60) {
			rng := rand.New(rand.NewPCG(seed, 8))
			p := unlimited(rng, 1+rng.IntN(20), 40, market())
			q := p
			q.Offerings = slices.Clone(p.Offerings)
			for o := range q.Offerings {
				q.Offerings[o].Price *= c.k
			}
			a, b := Solve(p), Solve(q)
			check(t, q, b)
			cost, bound := float64(b.Cost)/float64(c.k*a.Cost), float64(b.LowerBound)/float64(c.k*a.LowerBound)
			once, scaled = once+float64(c.k*a.Cost), scaled+float64(b.Cost)
			switch {
			case c.exact && (b.Cost != c.k*a.Cost || text(p, a) != text(q, b) || math.Abs(bound-1) > whole):
				t.Errorf("seed %d: at %d times the prices %v (bound %v), not %v (%v)", seed, c.k, b.Cost, b.LowerBound, c.k*a.Cost, c.k*a.LowerBound)
			case math.Abs(cost-1) > worst || math.Abs(bound-1) > worst || b.LowerBound > c.k*a.Cost:
				t.Errorf("seed %d: at %d times the prices %v (bound %v), for %v (%v)", seed, c.k, b.Cost, b.LowerBound, c.k*a.Cost, c.k*a.LowerBound)
			}
		}
		if off := scaled/once - 1; math.Abs(off) > mean {
			t.Errorf("at %d times the prices the cost of all cases is off by %.2f %%", c.k, 100*off)
		}
	}
}
