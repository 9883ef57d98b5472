package pack

import (
	"cmp"
	"slices"

	"github.com/neap-project/neap/libs/fleet"
)

// fillRule says in which order a bin is filled.
type fillRule uint8

const (
	byWorth fillRule = iota // the most valuable first: large ones, while they still fit
	byShare                 // the one that takes the largest share of the bin first
	byAngle                 // each time the one that best matches the room that is left
	byNeed                  // the most of what is left to pack first
	fillEnd                 // number of rules
)

// portfolio runs every combination of values and fill rules, and some that stick to one
// offering, and returns the cheapest packing of the demand.
func (s *solver) portfolio(demand []int, toll fleet.Price) []bin {
	var best []bin
	lowest := fleet.Price(-1)
	try := func(g greedy) {
		bins := g.run(demand)
		s.downsize(bins)
		if c := s.cost(bins, toll); lowest < 0 || c < lowest || c == lowest && s.neater(bins, best) {
			best, lowest = bins, c
		}
	}
	for _, value := range s.worths {
		for rule := range fillEnd {
			try(greedy{solver: s, worth: value, rule: rule, offerings: s.minimal, toll: toll})
		}
	}
	// A single type throughout is sometimes best, where tasks tile it exactly.
	const mostSingles = 24 // spread over the sizes; each costs as much as a rule
	step := max(len(s.minimal)/mostSingles, 1)
	for i := 0; i < len(s.minimal); i += step {
		try(greedy{solver: s, worth: s.worths[0], rule: byWorth, offerings: s.minimal, first: s.minimal[i : i+1], toll: toll})
	}
	return best
}

// neater prefers, at equal cost, fewer instances; but as many as there are zones if tasks
// are to be spread over them.
func (s *solver) neater(a, b []bin) bool {
	x, y := instances(a), instances(b)
	if u, v := min(x, s.spread), min(y, s.spread); u != v {
		return u > v
	}
	return x < y
}

// greedy opens the offering with the most worth per dollar when filled, as often as the
// demand allows, until nothing is left.
type greedy struct {
	*solver
	worth     []float64
	rule      fillRule
	offerings []int
	first     []int // tried before the others while they hold anything
	toll      fleet.Price

	left  []int // of the demand
	order []int // items by the rule, if it does not depend on the bin
	used  []int // keys: by which bin they were taken last
	now   int   // number of the bin that is being filled
}

func (g greedy) run(demand []int) []bin {
	g.left = slices.Clone(demand)
	g.used = make([]int, g.keyCount)
	for i, n := range demand {
		if n > 0 {
			g.order = append(g.order, i)
		}
	}
	slices.SortStableFunc(g.order, func(a, b int) int { return cmp.Compare(g.worth[b], g.worth[a]) })
	var bins []bin
	for len(g.order) > 0 {
		b, ok := g.open(g.first)
		if !ok {
			b, ok = g.open(g.offerings)
		}
		if !ok {
			panic("pack: what every check said would fit does not")
		}
		b.count = g.left[b.items[0].Item] / b.items[0].Count
		for _, h := range b.items {
			b.count = min(b.count, g.left[h.Item]/h.Count)
		}
		for _, h := range b.items {
			g.left[h.Item] -= h.Count * b.count
		}
		bins = append(bins, b)
		g.order = slices.DeleteFunc(g.order, func(i int) bool { return g.left[i] == 0 })
	}
	return bins
}

// open fills one bin of each offering and returns the one with the most worth per dollar.
func (g *greedy) open(offerings []int) (bin, bool) {
	var best bin
	var bestRate float64
	for _, o := range offerings {
		items := g.fill(o)
		if len(items) == 0 {
			continue
		}
		var sum float64
		for _, h := range items {
			sum += float64(g.worth[h.Item] * float64(h.Count))
		}
		rate := sum / float64(g.p.Offerings[o].Price+g.toll)
		if rate > bestRate {
			best, bestRate = bin{offering: o, items: items}, rate
		}
	}
	return best, bestRate > 0
}

