package pack

import (
	"cmp"
	"math/rand/v2"
	"slices"
)

// dive packs a demand by solving the linear program, buying what it buys whole, then what
// it nearly buys, and so on with what is left.
func (s *solver) dive(demand []int, first *master, q search, rng *rand.Rand) []bin {
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
	for {
		type part struct {
			pattern int
			level   float64
		}
		var parts []part
		bought := false
		for k, c := range m.basis {
			if c < 0 {
				continue
			}
			whole := int(m.level[k] + 1e-6)
			if whole > 0 && buy(&m.patterns[c], whole) {
				bought = true
			}
			if f := m.level[k] - float64(whole); f > 1e-6 {
				if rng != nil {
					f *= 0.7 + 0.6*rng.Float64()
				}
				parts = append(parts, part{c, f})
			}
		}
		slices.SortStableFunc(parts, func(a, b part) int { return cmp.Compare(b.level, a.level) })
		for i, p := range parts {
			if p.level < 0.7 && (bought || i > 0) {
				break
			}
			if buy(&m.patterns[p.pattern], 1) {
				bought = true
			}
		}
		if !bought {
			for _, p := range parts {
				if buy(&m.patterns[p.pattern], 1) {
					bought = true
					break
				}
			}
		}
		rest := 0
		for _, n := range left {
			rest += n
		}
		if rest == 0 {
			return bins
		}
		if !bought {
			return append(bins, s.portfolio(left, 0)...)
		}
		m, _ = s.generate(left, q)
	}
}
