package pack

import (
	"cmp"
	"math"
	"slices"
)

// copies is how many of an item fit into a room, at most limit.
func (s *solver) copies(i int, room *size, limit int) int {
	if s.once[i] {
		limit = min(limit, 1)
	}
	return s.sizes[i].copies(room, s.dims, limit)
}

// loads are the items that a bin of an offering may hold, as that bin sees them.
func (s *solver) loads(o int, demand []int, worth []float64) []load {
	list := s.knap.buf[:0]
	for _, i := range s.order(o) {
		if demand[i] == 0 || worth[i] <= 0 {
			continue
		}
		if most := s.copies(i, &s.rooms[o], demand[i]); most > 0 {
			list = append(list, load{item: i, size: s.sizes[i], most: most, value: worth[i]})
		}
	}
	s.knap.buf = list
	return list
}

// alone is the pattern that packs an item by itself at the least price.
func (s *solver) alone(i int, demand []int) pattern {
	best, rate := pattern{}, math.Inf(1)
	for _, o := range s.minimal {
		if !s.fits[i][o] {
			continue
		}
		n := s.copies(i, &s.rooms[o], demand[i])
		price := float64(s.p.Offerings[o].Price)
		if q := price / float64(n); q < rate {
			best, rate = pattern{offering: o, price: price, items: []Held{{i, n}}}, q
		}
	}
	return best
}

// candidate is an offering in a round of pricing.
type candidate struct {
	offering int
	ratio    float64 // no bin of it holds more worth per price
	width    int     // with which it was searched: −1 not even relaxed, 0 relaxed
	top      ceilings
}

// price looks for patterns worth more than they cost under the worths, and returns them
// and the greatest ratio of worth to price that any pattern can have. It looks at the most
// promising offering first, and stops when it has enough patterns; but if the bound that
// follows from the ratio may reach target, it goes on until the bound is as good as can be.
func (s *solver) price(demand []int, worth []float64, r pricing) (found []pattern, ratio float64) {
	list := s.candidates(demand, worth)
	most := 1.0 // ratio of a pattern that was found
	for len(list) > 0 {
		worst := 0
		for x := range list {
			if list[x].ratio > list[worst].ratio {
				worst = x
			}
		}
		c := &list[worst]
		prove, enough := r.total/most >= r.target, len(found) >= r.enough
		if c.ratio <= 1+tiny || enough && (!prove || c.ratio <= most*(1+tiny)) || c.width >= r.widest || s.work > s.until {
			return found, max(ratio, c.ratio)
		}
		if !prove && c.width >= r.width { // searched as far as it is to be: the next one
			ratio = max(ratio, c.ratio)
			list[worst] = list[len(list)-1]
			list = list[:len(list)-1]
			continue
		}
		more := s.look(c, demand, worth, r, prove)
		for i := range more {
			most = max(most, more[i].worth(worth)/more[i].price)
		}
		found = append(found, more...)
	}
	return found, max(ratio, 1)
}

// candidates are the offerings that hold anything, each with a bound from the prices of
// its room when it was looked at last: such prices give a bound whatever the worths are.
func (s *solver) candidates(demand []int, worth []float64) []candidate {
	list := make([]candidate, 0, len(s.minimal))
	for _, o := range s.minimal {
		loads := s.loads(o, demand, worth)
		if len(loads) == 0 {
			continue
		}
		price := &s.prices[o]
		top := price.worth(&s.rooms[o], s.dims)
		for j := range loads {
			top += float64(max(0, loads[j].value-price.worth(&loads[j].size, s.dims)) * float64(loads[j].most))
		}
		s.work += 4 * len(loads)
		list = append(list, candidate{offering: o, width: -1, ratio: top / float64(s.p.Offerings[o].Price)})
	}
	return list
}