// fill fills one bin of an offering from what is left of the demand.
func (g *greedy) fill(o int) []Held {
	g.now++
	room := g.p.Offerings[o].Capacity
	var items []Held
	if g.rule == byAngle {
		return g.fillByAngle(o, room)
	}
	order := g.order
	if g.rule != byWorth {
		order = slices.Clone(g.order)
		size := func(i int) float64 {
			if g.rule == byNeed {
				return -float64(g.worth[i] * float64(g.left[i]))
			}
			return -share(g.p.Items[i].Needs, room)
		}
		slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(size(a), size(b)) })
	}
	for _, i := range order {
		if n := g.room(i, o, room, items); n > 0 {
			room = room.Sub(g.p.Items[i].Needs.Times(int64(n)))
			items = g.take(items, i, n)
		}
	}
	return items
}

// fillByAngle adds a few at a time of the item whose needs best match the room that is
// left, weighed by what the bin had at first.
func (g *greedy) fillByAngle(o int, room fleet.Resources) []Held {
	full := vector(room)
	var items []Held
	for {
		best, bestMatch, bestRoom := -1, -1.0, 0
		for _, i := range g.order {
			n := g.room(i, o, room, items)
			if n == 0 {
				continue
			}
			var match float64
			have := vector(room)
			for r, need := range vector(g.p.Items[i].Needs) {
				if full[r] > 0 {
					match += float64(need / full[r] * (have[r] / full[r]))
				}
			}
			if match > bestMatch {
				best, bestMatch, bestRoom = i, match, n
			}
		}
		if best < 0 {
			return items
		}
		n := (bestRoom + 3) / 4 // a quarter of what fits: close to one by one, and far quicker
		room = room.Sub(g.p.Items[best].Needs.Times(int64(n)))
		items = g.take(items, best, n)
	}
}

// room is how many more of an item a bin takes.
func (g *greedy) room(i, o int, room fleet.Resources, items []Held) int {
	if !g.fits[i][o] {
		return 0
	}
	n := g.left[i]
	for _, h := range items {
		if g.conflicts != nil && g.conflicts[i][h.Item] {
			return 0
		}
		if h.Item == i {
			n -= h.Count
		}
	}
	if g.conflicts != nil && g.conflicts[i][i] {
		n = min(n, 1)
	}
	for _, key := range g.keys[i] {
		if g.used[key] == g.now {
			return 0
		}
		n = min(n, 1)
	}
	return int(g.p.Items[i].Needs.Copies(room, int64(n)))
}

// take adds items to a bin and takes their keys.
func (g *greedy) take(items []Held, i, n int) []Held {
	for _, key := range g.keys[i] {
		g.used[key] = g.now
	}
	for h := range items {
		if items[h].Item == i {
			items[h].Count += n
			return items
		}
	}
	return append(items, Held{Item: i, Count: n})
}

// share is the largest share of a room that a need takes in any resource.
func share(need, room fleet.Resources) float64 {
	var most float64
	have := vector(room)
	for r, n := range vector(need) {
		if n > 0 && have[r] > 0 {
			most = max(most, n/have[r])
		}
	}
	return most
}

// downsize gives each bin the cheapest offering that holds what is in it.
func (s *solver) downsize(bins []bin) {
	for b := range bins {
		needs := s.needs(bins[b].items)
		for _, o := range s.minimal {
			if s.holds(o, bins[b].items, needs) {
				bins[b].offering = o
				break
			}
		}
	}
}

func (s *solver) needs(items []Held) fleet.Resources {
	var sum fleet.Resources
	for _, h := range items {
		sum = sum.Add(s.p.Items[h.Item].Needs.Times(int64(h.Count)))
	}
	return sum
}

func (s *solver) holds(o int, items []Held, needs fleet.Resources) bool {
	if !needs.Fits(s.p.Offerings[o].Capacity) {
		return false
	}
	for _, h := range items {
		if !s.fits[h.Item][o] {
			return false
		}
	}
	return true
}
