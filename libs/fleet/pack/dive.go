package pack

import (
	"cmp"
	"math/rand/v2"
	"slices"
)

// dive packs a demand by solving the linear program, buying what it buys whole, then what
// it nearly buys, and so on with what is left.
//
// With chance, parts that are bought to nearly the same extent are taken in another order.
func (s *solver) dive(demand []int, first *master, q search, rng *rand.Rand) []bin {
	const nearly = 0.7
	left := slices.Clone(demand)
	var bins []bin
	buy := func(p *pattern, n int) bool {
		for _, h := range p.items {
			n = min(n, left[h.Item]/h.Count)
		}
		if n == 0 {
			return false
		}
		for _, h := range p.items {
			left[h.Item] -= n * h.Count
		}
		bins = append(bins, bin{offering: p.offering, items: p.items, count: n})
		return true
	}
	m := first
	spent := 0 // by the last round
	for {
		type part struct {
			pattern int
			level   float64
		}
		var parts []part
		var rest float64 // instances that are bought in part
		bought := 0
		for k, c := range m.basis {
			if c < 0 {
				continue
			}
			whole := int(m.level[k] + 1e-6)
			if whole > 0 && buy(&m.patterns[c], whole) {
				bought++
			}
			if f := m.level[k] - float64(whole); f > 1e-6 {
				rest += f
				if rng != nil {
					f *= 0.7 + 0.6*rng.Float64()
				}
				parts = append(parts, part{c, f})
			}
		}
		slices.SortStableFunc(parts, func(a, b part) int { return cmp.Compare(b.level, a.level) })
		due := max(1, s.pace(rest, spent))
		for _, p := range parts {
			if p.level < nearly && bought >= due {
				break
			}
			if buy(&m.patterns[p.pattern], 1) {
				bought++
			}
		}
		if !anything(left) {
			return bins
		}
		if bought == 0 {
			return append(bins, s.portfolio(left, 0, 0)...)
		}
		before := s.work
		m, _ = s.generate(left, q)
		spent = s.work - before
	}
}

// pace is how many of the instances that are left a round has to buy, if each round takes
// as many steps as the last one and the steps are to last to the end: with many shapes of
// few tasks hardly any pattern is bought whole, and one in a round would take too long.
func (s *solver) pace(rest float64, spent int) int {
	return int(rest * float64(spent) / float64(max(s.until-s.work, 1)))
}

// anything reports whether there is any demand.
func anything(demand []int) bool {
	return slices.ContainsFunc(demand, func(n int) bool { return n > 0 })
}