// look looks at an offering more closely than before: first by its relaxation, then by
// searches that widen. It returns the patterns that it finds worth more than their price.
func (s *solver) look(c *candidate, demand []int, worth []float64, r pricing, prove bool) []pattern {
	const wider = 4 // times as wide, when a search has not proved enough
	o := c.offering
	loads, room := s.loads(o, demand, worth), s.rooms[o]
	price := float64(s.p.Offerings[o].Price)
	if c.width < 0 {
		c.top.dims = s.dims
		s.prices[o] = relax(loads, &room, s.dims)
		c.top.add(s.prices[o], loads)
		c.ratio, c.width = min(c.ratio, c.top.of(&room, 0)/price), 0
		s.work += 40 * len(loads) // some ten steps of the simplex method
		return nil
	}
	width, quick, top := r.width, !prove, &c.top
	if c.width > 0 {
		width, quick = min(c.width*wider, r.widest), false
	}
	if quick {
		loads = s.core(loads, &s.prices[o])
		top = &ceilings{dims: s.dims}
		top.add(s.prices[o], loads)
	}
	before := s.knap.work
	fillings, bound := s.knap.fill(room, loads, width, price, quick, top)
	s.work += 30 * (s.knap.work - before)
	c.width = width
	if !quick { // what is no core load was not looked at
		c.ratio = min(c.ratio, bound/price)
	}
	var found []pattern
	for _, f := range fillings {
		if f.value > price*(1+tiny) {
			slices.SortFunc(f.items, func(a, b Held) int { return cmp.Compare(a.Item, b.Item) })
			found = append(found, pattern{offering: o, price: price, items: f.items})
		}
	}
	return found
}

// pricing says how hard to look.
type pricing struct {
	width  int     // of the first search of an offering
	widest int     // of any
	enough int     // patterns
	total  float64 // worth of the demand
	target float64 // a bound that is worth proving
}

// tiny is what rounding may make of nothing.
const tiny = 1e-6

// generate solves the master over a demand, with new patterns as they are found, and
// returns it with the best bound that it proved.
//
// Prices that swing from round to round find poor patterns: they are smoothed toward those
// of the best bound so far, and used bare only when that finds nothing (Wentges 1997). The
// bound is Farley's: worths that exceed the price of no pattern by more than a ratio are a
// bound when divided by it.
func (s *solver) generate(demand []int, q search) (*master, float64) {
	const (
		narrow  = 4   // width that finds patterns; proving takes more
		enough  = 24  // patterns in a round
		smooth  = 0.7 // weight of the prices of the best bound
		advance = 0.25
	)
	m := newMaster(demand, func(i int) pattern { return s.alone(i, demand) })
	for i := range s.pool {
		if s.proper(&s.pool[i], demand) {
			m.add(s.pool[i])
		}
	}
	worth := make([]float64, len(demand))
	best, bestDual := 0.0, slices.Clone(s.floor) // they exceed the price of no pattern
	for r, i := range m.rows {
		best += float64(bestDual[i] * m.need[r])
	}
	if q.prove && s.keptBound > best && slices.Equal(demand, s.demand) { // those of earlier problems are better
		best, bestDual = s.keptBound, slices.Clone(s.kept)
	}
	weight, width := smooth, narrow
	for range q.rounds {
		s.optimise(m)
		cost := m.cost()
		if best >= cost*(1-q.tolerance) || s.work > s.until {
			break
		}
		var total float64
		for r, i := range m.rows {
			worth[i] = max(m.dual[r], 0)
			worth[i] = float64((1-weight)*worth[i]) + float64(weight*bestDual[i])
			total += float64(worth[i] * m.need[r])
		}
		target := math.Inf(1) // a bound of a part is of no use
		if q.prove {
			target = best + (cost-best)*advance
		}
		found, ratio := s.price(demand, worth, pricing{width, q.widest, enough, total, target})
		if b := total / max(ratio, 1); b > best {
			best, bestDual = b, append(bestDual[:0], worth...)
		}
		switch {
		case s.admit(m, found) > 0:
			weight = smooth
		case weight > 0:
			weight = 0
		case width < q.widest:
			width, weight = min(width*3, q.widest), smooth
		default:
			return m, best
		}
	}
	s.optimise(m)
	return m, best
}

