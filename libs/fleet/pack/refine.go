package pack

import (
	"cmp"
	"math/rand/v2"
	"slices"

	"github.com/neap-project/neap/libs/fleet"
)

// refine takes some instances, empties them and packs what was in them again, as long as
// that saves money: now those that hold the least worth for their price, now any, now all.
// It stops at the budget of work, after many failures in a row, or where the proven bound
// leaves nothing to gain.
func (s *solver) refine(bins []bin, target float64, seed uint64) []bin {
	if s.worth == nil || instances(bins) < 2 {
		return bins
	}
	rng := rand.New(rand.NewPCG(1+seed, 2))
	const patience = 60
	cost := s.cost(bins, 0)
	for failed := 0; failed < patience && s.work < s.until && float64(cost) > s.proven*(1+target); {
		again, ok := s.ruin(bins, rng)
		if !ok {
			failed++
			continue
		}
		failed = 0
		bins, cost = again, s.cost(again, 0)
	}
	return bins
}

func (s *solver) ruin(bins []bin, rng *rand.Rand) ([]bin, bool) {
	total := instances(bins)
	k := min(2+rng.IntN(9), total)
	if total <= 40 && rng.IntN(4) == 0 {
		k = total
	}
	kept := slices.Clone(bins)
	demand := make([]int, len(s.p.Items))
	var before fleet.Price
	take := func(b int) {
		kept[b].count--
		before += s.p.Offerings[kept[b].offering].Price
		for _, h := range kept[b].items {
			demand[h.Item] += h.Count
		}
	}
	order := s.byRate(kept)
	for n := 0; n < k; {
		at := rng.IntN(len(order))
		if rng.IntN(2) == 0 { // the worst come first
			at = rng.IntN(min(len(order), 2*k))
		}
		if kept[order[at]].count == 0 {
			order = slices.Delete(order, at, at+1)
			continue
		}
		take(order[at])
		n++
	}
	q := search{rounds: 12, widest: 24, tolerance: 1e-4}
	m, _ := s.generate(demand, q)
	if fleet.Price(m.cost()) >= before {
		return bins, false
	}
	again := s.dive(demand, m, q, rng)
	s.downsize(again)
	if s.cost(again, 0) >= before {
		return bins, false
	}
	kept = slices.DeleteFunc(kept, func(b bin) bool { return b.count == 0 })
	return append(kept, again...), true
}

// byRate orders bins by what they hold for their price, the least first.
func (s *solver) byRate(bins []bin) []int {
	order, rate := make([]int, len(bins)), make([]float64, len(bins))
	for b := range bins {
		order[b] = b
		for _, h := range bins[b].items {
			rate[b] += float64(s.worth[h.Item] * float64(h.Count))
		}
		rate[b] /= float64(s.p.Offerings[bins[b].offering].Price)
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(rate[a], rate[b]) })
	return order
}