func (s *solver) optimise(m *master) {
	before := m.work
	m.optimise()
	s.work += m.work - before
}

// admit adds the patterns that gain something to the master, and says how many.
func (s *solver) admit(m *master, found []pattern) int {
	n := 0
	for i := range found {
		if m.excess(&found[i])/found[i].price > tiny/10 {
			m.add(found[i])
			s.pool = append(s.pool, found[i])
			n++
		}
	}
	return n
}

// proper reports whether a pattern holds no more than is left.
func (s *solver) proper(p *pattern, left []int) bool {
	for _, h := range p.items {
		if h.Count > left[h.Item] {
			return false
		}
	}
	return true
}

// search says how hard to look for patterns.
type search struct {
	rounds    int
	widest    int     // of the searches that prove a bound
	tolerance float64 // between the master and its bound, at which it is good enough
	prove     bool
}

// generated packs the whole demand by column generation and dives, in parts if it has more
// items than one master can take in time.
func (s *solver) generated(e *effort) []bin {
	if !anything(s.demand) {
		return nil
	}
	s.worth = make([]float64, len(s.demand))
	parts := s.parts(e.items)
	var bins []bin
	pool := s.pool
	for _, part := range parts {
		steps := 2 * e.steps / (len(parts) + 1) // at most twice as many for all together
		end := s.work + steps
		s.until = s.work + steps*2/3 // the rest is for the dive
		s.pool = pool
		m, bound := s.generate(part, e.search)
		for r, i := range m.rows {
			s.worth[i] = max(m.dual[r], 0)
		}
		for _, c := range m.basis {
			if c >= 0 {
				s.basis = append(s.basis, m.patterns[c])
			}
		}
		if len(parts) == 1 {
			s.proven = max(s.proven, bound)
		}
		s.until = s.work + (end-s.work)/2 // what the dive does not need is for refine
		bins = append(bins, s.dive(part, m, e.dive, nil)...)
		s.until = end
	}
	if len(parts) > 1 {
		s.prove(e)
	}
	s.downsize(bins)
	return bins
}

// parts deals the items out, large and small alike, so that none has more than most.
func (s *solver) parts(most int) [][]int {
	items := s.wanted()
	n := (len(items) + most - 1) / most
	if n <= 1 {
		return [][]int{s.demand}
	}
	slices.SortStableFunc(items, func(a, b int) int { return cmp.Compare(s.worths[0][b], s.worths[0][a]) })
	parts := make([][]int, n)
	for x := range parts {
		parts[x] = make([]int, len(s.demand))
	}
	for x, i := range items {
		parts[x%n][i] = s.demand[i]
	}
	return parts
}

// wanted are the items of which there is any demand.
func (s *solver) wanted() []int {
	var items []int
	for i, n := range s.demand {
		if n > 0 {
			items = append(items, i)
		}
	}
	return items
}

// prove finds the bound that the worths of all parts together give.
func (s *solver) prove(e *effort) {
	var total float64
	for i, n := range s.demand {
		total += float64(s.worth[i] * float64(n))
	}
	_, ratio := s.price(s.demand, s.worth, pricing{width: 16, widest: e.search.widest, enough: 1, total: total})
	s.proven = max(s.proven, total/max(ratio, 1))
}

// clash reports whether two items exclude one another.
func (s *solver) clash(a, b int) bool {
	if s.conflicts != nil && s.conflicts[a][b] {
		return true
	}
	for _, x := range s.keys[a] {
		if slices.Contains(s.keys[b], x) {
			return true
		}
	}
	return false
}

// core are the loads that pay for nearly all the room they take: the others are in no
// pattern that is worth its price.
func (s *solver) core(loads []load, price *multipliers) []load {
	const share = 0.95
	kept := loads[:0]
	for j := range loads {
		if l := &loads[j]; l.value >= float64(share*price.worth(&l.size, s.dims)) {
			kept = append(kept, *l)
		}
	}
	return kept
}
